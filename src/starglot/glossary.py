"""Every label, class and column name of the project, named once.

Paper: table 1 and sections 2-3 of "Spectra as Language".  Units: K for Teff, dex for the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from starglot.registry import Registry

CLASSES: tuple[str, ...] = ("A", "F", "G", "K", "M")
SPLITS: tuple[str, ...] = ("train", "val", "test")
SNR_BANDS: tuple[str, ...] = ("u", "g", "r", "i", "z")


@dataclass(frozen=True)
class Label:
    """A numeric stellar label.

    name: column name everywhere in the project; apogee: APOGEE allStar column;
    asked: how questions and answers spell it; display: for tables and figures;
    decimals: digits kept when answers are rounded; low, high: values outside are no star's.
    """

    name: str
    apogee: str
    asked: str
    display: str
    unit: str
    decimals: int
    low: float
    high: float

    @property
    def error(self) -> str:
        """Name of the column that holds this label's 1-sigma error."""
        return f"{self.name}_err"


def _abundance(asked: str, display: str) -> Label:
    return Label(asked.lower(), asked, asked, display, "dex", 2, -3.0, 3.0)


TEFF = Label("teff", "TEFF", "Teff", "Teff", "K", 0, 2000.0, 60000.0)
LOGG = Label("logg", "LOGG", "logg", "log g", "dex", 2, -1.5, 9.0)
FEH = Label("feh", "FE_H", "[Fe/H]", "[Fe/H]", "dex", 2, -6.0, 2.0)
C_FE = _abundance("C_FE", "[C/Fe]")
CI_FE = _abundance("CI_FE", "[C I/Fe]")
N_FE = _abundance("N_FE", "[N/Fe]")
O_FE = _abundance("O_FE", "[O/Fe]")
MG_FE = _abundance("MG_FE", "[Mg/Fe]")
AL_FE = _abundance("AL_FE", "[Al/Fe]")
SI_FE = _abundance("SI_FE", "[Si/Fe]")
S_FE = _abundance("S_FE", "[S/Fe]")
MN_FE = _abundance("MN_FE", "[Mn/Fe]")
NI_FE = _abundance("NI_FE", "[Ni/Fe]")
CA_FE = _abundance("CA_FE", "[Ca/Fe]")
NA_FE = _abundance("NA_FE", "[Na/Fe]")
P_FE = _abundance("P_FE", "[P/Fe]")
K_FE = _abundance("K_FE", "[K/Fe]")
TI_FE = _abundance("TI_FE", "[Ti/Fe]")
TIII_FE = _abundance("TIII_FE", "[Ti II/Fe]")
CR_FE = _abundance("CR_FE", "[Cr/Fe]")
CO_FE = _abundance("CO_FE", "[Co/Fe]")
CU_FE = _abundance("CU_FE", "[Cu/Fe]")
V_FE = _abundance("V_FE", "[V/Fe]")
CE_FE = _abundance("CE_FE", "[Ce/Fe]")

#: The labels of the first stage, and the 21 of the second, in the order of the paper's table 1.
ATMOSPHERE: tuple[Label, ...] = (TEFF, LOGG, FEH)
ABUNDANCES: tuple[Label, ...] = (
    C_FE,
    CI_FE,
    N_FE,
    O_FE,
    MG_FE,
    AL_FE,
    SI_FE,
    S_FE,
    MN_FE,
    NI_FE,
    CA_FE,
    NA_FE,
    P_FE,
    K_FE,
    TI_FE,
    TIII_FE,
    CR_FE,
    CO_FE,
    CU_FE,
    V_FE,
    CE_FE,
)
ATMOSPHERE_NAMES: tuple[str, ...] = tuple(label.name for label in ATMOSPHERE)
ABUNDANCE_NAMES: tuple[str, ...] = tuple(label.name for label in ABUNDANCES)

#: Every label that a task can ask for.
LABELS: Registry[Label] = Registry(
    {
        "teff": TEFF,
        "logg": LOGG,
        "feh": FEH,
        "c_fe": C_FE,
        "ci_fe": CI_FE,
        "n_fe": N_FE,
        "o_fe": O_FE,
        "mg_fe": MG_FE,
        "al_fe": AL_FE,
        "si_fe": SI_FE,
        "s_fe": S_FE,
        "mn_fe": MN_FE,
        "ni_fe": NI_FE,
        "ca_fe": CA_FE,
        "na_fe": NA_FE,
        "p_fe": P_FE,
        "k_fe": K_FE,
        "ti_fe": TI_FE,
        "tiii_fe": TIII_FE,
        "cr_fe": CR_FE,
        "co_fe": CO_FE,
        "cu_fe": CU_FE,
        "v_fe": V_FE,
        "ce_fe": CE_FE,
    }
)

#: Why a selected spectrum has no cleaned flux.  Closed: ``clean`` writes no other code.
Rejection = Literal[
    "file_missing",
    "file_unreadable",
    "layout_unknown",
    "lengths_differ",
    "flux_not_finite",
    "wavelength_not_increasing",
    "no_good_pixel",
    "too_few_good_pixels",
    "range_not_covered",
    "not_positive",
    "out_of_int16",
]
#: What each of them means, for whoever reads a table of them.
REJECTIONS: Registry[str] = Registry(
    {
        "file_missing": "the catalogue lists the file, the disk does not have it",
        "file_unreadable": "the file cannot be opened or is cut off",
        "layout_unknown": "neither a COADD table nor a flux image of a known layout",
        "lengths_differ": "flux, ivar, wavelength and mask are not of one length",
        "flux_not_finite": "the flux has NaN or infinite values at unmasked pixels",
        "wavelength_not_increasing": "the wavelengths are not finite and increasing",
        "no_good_pixel": "every pixel is masked",
        "too_few_good_pixels": "fewer good pixels than the recipe asks for",
        "range_not_covered": "good pixels do not reach the ends of the wavelength grid",
        "not_positive": "the normalising flux value is not positive",
        "out_of_int16": "a normalised value is beyond the stored range of +-32",
    }
)

#: Outcome of reading one label out of an answer.
STATUSES: tuple[str, ...] = ("ok", "unparsable", "not_answered", "out_of_range")
