"""Predict the spectrum of a star in the other view of an aligned base: Gaia XP from LAMOST, say, and back.

FILE is a spectrum, as for `starglot predict`, of one of the two surveys; --view says whose it is where the file does
not. The base needs decoders (`own` above 0). The table has a row for each wavelength of the other view: file, name,
view, wavelength (A, vacuum), flux in the units of its recipe.

Exit status: 0 every spectrum was translated; 1 none was, or the base cannot be used; 2 not understood; 3 some were
refused.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from starglot.commands.predict import SOME_REFUSED, quiet


def parser() -> argparse.ArgumentParser:
    """Its arguments and options."""
    made = argparse.ArgumentParser(
        "starglot translate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("files", nargs="+", metavar="FILE", help="spectra")
    made.add_argument("--base", type=Path, required=True, metavar="BASE", help="folder of an aligned base")
    made.add_argument("--view", metavar="SURVEY/RECIPE", help="whose spectrum it is, where a file does not show it")
    made.add_argument("--air", action="store_true", help="wavelengths are in air where a table does not say")
    made.add_argument("--out", type=Path, required=True, metavar="OUT", help="table to write")
    return made


def run(arguments: Sequence[str]) -> None:
    """Translate and write; end the process with another status than 0 where spectra were refused."""
    given = parser().parse_args(arguments)
    sys.exit(translate(given.files, given.base, given.out, given.view, given.air))


def translate(files: Sequence[str], base: Path, out: Path, view: str | None = None, air: bool = False) -> int:
    """The exit status of `starglot translate`; writes the spectra to ``out`` and says which were refused."""
    import pandas as pd

    from starglot.inference.aligned import AlignedPair, title
    from starglot.tables import atomic_path

    quiet()
    pair = AlignedPair(base)
    parts, refused, read = [], 0, 0
    for place, single in pair.spectra(files, view, air):
        read += 1
        if single.flux is None:
            refused += 1
            print(f"{title(single)}: refused: {single.problem}", file=sys.stderr)
            continue
        (flux,) = pair.translate(place, single.flux[None])
        about = {"file": single.file, "name": single.name, "view": pair.views[1 - place]}
        parts.append(pd.DataFrame({**about, "wavelength": pair.grid(1 - place), "flux": flux}))
        print(f"{title(single)}: {pair.views[place]} to {pair.views[1 - place]}")
    if parts:
        with atomic_path(out) as partial:
            pd.concat(parts).to_csv(partial, index=False)
    return 0 if not refused else SOME_REFUSED if refused < read else 1
