"""The surveys, by their names in the configuration.

Catalogues, files and spectra are registries of their own: an edit of one reader must not run the others again.
"""

from __future__ import annotations

from starglot.registry import Registry
from starglot.surveys import (
    apogee,
    desi,
    desi_spectra,
    gaia_eso,
    gaia_xp,
    gaia_xp_spectra,
    galah,
    lamost,
    lamost_spectra,
    sdss,
    sdss_spectra,
    synthetic,
)
from starglot.surveys.protocol import FindFiles, LabelSurvey, ReadSpectra

CATALOGS: Registry[LabelSurvey] = Registry(
    {
        "lamost": lamost,
        "apogee": apogee,
        "galah": galah,
        "gaia_eso": gaia_eso,
        "desi": desi,
        "gaia_xp": gaia_xp,
        "sdss": sdss,
        "synthetic": synthetic,
    }
)

FILES: Registry[FindFiles] = Registry(
    {
        "lamost": lamost_spectra.find_files,
        "desi": desi_spectra.find_files,
        "gaia_xp": gaia_xp_spectra.find_files,
        "sdss": sdss_spectra.find_files,
        "synthetic": synthetic.find_files,
    }
)

SPECTRA: Registry[ReadSpectra] = Registry(
    {
        "lamost": lamost_spectra.read,
        "desi": desi_spectra.read,
        "gaia_xp": gaia_xp_spectra.read,
        "sdss": sdss_spectra.read,
        "synthetic": synthetic.read,
    }
)
