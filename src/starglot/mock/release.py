"""Write a mock release: LAMOST spectra and catalogues, three surveys that share its stars, and the truth."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pyarrow as pa
from tqdm import tqdm

from starglot.config.root import Mock
from starglot.hashing import stable_hash
from starglot.labels import ABUNDANCE_NAMES, CLASSES
from starglot.mock import catalogs
from starglot.mock.population import COMPONENTS, Population, uniforms
from starglot.mock.spectrum_files import BROKEN, Spectrum, write_spectrum
from starglot.mock.survey import (
    BANDS,
    BLOCK,
    Plate,
    Visits,
    lamost_labels,
    moved,
    observe,
    plan_visits,
    plates,
    sky_position,
    synthesise,
)
from starglot.mock.synthesis import LIGHT
from starglot.tables import write_parquet

log = logging.getLogger(__name__)

#: Paths of the catalogues under the release's folder.
STELLAR = "lamost/mock_LRS_stellar.fits.gz"
MSTELLAR = "lamost/mock_LRS_mstellar.fits.gz"
SPECTRA = "lamost/spectra"
ALLSTAR = "allStar-r12-l33.fits"
GALAH = "galah_dr4_allstar_240705.fits"
GAIA_ESO = "GES_DR5_public.fits"
TRUTH = "truth.parquet"
#: Shares of the stars in the validation surveys.
_GALAH_SHARE, _GAIA_ESO_SHARE = 0.12, 0.05
#: Years since J2000 of Gaia's positions; J2000 itself in years of 365.25 days on the scale of MJD.
_GAIA_EPOCH = 16.0
_J2000 = 51544.5 / 365.25


def write_release(out: Path, settings: Mock, seed: int | None = None) -> dict[str, object]:
    """Write a whole mock release under ``out`` and return its counts.

    The same settings and seed give the same bytes.  Star k, and visit v of star k, do not depend on how many spectra
    are asked for; ``seed`` overrides ``settings.seed``.  StarglotError when the spectra do not fit on the plates.
    """
    out = Path(out)
    seed = settings.seed if seed is None else seed
    fields = plates(settings.plates)
    visits, every = plan_visits(settings.spectra, settings.plates, seed)
    ra, dec = sky_position(every, settings.plates, fields)
    broken = _choose_broken(visits, settings.broken, settings.plates)
    rows = _write_spectra(out / SPECTRA, visits, every, (ra, dec), fields, broken, settings, seed)

    warm, cool = catalogs.lamost_tables(rows)
    catalogs.write_table(out / STELLAR, warm)
    catalogs.write_table(out / MSTELLAR, cool)
    observed = np.unique(visits.star)
    counts = _write_surveys(out, every, (ra, dec), observed, settings, seed)
    write_parquet(_truth(visits, every, rows, broken), out / TRUTH, {"seed": seed})
    return {
        "spectra": len(visits.star),
        "stars": len(observed),
        "plates": settings.plates,
        "broken": sum(b is not None for b in broken),
        "classes": catalogs.class_counts(every.target[visits.star]),
        **counts,
    }


def _choose_broken(visits: Visits, number: int, number_of_plates: int) -> list[str | None]:
    """Each spectrum's kind of damage, mostly None: plates and kinds take turns, hashes decide which spectrum."""
    out: list[str | None] = [None] * len(visits.star)
    hashes = stable_hash(visits.obsid.tolist(), "broken")
    queues = [
        sorted(np.flatnonzero(visits.plate == plate).tolist(), key=lambda i: int(hashes[i]))
        for plate in range(number_of_plates)
    ]
    kinds = list(BROKEN)
    made, plate = 0, 0
    while made < number and any(queues):
        queue = queues[plate % number_of_plates]
        plate += 1
        if queue:
            out[queue.pop(0)] = kinds[made % len(kinds)]
            made += 1
    return out


def _write_spectra(
    root: Path,
    visits: Visits,
    every: Population,
    position: tuple[np.ndarray, np.ndarray],
    fields: list[Plate],
    broken: list[str | None],
    settings: Mock,
    seed: int,
) -> dict[str, np.ndarray]:
    """Synthesise block by block and write every file; return the LAMOST catalogue's columns, one row a spectrum."""
    parts: list[dict[str, np.ndarray]] = []
    bar = tqdm(total=len(visits.star), desc="mock spectra", unit="spectrum", mininterval=2)
    for first in range(0, len(every.star), BLOCK):
        at = np.flatnonzero((visits.star >= first) & (visits.star < first + BLOCK))
        if not at.size:
            continue
        block = every.take(np.arange(first, first + BLOCK))
        rest = synthesise(block)[visits.star[at] - first]
        stars = every.take(visits.star[at])
        seen = observe(rest, stars, visits.visit[at], settings.snr, seed)
        labels = lamost_labels(stars, visits.visit[at], seen.snr["r"], seed)
        # A fibre stands where the star is that night.
        years = np.array([fields[p].lmjd for p in visits.plate[at]]) / 365.25 - _J2000
        ra, dec = moved(position[0][visits.star[at]], position[1][visits.star[at]], stars, years)
        for i, index in enumerate(at):
            n = int(seen.n_pixels[i])
            spectrum = Spectrum(
                flux=seen.flux[i, :n],
                ivar=seen.ivar[i, :n],
                mask=seen.mask[i, :n],
                plate=fields[visits.plate[index]],
                spid=int(visits.spid[index]),
                fiberid=int(visits.fiberid[index]),
                obsid=int(visits.obsid[index]),
                ra=float(ra[i]),
                dec=float(dec[i]),
                magnitude=float(stars.magnitude[i]),
                subclass=str(labels["subclass"][i]),
                redshift=float(labels["rv"][i]) / LIGHT,
                snr={band: float(seen.snr[band][i]) for band in BANDS},
            )
            write_spectrum(spectrum, root, broken[index])
            bar.update()
        parts.append(_catalog_rows(at, visits, stars, (ra, dec), fields, seen.snr, labels))
    bar.close()
    joined = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    order = np.argsort(np.concatenate([part["row"] for part in parts]))
    return {key: values[order] for key, values in joined.items()}


def _catalog_rows(
    at: np.ndarray,
    visits: Visits,
    stars: Population,
    position: tuple[np.ndarray, np.ndarray],
    fields: list[Plate],
    snr: dict[str, np.ndarray],
    labels: dict[str, np.ndarray],
) -> dict[str, np.ndarray]:
    """LAMOST catalogue columns of the visits ``at``; where the pipeline gave up, labels are -9999."""
    ra, dec = position
    plate = [fields[p] for p in visits.plate[at]]
    gp_id = np.array([f"G{star:013d}" for star in stars.star])
    numbers = {k: v for k, v in labels.items() if k not in ("subclass", "missing")}
    given_up = labels["missing"]
    for key in ("teff", "teff_err", "logg", "logg_err", "feh", "feh_err", "alpha_m", "alpha_m_err"):
        numbers[key] = np.where(given_up, catalogs.MISSING, numbers[key])
    return {
        "row": at,
        "obsid": visits.obsid[at],
        "uid": gp_id,
        "gp_id": gp_id,
        "designation": np.array([f"J{a:09.5f}{d:+09.5f}" for a, d in zip(ra, dec, strict=True)]),
        "obsdate": np.array([p.obsdate for p in plate]),
        "lmjd": np.array([p.lmjd for p in plate]),
        "planid": np.array([p.planid for p in plate]),
        "spid": visits.spid[at],
        "fiberid": visits.fiberid[at],
        "ra": ra,
        "dec": dec,
        **{f"snr_{band}": np.where(snr[band] < 0.05, catalogs.MISSING, snr[band]) for band in BANDS},
        "subclass": labels["subclass"].astype("U6"),
        "z": labels["rv"] / LIGHT,
        "gaia_source_id": np.array([str(k) if k else "" for k in stars.gaia_dr3]).astype("U19"),
        "magnitude": stars.magnitude,
        **numbers,
    }


def _write_surveys(
    out: Path,
    every: Population,
    position: tuple[np.ndarray, np.ndarray],
    observed: np.ndarray,
    settings: Mock,
    seed: int,
) -> dict[str, object]:
    """APOGEE, GALAH and Gaia-ESO tables of the shares of the observed stars that each survey has."""
    share = uniforms(seed, 8, observed, 3)
    counts: dict[str, object] = {}

    in_apogee = observed[share[:, 0] < settings.apogee_fraction]
    stars = every.take(in_apogee)
    ra, dec = position[0][in_apogee], position[1][in_apogee]
    columns, others = catalogs.apogee_table(stars, ra, dec, seed)
    catalogs.write_table(out / ALLSTAR, columns, *others)
    counts["apogee"] = len(in_apogee)

    in_galah = observed[share[:, 1] < _GALAH_SHARE]
    stars = every.take(in_galah)
    ra, dec = moved(position[0][in_galah], position[1][in_galah], stars, _GAIA_EPOCH)
    catalogs.write_table(out / GALAH, catalogs.galah_table(stars, ra, dec, seed))
    counts["galah"] = len(in_galah)

    in_eso = observed[share[:, 2] < _GAIA_ESO_SHARE]
    stars = every.take(in_eso)
    ra, dec = position[0][in_eso], position[1][in_eso]
    catalogs.write_table(out / GAIA_ESO, catalogs.gaia_eso_table(stars, ra, dec, seed))
    counts["gaia_eso"] = len(in_eso)
    return counts


def _truth(visits: Visits, every: Population, rows: dict[str, np.ndarray], broken: list[str | None]) -> pa.Table:
    """True parameters of every spectrum's star; no rule reads them."""
    stars = every.take(visits.star)
    columns: dict[str, pa.Array] = {
        "obsid": pa.array(visits.obsid, pa.int64()),
        "star": pa.array(visits.star, pa.int64()),
        "visit": pa.array(visits.visit, pa.int8()),
        "gaia_source_id": pa.array([str(k) if k else None for k in stars.gaia_dr3], pa.string()),
        "gaia_dr2_source_id": pa.array([str(k) if k else None for k in stars.gaia_dr2], pa.string()),
        "gp_id": pa.array(rows["gp_id"].tolist(), pa.string()),
        "class": pa.array([CLASSES[t] for t in stars.target], pa.string()),
        "ra": pa.array(rows["ra"]),
        "dec": pa.array(rows["dec"]),
        "pmra": pa.array(stars.pmra),
        "pmdec": pa.array(stars.pmdec),
        "component": pa.array([COMPONENTS[c] for c in stars.component], pa.string()),
        "teff": pa.array(stars.teff),
        "logg": pa.array(stars.logg),
        "feh": pa.array(stars.feh),
        **{name: pa.array(stars.xfe[:, i]) for i, name in enumerate(ABUNDANCE_NAMES)},
        "rv": pa.array(stars.rv),
        "ebv": pa.array(stars.ebv),
        "snr_r": pa.array(rows["snr_r"].astype(np.float64)),
        "broken": pa.array(broken, pa.string()),
    }
    return pa.table(columns)
