"""What a survey is to the rest of the package: a source of labels, of spectra, or of both (docs/extending.md).

A module of this package is a label survey as it is; of one with spectra, two functions are asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from starglot.config.surveys.common import Survey
from starglot.formats.counts import Counts
from starglot.spectra.raw import RawSpectrum
from starglot.spectra.rejection import SpectrumRejected


class LabelSurvey(Protocol):
    """A survey's catalogue."""

    #: Its part of the configuration.
    SETTINGS: type[Survey]

    def read_catalog(self, settings: Any, counts: Counts) -> pa.Table:
        """The catalogue in the project's column names and units, null for missing; its flags and limits are applied.

        settings: of :attr:`SETTINGS`; counts: takes the account of rows and values that were left out.

        Every table has ra, dec (deg), gaia_source_id and the labels of ``SETTINGS.brings``.  One of a survey with
        spectra has obsid (int64, unique), shard and the columns of ``SETTINGS.places``, too; another one the column
        ``SETTINGS.star``.  What else is known of spectra (obsdate, class, snr_{band}, teff, logg, feh) or of stars
        (gaia_release, epoch, pmra, pmdec), and the labels' errors, is null where the table does not have it.
        """


class FindFiles(Protocol):
    """Of a survey whose spectra are read: where they are, one or many in a file."""

    def __call__(self, candidates: pa.Table, root: Path) -> pa.Table:
        """Where each candidate's spectrum is: ``tables.FILES``, a row for each of ``candidates``, in their order.

        candidates: rows of the catalogue; root: the folder of the spectra.  A file that is not there has size and
        mtime null.  Raises StarglotError for a folder that cannot be listed.
        """


class ReadSpectra(Protocol):
    """Of the same survey: what is in its files."""

    def __call__(self, rows: pa.Table, root: Path) -> Iterator[tuple[int, RawSpectrum | SpectrumRejected]]:
        """The spectra of ``rows`` (``tables.SELECTED``): each obsid once, with its spectrum or the reason why not.

        All rows of one file come together, so that it is opened once; a file that cannot be used is a reason of
        every one of them, never an error.
        """
