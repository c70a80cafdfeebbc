"""Gaia XP continuous spectra, which are coefficients: GaiaXPy, an extra of the package, samples them.

Files are those of the archive: CSV or ECSV (compressed or not), FITS, VOTable.  The sampling is that of the archive's
sampled spectra, so that both mean the same.
"""

from __future__ import annotations

import contextlib
import io
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
from numpy.typing import NDArray

from starglot.extras import EXTRAS
from starglot.spectra.rejection import SpectrumRejected
from starglot.surveys.gaia_xp_text import text_batches

#: A column that continuous spectra have and sampled ones do not.
SIGN = "bp_coefficients"

#: Flux and its error (W m-2 nm-1).
FluxError: TypeAlias = tuple[NDArray[np.float64], NDArray[np.float64]]


def require_gaiaxpy() -> None:
    """Raise SpectrumRejected where GaiaXPy is not installed."""
    if find_spec("gaiaxpy") is None:
        raise SpectrumRejected(
            "layout_unknown",
            f"continuous spectra (coefficients): pip install 'starglot[{EXTRAS['gaiaxpy']}]', "
            "or sample them with GaiaXPy's calibrate",
        )


class Sampled:
    """The spectra of some sources of a file, sampled together when the first of them is wanted.

    wavelength: of the sampling, A; sources: whose spectra, None: all; text: whether the file is CSV or ECSV.
    """

    def __init__(self, path: Path, wavelength: NDArray[np.float64], sources: set[int] | None, text: bool):
        self.path, self.wavelength, self.text = path, wavelength, text
        self.sources = None if sources is None else [str(each) for each in sources]
        self._found: dict[int, FluxError] | SpectrumRejected | None = None

    def of(self, source: int) -> FluxError:
        """The spectrum of a source, NaN where it has none of a band.

        Raises SpectrumRejected where GaiaXPy gives none, or cannot read the file.
        """
        if self._found is None:
            try:
                self._found = self._sample()
            except Exception as error:  # what another library raises for a damaged file
                detail = f"GaiaXPy: {' '.join(str(error).split())[:200] or type(error).__name__}"
                self._found = SpectrumRejected("file_unreadable", detail)
        if isinstance(self._found, SpectrumRejected):
            raise self._found
        if source not in self._found:
            raise SpectrumRejected("no_good_pixel", "GaiaXPy gives no spectrum of this source")
        return self._found[source]

    def _sample(self) -> dict[int, FluxError]:
        progress = io.StringIO()
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(progress):
            from gaiaxpy import calibrate  # here, as it takes seconds, and writes to the stdout that it finds

            path = self._rows(Path(folder)) if self.text else self.path
            with contextlib.redirect_stderr(progress):
                table, _ = calibrate(str(path), sampling=self.wavelength / 10, save_file=False)
        return {
            int(source): (np.asarray(flux, float), np.asarray(error, float))
            for source, flux, error in zip(table["source_id"], table["flux"], table["flux_error"], strict=True)
        }

    def _rows(self, folder: Path) -> Path:
        """A plain CSV file of the sources: of a file's tens of thousands few may be wanted."""
        batches = text_batches(self.path, as_written=True)
        first = next(batches)
        with pyarrow.csv.CSVWriter(folder / "sources.csv", first.schema) as writer:
            for batch in (first, *batches):
                if self.sources is not None:
                    wanted = pa.array(self.sources, pa.string())
                    batch = batch.filter(pc.is_in(batch.column("source_id"), value_set=wanted))
                writer.write_batch(batch)
        return folder / "sources.csv"
