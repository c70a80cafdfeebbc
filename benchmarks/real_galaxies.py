"""Real galaxies that no model has learnt from: redshifts by every model of a run, against the catalogue's.

python benchmarks/real_galaxies.py --results results/fors2 --spectra data/fors2/0001 \\
    --catalog data/fors2/specObj-dr16.fits --plate 1
python benchmarks/real_galaxies.py --results results/redshift --files data/sdss/*/spec-*.fits

With --files the redshifts are those in the files themselves (their second table): of objects that it calls galaxies,
without a warning, at 0 < z < 0.5.  The spectra are read as `starglot predict` reads them, one file after the other.
Writes redshift_real.csv, .md, .tex and .png into the folder of tables.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
from astropy.io import fits
from astropy.table import Table

from starglot.evaluation.redshifts import NOTES, redshift_table
from starglot.evaluation.tables_io import write_table
from starglot.inference.load import Model
from starglot.models.predictions import Predicted, prediction_table
from starglot.models.redshifts import Doubt
from starglot.plots.redshifts import draw_redshifts
from starglot.tables import write_parquet


def predictions(folder: Path, files: list[Path], truth: np.ndarray) -> pa.Table:
    """What the model in a folder says of the files, as a prediction table; truth: (n,) redshifts."""
    model = Model(folder)
    answered = model.answer([single for file in files for single in model.read(str(file))])
    rows = [one.rows[0] for one in answered]
    numbers = pa.array(range(len(files)), pa.int64())
    stars = pa.table({"obsid": numbers, "star_id": [path.name for path in files]})
    stars = stars.append_column("class", pa.nulls(len(files), pa.string()))
    value, sigma = (np.array([row[name] for row in rows], float) for name in ("value", "sigma"))
    status = ["ok" if np.isfinite(v) else "not_answered" for v in value]
    doubt = Doubt(*(np.array([row[name] for row in rows], float) for name in ("second", "gap", "warning")))
    said = Predicted(value, sigma, status, pa.nulls(len(files), pa.string()), doubt)
    table = prediction_table(stars, ["redshift"], truth[:, None], said, pa.array([False] * len(files)))
    at = table.column_names.index("sigma")
    return table.set_column(at, table.schema.field(at), pa.array(sigma, mask=~np.isfinite(sigma)))


def in_catalog(path: Path, plate: int, folder: Path) -> tuple[list[Path], np.ndarray]:
    """Files of a plate's spectra, and their redshifts (n,) by the catalogue."""
    rows = Table.read(path)
    rows = rows[rows["PLATE"] == plate]
    names = [f"spec-{r['PLATE']:04d}-{r['MJD']:05d}-{r['FIBERID']:04d}.fits" for r in rows]
    return [folder / name for name in names], np.asarray(rows["Z"], float)


def in_files(paths: list[Path]) -> tuple[list[Path], np.ndarray]:
    """Those of the files that hold a galaxy at 0 < z < 0.5, and its redshift, as starglot.surveys.sdss takes it."""
    found = []
    for path in paths:
        row = fits.getdata(path, 2)[0]
        have = {name.upper(): row[name] for name in row.array.names}
        noqso = str(have.get("CLASS_NOQSO", "")).strip() != ""
        z, warning = (have[f"{name}_NOQSO"] if noqso else have[name] for name in ("Z", "ZWARNING"))
        if str(have["CLASS"]).strip() == "GALAXY" and not warning and 0 < z < 0.5:
            found.append((path, float(z)))
    return [path for path, _ in found], np.array([z for _, z in found])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, required=True)
    parser.add_argument("--spectra", type=Path, help="folder of a plate")
    parser.add_argument("--catalog", type=Path, help="specObj")
    parser.add_argument("--plate", type=int)
    parser.add_argument("--files", type=Path, nargs="+", help="spectra with their redshifts, instead of these three")
    given = parser.parse_args()
    if not given.files and None in (given.spectra, given.catalog, given.plate):
        parser.error("give --files, or --spectra, --catalog and --plate")
    files, truth = in_files(given.files) if given.files else in_catalog(given.catalog, given.plate, given.spectra)
    with tempfile.TemporaryDirectory() as place:
        found = {}
        for folder in sorted((given.results / "models/redshift").glob("*/*")):
            if not (folder / "model.json").is_file():
                continue
            path = Path(place) / folder.parent.name / f"{folder.name}.parquet"
            write_parquet(predictions(folder, files, truth), path)
            found["redshift", folder.parent.name, folder.name, "real"] = path
        stem, title = given.results / "tables/redshift_real", "Redshifts of real galaxies that no model has seen"
        write_table(redshift_table(found), stem, f"{title}.", NOTES)
        draw_redshifts(found, stem, title)
    print(stem.with_suffix(".md").read_text())


if __name__ == "__main__":
    main()
