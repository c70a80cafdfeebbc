"""Which abundances trained models read from their own lines, on spectra that this project has not written.

    python benchmarks/response.py GRID MODEL [MODEL ...]

GRID: synthetic spectra in the layout of docs/synthetic.md, in which rows of one `star` differ from each other in a
single label, one below and one above; MODEL: folder of a trained model.  Prints the response of each label and model,
change of the prediction over the change of the label, with a bootstrap interval of 95 % over the stars.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

import starglot
from starglot.config.surveys.synthetic import Synthetic
from starglot.errors import StarglotError
from starglot.evaluation.own_line import response_table
from starglot.formats.counts import Counts
from starglot.inference.load import Model
from starglot.spectra.raw import RawSpectrum
from starglot.surveys import synthetic
from starglot.tables import PREDICTION, write_parquet


def main() -> None:
    """Read the grid, ask the models, print a table of responses."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("grid", type=Path)
    parser.add_argument("models", nargs="+", type=Path)
    args = parser.parse_args()
    survey = Synthetic(release="", spectra=str(args.grid.parent), coverage=(0, 0), grids=[args.grid.name])
    catalog = synthetic.read_catalog(survey, Counts())
    changes = single_changes(catalog)
    rows = pa.table(
        {"obsid": catalog["obsid"], "file": catalog["grid"], "row": catalog["row"], "star_id": catalog["model_star"]}
    )
    read = dict(synthetic.read(rows, args.grid.parent))
    spectra = [read[obsid] for obsid in changes["obsid"]]
    usable = [raw for raw in spectra if isinstance(raw, RawSpectrum)]
    if len(usable) < len(spectra):
        raise StarglotError(f"{len(spectra) - len(usable)} of {len(spectra)} spectra cannot be read", where=args.grid)
    tables = [responses(starglot.load(folder), folder, changes, usable) for folder in args.models]
    print(f"{changes['star_id'].nunique()} stars, {len(changes)} spectra")
    print(pd.concat(tables).to_string(index=False, float_format="{:.2f}".format))


def single_changes(catalog: pa.Table) -> pd.DataFrame:
    """obsid, star_id, changed (label) and step of the rows that differ in one label from the others of their star."""
    labels = [name for name in Synthetic.brings if catalog[name].null_count < len(catalog)]
    frame = catalog.select(["obsid", "model_star", *labels]).to_pandas()
    off = frame[labels] - frame.groupby("model_star")[labels].transform("median")
    is_off = off.abs() > 1e-6
    one = is_off.sum(axis=1) == 1
    found = frame.loc[one, ["obsid", "model_star"]].rename(columns={"model_star": "star_id"})
    found["changed"] = is_off[one].idxmax(axis=1)
    found["step"] = off[one].sum(axis=1)
    return found


def responses(model: Model, folder: Path, changes: pd.DataFrame, spectra: list[RawSpectrum]) -> pd.DataFrame:
    """Rows of the response table of one model, of the labels that it tells and the grid changes."""
    flux = np.stack([raw.flux for raw in spectra])
    values = model.predict((spectra[0].wavelength, flux))
    of_spectrum = values["spectrum"].astype(int)
    values["obsid"] = changes["obsid"].to_numpy()[of_spectrum]
    values["star_id"] = changes["star_id"].to_numpy()[of_spectrum]
    values = values.assign(class_pred=None, class_log_odds=None, truth=values["value"], sigma_raw=values["sigma"])
    values["class"], values["seen"] = None, False
    labels = [name for name in model.labels if (changes["changed"] == name).any()]
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "told.parquet"
        write_parquet(pa.Table.from_pandas(values[PREDICTION.names], PREDICTION, preserve_index=False), path)
        table = response_table({(folder.parent.name, folder.name): path}, pa.Table.from_pandas(changes), labels)
    return table.drop(columns=["size", "interval"])


if __name__ == "__main__":
    main()
