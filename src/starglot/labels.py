"""What can be known of a spectrum: every label, named once, with its unit, its range and how its error is taken.

Paper: table 1 and sections 2-3 of "Spectra as Language".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from starglot.registry import Registry

#: The spectral classes of the paper, from hot to cool.
CLASSES: tuple[str, ...] = ("A", "F", "G", "K", "M")


@dataclass(frozen=True)
class Residual:
    """How far predicted values lie from true ones.

    of: (truth, value), arrays (n,) in the label's unit, to the residual (n,); words: what figures call it.
    """

    words: str
    of: Callable[[np.ndarray, np.ndarray], np.ndarray]


def _difference(truth: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Value minus truth."""
    return np.asarray(value - truth)


DIFFERENCE = Residual("residual", _difference)


@dataclass(frozen=True)
class Label:
    """A number that a task can ask for.

    name: column name everywhere in the project; apogee: APOGEE allStar column;
    asked: how questions and answers spell it; display: for tables and figures;
    decimals: digits kept when answers are rounded; low, high: values outside are none that an object can have;
    residual: how the distance of a prediction from the truth is taken.
    """

    name: str
    apogee: str
    spelling: str
    display: str
    unit: str
    decimals: int
    low: float
    high: float
    residual: Residual = DIFFERENCE

    @property
    def error(self) -> str:
        """Name of the column that holds this label's 1-sigma error."""
        return f"{self.name}_err"


def _abundance(spelling: str, display: str) -> Label:
    return Label(spelling.lower(), spelling, spelling, display, "dex", 2, -3.0, 3.0)


TEFF = Label("teff", "TEFF", "Teff", "Teff", "K", 0, 2000.0, 60000.0)
LOGG = Label("logg", "LOGG", "logg", "log g", "dex", 2, -1.5, 9.0)
FEH = Label("feh", "FE_H", "[Fe/H]", "[Fe/H]", "dex", 2, -6.0, 2.0)
#: The mean of the alpha elements as a survey defines it; APOGEE: ALPHA_M + M_H - FE_H.
ALPHA_FE = Label("alpha_fe", "ALPHA_M", "ALPHA_FE", "[alpha/Fe]", "dex", 2, -2.0, 2.0)
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

REDSHIFT = Label(
    name="redshift",
    apogee="",
    spelling="Redshift",
    display="z",
    unit="",
    decimals=3,
    low=-0.02,
    high=8.0,
    residual=Residual("(z - z_true) / (1 + z_true)", lambda truth, value: (value - truth) / (1 + truth)),
)

#: Every label that a task can ask for.
LABELS: Registry[Label] = Registry(
    {
        "teff": TEFF,
        "logg": LOGG,
        "feh": FEH,
        "alpha_fe": ALPHA_FE,
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
        "redshift": REDSHIFT,
    }
)
