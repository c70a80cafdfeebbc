"""Lay the stars of the MILES library out as a LAMOST release, to train on real stars (docs/real-stars.md).

LIBRARY holds the spectra as FITS files and the table of labels, paramsMILES_v9.1.txt.  Stars and labels are real;
visits, radial velocities and noise are drawn.  With --desi each star is seen once by another instrument as well, laid
out as DESI's coadds and catalogue, to carry models from one to the other (docs/transfer.md).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from starglot.folders import make_folders, require_folders
from starglot.mock.miles import write_miles
from starglot.mock.miles_desi import Instrument


def parser() -> argparse.ArgumentParser:
    """Its arguments and options."""
    made = argparse.ArgumentParser(
        "starglot miles", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("library", type=Path, metavar="LIBRARY", help="folder of the library")
    made.add_argument("out", type=Path, metavar="OUT", help="folder of the release, data/miles for config/miles.yaml")
    made.add_argument("--visits", type=int, default=4, help="spectra of each star (4)")
    made.add_argument("--snr", type=float, nargs=2, default=(15.0, 120.0), help="between which S/N is drawn")
    made.add_argument("--seed", type=int, default=0, help="another seed is another noise (0)")
    other = made.add_argument_group("another instrument")
    plain = Instrument()
    other.add_argument("--desi", action="store_true", help="lay its spectra out, too, in OUT/desi")
    other.add_argument("--fwhm", type=float, default=plain.fwhm, help=f"of its lines, A ({plain.fwhm:g})")
    other.add_argument("--desi-snr", type=float, nargs=2, default=plain.snr, help="between which its S/N is drawn")
    other.add_argument(
        "--shift",
        type=float,
        default=plain.shift,
        help=f"its wavelengths are too long by this, A ({plain.shift:g})",
    )
    other.add_argument(
        "--slope",
        type=float,
        default=plain.slope,
        help=f"of its flux calibration along an arm, as a natural logarithm ({plain.slope:g})",
    )
    return made


def run(arguments: Sequence[str]) -> None:
    """Write the release; say what is in it."""
    given = parser().parse_args(arguments)
    require_folders(given.out)
    make_folders(given.out)
    again = Instrument(given.fwhm, tuple(given.desi_snr), given.shift, given.slope) if given.desi else None
    counts = write_miles(given.library, given.out, given.visits, tuple(given.snr), given.seed, again)
    print(f"{given.out}: " + ", ".join(f"{count:,} {what}" for what, count in counts.items() if count))
