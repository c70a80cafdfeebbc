"""How flux becomes text: integers first, then characters (:mod:`starglot.flux_text`), and both ways back.

A codec is a pure function of one spectrum and the encoding's settings: it knows no statistics of a training set,
so that a star's question is the same in every sample.

Values are integers ready to be written:

- ``as_is``: thousandths of the normalised flux (paper 2.1, three decimals, half to even);
- ``continuum``: flux / smooth continuum, with 500 for the continuum itself, 0 for no flux and 1000 for twice the
  continuum, stretched by an inverse hyperbolic sine in between: weak lines, which carry the metals, take five times
  the range that they had on a straight scale, and deep bands still fit.  Ten coarse values
  1000 x (1 + log10(mean flux) / 2) follow, which put 0.01 to 1 on 0 to 1000.

With ``bin`` above 1 the mean of each bin is divided by the largest bin of the spectrum first.  Packed and continuum
values are clipped to 0..999 (1.000 is written 999: a fourth digit would shift all that follow); the paper's own form
keeps negative values and 1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from starglot.config.digits import Digits
from starglot.config.root import Encoding, Wavelength
from starglot.errors import StarglotError
from starglot.flux_text import FLUX_TEXTS
from starglot.language.digit_text import digit_form, integers, scaled, values_of
from starglot.spectra.continuum import FLOOR, coarse_log_flux, smooth_continuum
from starglot.spectra.rebin import rebin
from starglot.tables import FLUX_SCALE

#: Written value of the continuum itself.
CONTINUUM_VALUE = 500
#: Depths (or heights) well below this are written in proportion, those well above in their logarithm.
WEAK = 0.05
_STRETCH = CONTINUUM_VALUE / np.arcsinh(1 / WEAK)
#: Coarse values at the end of a continuum-divided spectrum.
COARSE = 10

#: Rounds of :meth:`Codec.flux` for a continuum; on stellar spectra three already reach the rounding error.
_ROUNDS = 4

#: The largest number of three digits.
_HIGHEST = 999


class Codec:
    """An encoding on a wavelength grid: int16 flux to values to text, and back."""

    def __init__(self, encoding: Encoding, wavelength: Wavelength):
        """Raises StarglotError when a bin is wider than the grid."""
        if encoding.bin > wavelength.size:
            raise StarglotError(
                f"a bin of {encoding.bin} values is wider than the wavelength grid",
                where="encodings: bin",
                allowed=f"1 to {wavelength.size}",
                todo="lower `bin`",
            )
        self.encoding = encoding
        self.wavelength = wavelength
        #: How digits are written, of an encoding that writes some.
        self.digits = (encoding.digits or Digits()) if encoding.form == "digits" else None
        self.form = digit_form(self.digits) if self.digits else FLUX_TEXTS[encoding.form]
        #: Number of flux values after binning (what is left over at the red end is dropped).
        self.n_bins = wavelength.size // encoding.bin
        #: Number of coarse log-flux values that follow them.
        self.n_coarse = min(COARSE, self.n_bins) if encoding.preparation == "continuum" else 0
        #: Number of values written for a spectrum.
        self.n_values = self.n_bins + self.n_coarse

    # ------------------------------------------------------------ flux and values

    def values(self, flux: ArrayLike) -> NDArray[np.int16]:
        """(n, grid) stored int16 flux (1000 x normalised flux) to (n, n_values) integers to write."""
        stored = np.asarray(flux)
        if stored.ndim != 2 or stored.shape[1] != self.wavelength.size:
            raise StarglotError(
                f"spectra of shape {stored.shape} do not fit the wavelength grid",
                where="recipes: wavelength",
                allowed=f"(n, {self.wavelength.size})",
                todo="clean the spectra again with this grid: snakemake clean",
            )
        if self.encoding.bin == 1 and not self.n_coarse and not self.digits:  # the stored thousandths are the values
            return stored.clip(self.form.low, self.form.high).astype(np.int16)
        return self.values_from_binned(rebin(stored, self.encoding.bin) / FLUX_SCALE)

    def values_from_binned(self, binned: ArrayLike) -> NDArray[np.int16]:
        """(n, n_bins) float flux of the bins, on any positive scale when bin > 1, to (n, n_values) integers.

        It is what training calls after changing what :meth:`flux` gave back.
        """
        flux = np.asarray(binned, dtype=np.float64)
        if self.digits:
            numbers = integers(scaled(flux, self.digits)[0], self.digits)
            return numbers.clip(self.form.low, self.form.high).astype(np.int16)
        if self.encoding.bin > 1 or self.n_coarse:
            peak = flux.max(axis=1, keepdims=True)
            flux = flux / np.where(peak > 0, peak, 1.0)
        if not self.n_coarse:
            return np.rint(FLUX_SCALE * flux).clip(self.form.low, self.form.high).astype(np.int16)
        fine = CONTINUUM_VALUE + _STRETCH * np.arcsinh((flux / smooth_continuum(flux) - 1) / WEAK)
        coarse = 1000 * (1 - coarse_log_flux(flux, self.n_coarse) / np.log(FLOOR))
        low, high = max(0, self.form.low), min(_HIGHEST, self.form.high)
        values: NDArray[np.int16] = np.rint(np.concatenate([fine, coarse], axis=1)).clip(low, high).astype(np.int16)
        return values

    def flux(self, values: ArrayLike) -> NDArray[np.float64]:
        """(n, n_values) integers to (n, n_bins) float flux of the bins: :meth:`values` undone.

        ``as_is`` is exact but for rounding and clipping.  ``continuum`` finds the continuum whose coarse means are
        those written and which is the smooth continuum of its own product with the written ratios; where nothing was
        clipped this is right to a few thousandths of the maximum, and writing it again gives the same values within
        one or two units.
        """
        if self.digits:  # scaled values: offset and scale are not written, and scaling them again changes nothing
            return np.asarray(values_of(values, self.digits))
        written = np.asarray(values, dtype=np.float64)
        if not self.n_coarse:
            return written / FLUX_SCALE
        ratio: NDArray[np.float64] = 1 + WEAK * np.sinh((written[:, : self.n_bins] - CONTINUUM_VALUE) / _STRETCH)
        wanted = (written[:, self.n_bins :] / 1000 - 1) * -np.log(FLOOR)
        continuum: NDArray[np.float64] = np.exp(self._spread(wanted))
        for _ in range(_ROUNDS):
            continuum = smooth_continuum(ratio * continuum)
            continuum = continuum * np.exp(self._spread(wanted - coarse_log_flux(ratio * continuum, self.n_coarse)))
        return ratio * continuum

    def _spread(self, coarse: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, n_coarse) values at the middles of their stretches, interpolated linearly to (n, n_bins)."""
        stretches = np.array_split(np.arange(self.n_bins, dtype=np.float64), self.n_coarse)
        middles = np.array([stretch.mean() for stretch in stretches])
        at = np.arange(self.n_bins)
        return (
            np.stack([np.interp(at, middles, row) for row in coarse]) if len(coarse) else np.empty((0, self.n_bins))
        )

    # ------------------------------------------------------------ values and text

    def text(self, values: ArrayLike) -> str:
        """(n_values,) integers of one spectrum as the text between ``<flux>`` and ``</flux>``."""
        return self.form.text(values)

    def parse(self, text: str) -> NDArray[np.int16]:
        """The (n_values,) integers of a flux text; the inverse of :meth:`text`.

        Raises StarglotError for anything else than this encoding's text on this grid.
        """
        values = self.form.values(text)
        if values is None or len(values) != self.n_values:
            raise StarglotError(
                f"this flux text ({len(text)} characters) is not of the encoding",
                where=repr(text[:60]),
                allowed=f"{self.n_values} values of the form '{self.encoding.form}', as in "
                f"{self.form.text([303, 307, 310])!r}",
                todo="rebuild the questions with this encoding and grid: snakemake qa",
            )
        return values
