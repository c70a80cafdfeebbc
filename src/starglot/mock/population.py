"""Mock stars: classes, atmospheres, abundances, motions and identifiers, drawn star by star.

Star k is drawn from a counter-based generator keyed by (seed, k), so it is the same star however many are asked for.
Classes are drawn in equal shares (A, F, G, K, M), which no survey has: the paper's samples are balanced, and so is
the demo.  Inside a class, dwarfs, subgiants and giants, thin disc, thick disc and halo follow the solar neighbourhood
loosely.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from scipy.special import ndtri

from starglot.labels import ABUNDANCE_NAMES, CLASSES

#: Uniform numbers that each star owns; never reorder their use, or every star changes.
_DRAWS = 96
#: Effective temperatures (K) at the class borders of LAMOST subclasses, from A0 to M6.
CLASS_EDGES = (9900.0, 7350.0, 6050.0, 5250.0, 3880.0, 3100.0)
#: Populations: thin disc, thick disc, halo.
COMPONENTS = ("thin", "thick", "halo")
#: Chances of a second, third and fourth visit: a seventh of the stars are seen more than once.
_REVISITS = np.array([0.15, 0.06, 0.02])

#: [X/Fe] = a * alpha + b * feh + c * dredge-up + own scatter (dex), by label.  Manganese and copper fall with [Fe/H],
#: neutron-capture cerium against alpha; carbon and nitrogen are mixed in giants.
_ENRICHMENT: dict[str, tuple[float, float, float, float]] = {
    "c_fe": (0.35, -0.05, -0.22, 0.07),
    "ci_fe": (0.35, -0.05, -0.22, 0.07),
    "n_fe": (0.10, 0.10, 0.42, 0.08),
    "o_fe": (1.10, -0.05, 0.0, 0.06),
    "mg_fe": (1.00, 0.0, 0.0, 0.07),
    "al_fe": (0.80, 0.05, 0.0, 0.08),
    "si_fe": (0.80, 0.0, 0.0, 0.05),
    "s_fe": (0.80, -0.08, 0.0, 0.08),
    "mn_fe": (-0.30, 0.22, 0.0, 0.07),
    "ni_fe": (0.15, 0.06, 0.0, 0.05),
    "ca_fe": (0.65, -0.03, 0.0, 0.08),
    "na_fe": (0.25, 0.10, 0.25, 0.12),
    "p_fe": (0.60, -0.12, 0.0, 0.10),
    "k_fe": (0.60, -0.05, 0.0, 0.10),
    "ti_fe": (0.80, 0.0, 0.0, 0.08),
    "tiii_fe": (0.80, 0.0, 0.0, 0.08),
    "cr_fe": (-0.05, 0.06, 0.0, 0.07),
    "co_fe": (0.40, 0.05, 0.0, 0.07),
    "cu_fe": (0.20, 0.24, 0.0, 0.09),
    "v_fe": (0.45, 0.04, 0.0, 0.09),
    "ce_fe": (-0.40, -0.08, 0.0, 0.13),
}


@dataclass(frozen=True)
class Population:
    """n stars; arrays of shape (n,) unless said otherwise.

    star: number k; target: index into CLASSES; teff (K), logg, feh; xfe: (n, 21) in ABUNDANCE_NAMES' order;
    component: index into COMPONENTS; rv (km/s); ebv (mag); magnitude: Gaia G; pmra, pmdec (mas/yr); radius (deg) and
    angle (rad) from the centre of the field; field: uniform in [0, 1), which field; visits: wanted number of visits;
    gaia_dr3, gaia_dr2: int64, 0 for none.
    """

    star: np.ndarray
    target: np.ndarray
    teff: np.ndarray
    logg: np.ndarray
    feh: np.ndarray
    xfe: np.ndarray
    component: np.ndarray
    rv: np.ndarray
    ebv: np.ndarray
    magnitude: np.ndarray
    pmra: np.ndarray
    pmdec: np.ndarray
    radius: np.ndarray
    angle: np.ndarray
    field: np.ndarray
    visits: np.ndarray
    gaia_dr3: np.ndarray
    gaia_dr2: np.ndarray

    def take(self, index: np.ndarray) -> Population:
        """The stars at ``index``, in its order and with its repeats."""
        return Population(**{f.name: getattr(self, f.name)[index] for f in fields(self)})


def generator(seed: int, *counter: int) -> np.random.Generator:
    """The generator of one thing (a star, a visit, a survey's view of a star), named by integers."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(seed, spawn_key=counter)))


def uniforms(seed: int, kind: int, keys: np.ndarray, number: int) -> np.ndarray:
    """(len(keys), number) uniforms in (0, 1); row i depends on seed, kind and keys[i] alone."""
    rows = np.array([generator(seed, kind, int(key)).random(number) for key in keys]).reshape(len(keys), number)
    inside: np.ndarray = np.clip(rows, 1e-12, 1 - 1e-12)
    return inside


def draw_stars(first: int, last: int, seed: int) -> Population:
    """Stars first..last-1 of the endless list of mock stars of ``seed``."""
    star = np.arange(first, last)
    u = uniforms(seed, 1, star, _DRAWS)
    normal = ndtri(u)
    target = np.floor(u[:, 0] * len(CLASSES)).astype(int)
    top, bottom = np.array(CLASS_EDGES)[target], np.array(CLASS_EDGES)[target + 1]
    # Cooler subclasses are more numerous inside A and F, and nearly even below.
    skew = np.array([1.5, 1.2, 1.0, 1.0, 0.8])[target]
    teff = bottom + (top - bottom) * u[:, 1] ** skew

    young = target == 0
    cool = target == 4
    component = np.where(u[:, 2] < np.where(young, 0.97, np.where(cool, 0.72, 0.62)), 0, 1)
    component = np.where(u[:, 2] > np.where(young, 1.01, np.where(cool, 0.94, 0.89)), 2, component)
    feh = np.array([-0.10, -0.55, -1.35])[component] + np.array([0.21, 0.24, 0.38])[component] * normal[:, 3]
    feh = np.clip(feh, -2.4, 0.5)
    logg = _gravity(teff, feh, target, u, normal)
    xfe = _abundances(feh, logg, component, normal)

    spread = np.array([28.0, 55.0, 130.0])[component]
    movement = np.array([10.0, 20.0, 38.0])[component]
    return Population(
        star=star,
        target=target,
        teff=teff,
        logg=logg,
        feh=feh,
        xfe=xfe,
        component=component,
        rv=np.clip(spread * normal[:, 8], -480, 480),
        ebv=np.minimum(-0.05 * np.log(u[:, 9]), 0.6),
        magnitude=11.0 + 6.0 * u[:, 10] ** 0.6,
        pmra=movement * normal[:, 11],
        pmdec=movement * normal[:, 12],
        radius=2.2 * np.sqrt(u[:, 13]),
        angle=2 * np.pi * u[:, 14],
        field=u[:, 15],
        visits=1 + (u[:, 16][:, None] < _REVISITS).sum(1),
        gaia_dr3=np.where(u[:, 17] < 0.985, _gaia_id(u[:, 18], star), 0),
        gaia_dr2=np.where(u[:, 17] < 0.99, _gaia_id(u[:, 19], star), 0),
    )


def _gaia_id(uniform: np.ndarray, star: np.ndarray) -> np.ndarray:
    """19-digit identifiers that no two stars share (the star's number is in the lower digits)."""
    ids: np.ndarray = (uniform * 8e8).astype(np.int64) * 10_000_000_000 + 10**18 + star
    return ids


def _gravity(teff: np.ndarray, feh: np.ndarray, target: np.ndarray, u: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """log g on a main sequence, a subgiant branch or a giant branch, in the class's proportions."""
    nodes = [3100, 3500, 3900, 4500, 5200, 5800, 6300, 7000, 8000, 9900]
    main = np.interp(teff, nodes, [5.08, 4.88, 4.70, 4.62, 4.54, 4.40, 4.24, 4.18, 4.12, 4.05])
    main = main + 0.05 * normal[:, 4] - 0.10 * np.abs(normal[:, 5]) * np.isin(target, (1, 2))
    # Evolved A and F stars cross the Hertzsprung gap; G subgiants climb.
    lowest = np.interp(teff, [5250, 6000, 7000, 9900], [3.3, 3.5, 3.35, 3.1])
    evolved = lowest + (main - lowest) * u[:, 6]
    branch = 2.55 + (teff - 4800 + 330 * np.clip(feh, -1.5, 0.5)) / 430 + 0.16 * normal[:, 4]
    clump = (np.abs(teff - 4900) < 350) & (u[:, 7] < 0.35)
    branch = np.where(clump, 2.45 + 0.09 * normal[:, 4], branch)
    branch = np.clip(branch, 0.2, 3.6)
    giant_share = np.interp(
        teff, [3100, 3300, 3700, 4000, 4900, 5300, 5700, 6000], [0, 0.25, 0.4, 0.5, 0.6, 0.4, 0.2, 0]
    )
    evolved_share = np.interp(teff, [5000, 5600, 6500, 9900], [0.05, 0.3, 0.4, 0.45])
    return np.where(u[:, 20] < giant_share, branch, np.where(u[:, 21] < evolved_share, evolved, main))


def _abundances(feh: np.ndarray, logg: np.ndarray, component: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """(n, 21) abundances over iron: the alpha plane of the discs and the halo, trends, mixing, own scatter."""
    thin = 0.02 - 0.14 * np.clip(feh, -1.0, 0.5)
    thick = 0.30 - 0.22 * np.clip(feh + 0.7, 0, 1.2)
    alpha = np.choose(component, [thin, thick, 0.30 + 0 * feh]) + 0.035 * normal[:, 24]
    mixing = np.clip((3.4 - logg) / 1.2, 0, 1)
    capped = np.clip(feh, -1.2, 0.5)
    columns = []
    for index, name in enumerate(ABUNDANCE_NAMES):
        a, b, c, own = _ENRICHMENT[name]
        columns.append(a * alpha + b * capped + c * mixing + own * normal[:, 30 + index])
    xfe = np.stack(columns, 1)
    # Two ways to measure one element: the labels differ only by what the methods leave (dex).
    for name, twin in (("ci_fe", "c_fe"), ("tiii_fe", "ti_fe")):
        xfe[:, ABUNDANCE_NAMES.index(name)] = xfe[:, ABUNDANCE_NAMES.index(twin)] + 0.04 * normal[:, 60 + len(name)]
    return xfe


def subclass(teff: np.ndarray, logg: np.ndarray, wobble: np.ndarray) -> np.ndarray:
    """LAMOST-like subclass ('A5V', 'F9', 'K3', 'dM2', 'gM0') of stars (n,).

    wobble: template mismatch in subtypes, added before rounding, so that stars near a border may change letter.
    """
    edges = np.array(CLASS_EDGES)
    # Subtypes: ten to a class, K only to K7, M only to M6.
    number = np.array([10, 10, 10, 8, 7])
    start = np.concatenate([[0], np.cumsum(number)])
    position = np.interp(-teff, -edges, start) + wobble
    position = np.clip(position, 0, start[-1] - 0.01)
    letter = np.searchsorted(start, position, side="right") - 1
    digit = np.floor(position - start[letter]).astype(int)
    out = []
    for index, sub, gravity in zip(letter, digit, logg, strict=True):
        name = f"{CLASSES[index]}{sub}"
        if index == 0:
            name += "V" if gravity > 3.8 else "IV"
        elif index == 4:
            name = ("d" if gravity > 3.5 else "g") + name
        out.append(name)
    return np.array(out)
