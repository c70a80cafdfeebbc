"""Why a selected spectrum has no cleaned flux: every reason, named once."""

from __future__ import annotations

from typing import Literal

from starglot.registry import Registry

#: Why a selected spectrum has no cleaned flux.  Closed: ``clean`` writes no other code.
Rejection = Literal[
    "file_missing",
    "not_in_file",
    "not_a_target",
    "file_unreadable",
    "layout_unknown",
    "lengths_differ",
    "flux_not_finite",
    "wavelength_not_increasing",
    "other_pixels",
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
        "not_in_file": "the file of many spectra has none of this name",
        "not_a_target": "the fibre saw the sky or nothing, by the file's own table",
        "file_unreadable": "the file cannot be opened or is cut off",
        "layout_unknown": "neither a COADD table nor a flux image of a known layout",
        "lengths_differ": "flux, ivar, wavelength and mask are not of one length",
        "flux_not_finite": "the flux has NaN or infinite values at unmasked pixels",
        "wavelength_not_increasing": "the wavelengths are not finite and increasing",
        "other_pixels": "the recipe does not resample, and the spectrum's pixels are not those of its grid",
        "no_good_pixel": "every pixel is masked",
        "too_few_good_pixels": "fewer good pixels than the recipe asks for",
        "range_not_covered": "good pixels do not reach the ends of the wavelength grid",
        "not_positive": "the normalising flux value is not positive",
        "out_of_int16": "a normalised value is beyond the stored range of +-32",
    }
)
