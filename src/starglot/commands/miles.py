"""Lay the stars of the MILES library out as a LAMOST release, to train on real stars (docs/real-stars.md).

LIBRARY holds the spectra as FITS files and the table of labels, paramsMILES_v9.1.txt.  Stars and labels are real;
visits, radial velocities and noise are drawn.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from starglot.folders import make_folders, require_folders
from starglot.mock.miles import write_miles


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
    return made


def run(arguments: Sequence[str]) -> None:
    """Write the release; say what is in it."""
    given = parser().parse_args(arguments)
    require_folders(given.out)
    make_folders(given.out)
    counts = write_miles(given.library, given.out, given.visits, tuple(given.snr), given.seed)
    print(f"{given.out}: " + ", ".join(f"{count:,} {what}" for what, count in counts.items() if count))
