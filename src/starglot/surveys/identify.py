"""Single files of spectra, told apart by what is in them: each survey says which are its own, and reads them.

As in astropy and specutils: identify, then read.  A survey whose files can be given by themselves has an entry in
``FILE_READERS``; whatever its catalogue, its place on the disk or the file's name are does not matter.  Tables of
wavelength and flux that are no survey's are read by :mod:`starglot.surveys.plain_spectrum`, those of a spectrum a row
by :mod:`starglot.surveys.spectra_table`, images of one axis by :mod:`starglot.surveys.spectrum_image`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from starglot.formats.file_kind import is_fits
from starglot.formats.fits_bytes import NotReadable, Unit, inflate, units
from starglot.registry import Registry
from starglot.spectra.raw import RawSpectrum
from starglot.spectra.rejection import SpectrumRejected
from starglot.surveys.desi_spectra import is_desi, read_coadd
from starglot.surveys.gaia_xp_spectra import is_gaia_xp, read_all
from starglot.surveys.lamost_spectrum import is_lamost, read_spectrum
from starglot.surveys.plain_spectrum import PLAIN, PlainSpectrum, read_plain
from starglot.surveys.sdss_spectrum import is_sdss, read_sdss_spectrum
from starglot.surveys.spectra_table import spectra_of_rows
from starglot.surveys.spectrum_image import read_image


@dataclass(frozen=True)
class FileSpectrum:
    """A spectrum of a file: its name there ('' in a file of one), and what it is, or why it cannot be used.

    assumed: what its file does not say and was taken to be so, done: what was done to it; in words.
    """

    name: str
    spectrum: RawSpectrum | SpectrumRejected
    assumed: tuple[str, ...] = ()
    done: tuple[str, ...] = ()

    @classmethod
    def plain(cls, name: str, found: PlainSpectrum) -> FileSpectrum:
        """Of a table, an image or arrays."""
        return cls(name, found.spectrum, tuple(found.assumed), tuple(found.done))


@dataclass(frozen=True)
class FileReader:
    """A survey's files, one at a time.

    owns: whether a FITS file with these header and data units is the survey's; read: its spectra.  ``read`` may raise
    SpectrumRejected for a file that cannot be used as a whole.
    """

    owns: Callable[[Sequence[Unit]], bool]
    read: Callable[[Path], list[FileSpectrum]]


def _one(read: Callable[[Path], RawSpectrum]) -> Callable[[Path], list[FileSpectrum]]:
    """The reader of files that hold one spectrum each."""
    return lambda path: [FileSpectrum("", read(path))]


def _coadd(path: Path) -> list[FileSpectrum]:
    """The targets of a DESI coadd, by TARGETID."""
    coadd = read_coadd(path)
    return [FileSpectrum(str(target), coadd.spectrum(row)) for row, target in enumerate(coadd.targets)]


def _sampled(path: Path) -> list[FileSpectrum]:
    """The sources of a file of Gaia XP spectra."""
    return [FileSpectrum(source, spectrum) for source, spectrum in read_all(path)]


#: Surveys whose files are recognised, in the order in which they are tried.
FILE_READERS: Registry[FileReader] = Registry(
    {
        "lamost": FileReader(is_lamost, _one(read_spectrum)),
        "desi": FileReader(is_desi, _coadd),
        "gaia_xp": FileReader(is_gaia_xp, _sampled),
        "sdss": FileReader(is_sdss, _one(read_sdss_spectrum)),
    }
)


def read_file(path: Path, air: bool = False) -> tuple[str, list[FileSpectrum]]:
    """Whose file it is (a key of ``FILE_READERS``, or ``PLAIN``), and its spectra.

    air: whether wavelengths of a table or an image that does not say are those in air; a survey's are known.

    Raises SpectrumRejected for a file that is not there, that cannot be read, or that holds no spectrum.
    """
    try:
        content = inflate(path.read_bytes())
    except FileNotFoundError:
        raise SpectrumRejected("file_missing", "no such file") from None
    except OSError as error:
        raise SpectrumRejected("file_unreadable", error.strerror or type(error).__name__) from error
    except NotReadable as error:
        raise SpectrumRejected("file_unreadable", str(error)) from error
    if is_fits(content):
        try:
            found = units(content)
            owner = next((survey for survey, reader in FILE_READERS.items() if reader.owns(found)), None)
        except NotReadable as error:
            raise SpectrumRejected("file_unreadable", str(error)) from error
        if owner is not None:
            return owner, FILE_READERS[owner].read(path)
        if (in_image := read_image(path, air)) is not None:
            return PLAIN, [FileSpectrum.plain("", in_image)]
    # The bytes of a FITS table can look like text with numbers in brackets.
    elif (rows := spectra_of_rows(content, path.name)) is not None:
        return PLAIN, [
            FileSpectrum(name, each) if isinstance(each, SpectrumRejected) else FileSpectrum.plain(name, each)
            for name, each in rows
        ]
    return PLAIN, [FileSpectrum.plain("", read_plain(path, air))]
