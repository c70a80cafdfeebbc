"""Apply a trained model to many spectra: a catalogue with values, uncertainties and flags, a row each.

--spectra is a folder (its files, and those in folders below it), or a list of files: text with a path a line, or a
table (CSV, FITS, Parquet) with a column `file`, and perhaps `class`, the class that is known of each.

Files are answered in shards.  A run that is stopped or killed goes on where it was when the same command is given
again: what is done lies in a folder beside the catalogue, and goes when the catalogue is there.

Exit status: 0 every spectrum was answered; 1 none was, or it cannot be done; 2 not understood; 3 some were rejected:
they have a row, with the reason.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from starglot.cli import ProgressLines, Stopped, end_when_told
from starglot.commands.predict import SOME_REFUSED, quiet
from starglot.errors import StarglotError
from starglot.folders import require_writable

#: Endings of `--out`.
ENDINGS = (".parquet", ".fits")


def parser() -> argparse.ArgumentParser:
    """Its arguments and options."""
    made = argparse.ArgumentParser(
        "starglot apply", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument(
        "--model", required=True, metavar="MODEL", help="its folder, a .zip of it, or hf:OWNER/NAME[@REVISION]"
    )
    made.add_argument("--spectra", type=Path, required=True, metavar="FOLDER|LIST", help="folder or list of files")
    made.add_argument("--out", type=Path, required=True, metavar="CATALOGUE", help=f"ends in {' or '.join(ENDINGS)}")
    made.add_argument("--jobs", type=int, default=1, metavar="N", help="processes, each with the model (1)")
    made.add_argument("--shard-size", type=int, default=1000, metavar="N", help="files in a shard (1000)")
    return made


def run(arguments: Sequence[str]) -> None:
    """Answer, write the catalogue, say what became of the spectra; ends the process with the status."""
    understood = parser()
    given = understood.parse_args(arguments)
    if given.out.suffix not in ENDINGS:
        understood.error(f"--out {given.out}: the name has to end in {' or '.join(ENDINGS)}")
    for name in ("jobs", "shard_size"):
        if getattr(given, name) < 1:
            understood.error(f"--{name.replace('_', '-')} has to be 1 or more")
    from starglot.inference.sources import folder_of

    end_when_told()
    try:
        sys.exit(apply(folder_of(given.model), given.spectra, given.out, given.jobs, given.shard_size))
    except Stopped as stopped:
        print(f"\nstopped by {stopped}; the same command goes on from here", file=sys.stderr)
        sys.stderr.flush()
        os._exit(stopped.status)  # not after the shards that are being answered, as an exit would


def apply(model: Path, spectra: Path, out: Path, jobs: int = 1, shard_size: int = 1000) -> int:
    """The exit status of `starglot apply`; writes the catalogue, and prints progress and counts."""
    if jobs > 1:
        os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // jobs)))
    quiet()
    from tqdm import tqdm

    from starglot.inference.files import answer_files, begin, finish

    if not out.parent.is_dir():
        raise StarglotError("there is no such folder", where=out.parent, todo="make it, or name another --out")
    require_writable(out.parent)
    work = begin(model, spectra, out, shard_size)
    total, left = sum(work.sizes), sum(work.sizes[shard] for shard in work.missing)
    if left < total:
        print(f"{total - left:,} of {total:,} files were answered before: going on from there", file=sys.stderr)
    stream: Any = sys.stderr if sys.stderr.isatty() else ProgressLines(sys.stderr)
    with tqdm(total=total, initial=total - left, unit="file", file=stream, mininterval=1, disable=False) as bar:
        answer_files(work, jobs, bar.update)
    counts = finish(work, out)
    print(f"{counts['rows']:,} rows written to {out}, {counts['answered']:,} of them answered")
    for flag, rows in counts["flagged"].items():
        print(f"  {flag:<17} {rows:>10,}")
    rejected = counts["rows"] - counts["answered"]
    return 0 if not rejected else SOME_REFUSED if counts["answered"] else 1
