"""Every label, class and column name of the project, named once.

Paper: table 1 and sections 2-3 of "Spectra as Language".  Units: K for Teff, dex for the rest.
"""

from __future__ import annotations

from dataclasses import dataclass

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


ATMOSPHERE: tuple[Label, ...] = (
    Label("teff", "TEFF", "Teff", "Teff", "K", 0, 2000.0, 60000.0),
    Label("logg", "LOGG", "logg", "log g", "dex", 2, -1.5, 9.0),
    Label("feh", "FE_H", "[Fe/H]", "[Fe/H]", "dex", 2, -6.0, 2.0),
)

#: The 21 labels of the second stage, in the order of the paper's table 1.
ABUNDANCES: tuple[Label, ...] = tuple(
    _abundance(asked, display)
    for asked, display in {
        "C_FE": "[C/Fe]",
        "CI_FE": "[C I/Fe]",
        "N_FE": "[N/Fe]",
        "O_FE": "[O/Fe]",
        "MG_FE": "[Mg/Fe]",
        "AL_FE": "[Al/Fe]",
        "SI_FE": "[Si/Fe]",
        "S_FE": "[S/Fe]",
        "MN_FE": "[Mn/Fe]",
        "NI_FE": "[Ni/Fe]",
        "CA_FE": "[Ca/Fe]",
        "NA_FE": "[Na/Fe]",
        "P_FE": "[P/Fe]",
        "K_FE": "[K/Fe]",
        "TI_FE": "[Ti/Fe]",
        "TIII_FE": "[Ti II/Fe]",
        "CR_FE": "[Cr/Fe]",
        "CO_FE": "[Co/Fe]",
        "CU_FE": "[Cu/Fe]",
        "V_FE": "[V/Fe]",
        "CE_FE": "[Ce/Fe]",
    }.items()
)

LABELS: dict[str, Label] = {label.name: label for label in (*ATMOSPHERE, *ABUNDANCES)}
ABUNDANCE_NAMES: tuple[str, ...] = tuple(label.name for label in ABUNDANCES)
ATMOSPHERE_NAMES: tuple[str, ...] = tuple(label.name for label in ATMOSPHERE)

#: Why a selected spectrum has no cleaned flux.  Closed: ``clean`` writes no other code.
REJECTIONS: dict[str, str] = {
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

#: Outcome of reading one label out of an answer.
STATUSES: tuple[str, ...] = ("ok", "unparsable", "not_answered", "out_of_range")
