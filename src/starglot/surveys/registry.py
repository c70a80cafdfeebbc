"""The surveys, by their names in the configuration.

Catalogues, files and spectra are registries of their own: an edit of one reader must not run the others again.
"""

from __future__ import annotations

from starglot.registry import Registry
from starglot.surveys import apogee, gaia_eso, galah, lamost, lamost_spectra, synthetic
from starglot.surveys.protocol import FindFiles, LabelSurvey, ReadSpectra

CATALOGS: Registry[LabelSurvey] = Registry(
    {
        "lamost": lamost,
        "apogee": apogee,
        "galah": galah,
        "gaia_eso": gaia_eso,
        "synthetic": synthetic,
    }
)

FILES: Registry[FindFiles] = Registry(
    {
        "lamost": lamost_spectra.find_files,
        "synthetic": synthetic.find_files,
    }
)

SPECTRA: Registry[ReadSpectra] = Registry(
    {
        "lamost": lamost_spectra.read,
        "synthetic": synthetic.read,
    }
)
