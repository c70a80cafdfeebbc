"""Find the stars whose spectra are most like a given one, in both views of an aligned base.

FILE is a spectrum, as for `starglot predict`, of one of the two surveys; --view says whose it is where the file does
not. The stars looked among are those that the base was trained and judged on: each line says its split.

Exit status: 0 every spectrum was compared; 1 none was, or the base cannot be used; 2 not understood; 3 some were
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
        "starglot similar", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("files", nargs="+", metavar="FILE", help="spectra")
    made.add_argument("--base", type=Path, required=True, metavar="BASE", help="folder of an aligned base")
    made.add_argument(
        "--among", type=Path, metavar="TABLE", help="embeddings of stars; as they lie beside the base, unless named"
    )
    made.add_argument("--most", type=int, default=5, metavar="N", help="how many stars to list (5)")
    made.add_argument("--view", metavar="SURVEY/RECIPE", help="whose spectrum it is, where a file does not show it")
    made.add_argument("--air", action="store_true", help="wavelengths are in air where a table does not say")
    made.add_argument("--out", type=Path, metavar="OUT", help="write a table, too")
    return made


def run(arguments: Sequence[str]) -> None:
    """Compare, print, write; end the process with another status than 0 where spectra were refused."""
    understood = parser()
    given = understood.parse_args(arguments)
    if given.most < 1:
        understood.error(f"--most {given.most}: 1 or more")
    sys.exit(similar(given.files, given.base, given.among, given.most, given.view, given.air, given.out))


def similar(
    files: Sequence[str],
    base: Path,
    among: Path | None = None,
    most: int = 5,
    view: str | None = None,
    air: bool = False,
    out: Path | None = None,
) -> int:
    """The exit status of `starglot similar`; prints the stars and writes them to ``out``."""
    import pandas as pd

    from starglot.inference.aligned import AlignedPair, Library, title
    from starglot.tables import atomic_path

    quiet()
    pair = AlignedPair(base)
    library = Library(among or base.parent.parent / "embeddings" / f"{base.name}.parquet", pair)
    found, refused, read = [], 0, 0
    for place, single in pair.spectra(files, view, air):
        read += 1
        if single.flux is None:
            refused += 1
            print(f"\n{title(single)}: refused: {single.problem}")
            continue
        print(f"\n{title(single)}: read as {pair.views[place]}")
        (embedding,) = pair.embed(place, single.flux[None])
        for there in (1 - place, place):
            stars = library.nearest(embedding, there, most)
            print(f"  most similar in {pair.views[there]}")
            for row in stars.itertuples():
                print(f"    {row.rank:>3}  {row.similarity:.4f}  {row.star_id}  obsid {row.obsid}  ({row.split})")
            about = {"file": single.file, "name": single.name, "view": pair.views[there]}
            found.append(stars.assign(**about)[[*about, *stars.columns]])
    if out is not None and found:
        with atomic_path(out) as partial:
            pd.concat(found).to_csv(partial, index=False)
    return 0 if not refused else SOME_REFUSED if refused < read else 1
