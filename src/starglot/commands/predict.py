"""Predict labels of spectra with a trained model: values, uncertainties, flags.

FILE is a spectrum: of a survey that is recognised by what is in the file (LAMOST, SDSS, BOSS), a table (CSV, ECSV,
FITS, Parquet) with columns of wavelength and flux, or a FITS image of one axis.  One that cannot be used is named
with the reason, and the others are answered all the same.

Exit status: 0 every spectrum was answered; 1 none was, or the model cannot be used; 2 not understood; 3 some were
refused.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from starglot.errors import StarglotError
from starglot.labels import LABELS
from starglot.models.redshifts import warning_names

if TYPE_CHECKING:
    import pandas as pd

    from starglot.inference.load import Answered, Model

#: Exit status where some spectra were answered and others refused.
SOME_REFUSED = 3

#: Ending of `--out` -> how a table of answers is written.
WRITERS: dict[str, Callable[[pd.DataFrame, Path], Any]] = {
    ".csv": lambda frame, path: frame.to_csv(path, index=False),
    ".parquet": lambda frame, path: frame.to_parquet(path, index=False),
    ".json": lambda frame, path: path.write_text(_as_json(frame), encoding="utf-8"),
    ".fits": lambda frame, path: _as_table(frame).write(path, format="fits", overwrite=True),
}


def parser() -> argparse.ArgumentParser:
    """Its arguments and options."""
    made = argparse.ArgumentParser(
        "starglot predict", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("files", nargs="+", metavar="FILE", help="spectra")
    made.add_argument(
        "--model",
        required=True,
        metavar="MODEL",
        help="its folder, a .zip of it, or hf:OWNER/NAME[@REVISION]",
    )
    made.add_argument("--out", type=Path, metavar="TABLE", help=f"write a table, too: {', '.join(WRITERS)}")
    made.add_argument("--wide", action="store_true", help="in it a row for each spectrum, not for each label")
    made.add_argument("--air", action="store_true", help="wavelengths are in air where a table does not say")
    return made


def run(arguments: Sequence[str]) -> None:
    """Answer, print, write; end the process with another status than 0 where spectra were refused."""
    understood = parser()
    given = understood.parse_args(arguments)
    if given.out is not None and given.out.suffix not in WRITERS:
        understood.error(f"--out {given.out}: the name has to end in {', '.join(WRITERS)}")
    sys.exit(predict(given.model, given.files, given.out, given.wide, given.air))


def predict(folder: str, files: Sequence[str], out: Path | None = None, wide: bool = False, air: bool = False) -> int:
    """The exit status of `starglot predict`; prints the answers and writes them to ``out``."""
    import pandas as pd

    from starglot.inference.load import Model

    quiet()
    model = Model(folder)
    print(_headline(model))
    answered = model.answer([single for file in files for single in model.read(file, air)])
    for one in answered:
        print("\n".join(_lines(one)))
    if out is not None:
        frame = pd.DataFrame([row for one in answered for row in one.rows], columns=model.columns)
        _write(model.widened(frame) if wide else frame, out)
    refused = sum(one.single.flux is None for one in answered)
    if refused:
        print(f"{refused} of {len(answered)} spectra refused", file=sys.stderr)
    return 0 if not refused else SOME_REFUSED if refused < len(answered) else 1


def quiet() -> None:
    """No progress bars and no remarks of libraries among the answers; an answer with a fault is flagged."""
    os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    os.environ["TRANSFORMERS_VERBOSITY"] = "error"
    os.environ["TQDM_DISABLE"] = "1"
    logging.basicConfig(level=logging.CRITICAL)
    warnings.simplefilter("ignore")


def _headline(model: Model) -> str:
    about, grid = model.about, model.about["recipe"]["wavelength"]
    return (
        f"{about['name']} ({about['task']}, {about['size']}): trained on {model.domain['spectra']} spectra of "
        f"{about['survey']}, release {about['release']}; reads {grid['start']:g}-{grid['stop']:g} A"
    )


def _lines(answered: Answered) -> list[str]:
    """One spectrum for a person to read."""
    single, rows = answered.single, answered.rows
    title = " ".join(filter(None, (single.file, single.name)))
    if single.flux is None:
        return ["", f"{title}: refused: {single.problem}"]
    lines = ["", f"{title}: {single.survey}; {'; '.join(single.notes)}"]
    if rows[0]["class"]:
        chance = rows[0]["class_probability"]
        stated = f" (probability {_chance(chance)})" if np.isfinite(chance) else ""
        lines.append(f"  {'class':<10} {rows[0]['class']}{stated}")
    for row in rows:
        flags = [flag for flag in row["flags"].split(";") if flag in ("at_limit", "unreadable")]
        said = "no answer" if not np.isfinite(row["value"]) else _number(row)
        lines.append(f"  {LABELS[row['label']].display:<10} {said}{'   ' + ', '.join(flags) if flags else ''}")
        lines += _doubt(row)
    snr = "unknown" if single.snr is None else f"{single.snr:.0f}"
    flags = [flag for flag in rows[0]["flags"].split(";") if flag and flag not in ("at_limit", "unreadable")]
    lines.append(f"  {'S/N':<10} {snr}")
    lines.append(f"  {'flags':<10} {', '.join(flags) or 'none'}")
    return lines


def _chance(chance: float) -> str:
    """A probability with two decimals, more where two would round it to 1."""
    return f"{chance:.2f}" if chance < 0.995 else f"{chance:.4f}" if chance < 0.99995 else "> 0.9999"


def _doubt(row: dict[str, Any]) -> list[str]:
    """What speaks against a redshift, where anything is known."""
    lines = []
    if np.isfinite(row.get("gap", np.nan)):
        second = f"{row['second']:.4f}, " if np.isfinite(row["second"]) else ""
        lines.append(f"  {'second z':<10} {second}its chi2 greater by {row['gap']:.1f}")
    if "warning" in row and np.isfinite(row["warning"]):
        bits = int(row["warning"])
        lines.append(f"  {'warning':<10} {bits}{''.join(f' {name}' for name in warning_names(bits))}")
    return lines


def _number(row: dict[str, Any]) -> str:
    """Value and uncertainty with the label's decimals, more where the uncertainty is below them, and its unit."""
    decimals = LABELS[row["label"]].decimals
    if 0 < row["sigma"] < 0.5 * 10**-decimals:
        decimals = math.ceil(-math.log10(row["sigma"]))
    sigma = f" +- {row['sigma']:.{decimals}f}" if np.isfinite(row["sigma"]) else ""
    return f"{row['value']:.{decimals}f}{sigma} {row['unit']}".rstrip()


def _write(frame: pd.DataFrame, out: Path) -> None:
    from starglot.tables import atomic_path

    try:
        with atomic_path(out) as partial:
            WRITERS[out.suffix](frame, partial)
    except OSError as error:
        raise StarglotError(
            f"the table cannot be written: {error.strerror or error}", where=out, todo="name another place with --out"
        ) from error
    print(f"\n{len(frame)} rows written to {out}")


def _as_json(frame: pd.DataFrame) -> str:
    """A list of rows, numbers with all their digits, null for what is not there."""
    rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
    return json.dumps(rows, indent=1) + "\n"


def _as_table(frame: pd.DataFrame) -> Any:
    from starglot.inference.load import to_table

    return to_table(frame)
