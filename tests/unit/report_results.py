"""A results folder by the contracts, with a small run of every part that the report reads."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import yaml
from prediction_tables import predictions

from starglot.config.load import load_config
from starglot.evaluation.residuals import residual_table
from starglot.evaluation.summary import headline_table, table_1
from starglot.evaluation.tables_io import write_table
from starglot.labels import CLASSES
from starglot.plots.predicted import draw_predicted
from starglot.tables import REJECTED, SAMPLE, flux_column, write_json, write_parquet, write_text

ROOT = Path(__file__).parents[2]
TASKS = {"atmosphere": ("demo", ("teff", "logg", "feh")), "abundances": ("all", ("mg_fe", "ca_fe"))}

#: Wavelength grid of the spectra, in Angstrom.
GRID = {"start": 3800.0, "step": 10.0, "stop": 8700.0, "size": 491}


def merged(base, over):
    for key, value in over.items():
        base[key] = merged(base.get(key) or {}, value) if isinstance(value, dict) else value
    return base


def demo_config():
    """The demo's configuration with three models, all of them in both tasks."""
    files = (ROOT / "config" / name for name in ("config.yaml", "demo.yaml"))
    settings = merged(*(yaml.safe_load(path.read_text()) for path in files))
    settings["run"] |= {"models": ["llm-demo", "class-mean", "ridge"], "without": {}}
    return load_config(settings, "config/demo.yaml")


def spectrum(obsid):
    """Stored flux (n, grid) of spectra (n,): a slope, with one line whose place is the spectrum's own."""
    wavelength = GRID["start"] + GRID["step"] * np.arange(GRID["size"])
    line = 4000.0 + 7.0 * np.asarray(obsid)[:, None] % 4000.0
    flux = 0.6 + 0.4 * (wavelength - 3800.0) / 4900.0 - 0.5 * np.exp(-0.5 * ((wavelength - line) / 20.0) ** 2)
    return np.round(1000 * flux).astype(np.int16)


def write_results(folder):
    """Fill ``folder``: predictions of 60 stars (90 spectra, 3 rejected besides), tables, figures, spectra."""
    for task, (size, labels) in TASKS.items():
        paths = {}
        for model, error in (("llm-demo", 1.0), ("class-mean", 3.0), ("ridge", 0.6)):
            llm = model.startswith("llm")
            table = predictions(
                labels, error=error, failed=2 * llm, sigma=llm, answers_class=llm and task == "atmosphere"
            )
            paths[model, size, "test"] = folder / "predictions" / task / model / size / "test.parquet"
            write_parquet(table, paths[model, size, "test"])
            models = folder / "models" / task / model / size
            write_json({"counts": {"train": 77}, "versions": {"torch": "9.9.9"}}, models / "manifest.json")
            if llm:
                write_json({"seconds": 90.0, "peak_memory_mb": 2048, "gpus": []}, models / "run.json")
                draw_predicted(table, folder / "figures" / f"predicted_{task}_{model}_{size}_test", task, labels)
        residuals = residual_table(paths, labels, task=task, groups=CLASSES, replicates=20)
        write_table(residuals, folder / "tables" / f"residuals_{task}", task)
        write_table(headline_table(residuals), folder / "tables" / f"headline_{task}", task)
        sample = [
            {"obsid": i, "star_id": f"s{i // 2}", "class": CLASSES[i % 5], "split": split, "fold": 0}
            for i, split in enumerate(["train"] * 60 + ["val"] * 10 + ["test"] * 20)
        ]
        write_parquet(pa.Table.from_pylist(sample, schema=SAMPLE), folder / "samples" / task / f"{size}.parquet")
        write_json({"shortages": {"A": {"wanted": 50, "available": 18}}}, folder / "samples" / task / f"{size}.json")
    write_table(
        table_1(pa.table({"class": list(CLASSES), "c_fe": [1, 2, 3, 4, 5]})), folder / "tables" / "table_1", "1"
    )
    judged = np.unique(table["obsid"].to_numpy())
    ids = np.concatenate([judged, 10_000 + np.arange(10)])
    noise = np.where(ids < 10_000, 10.0 + ids % 7, None)
    selected = pa.table({"obsid": ids, "snr_r": pa.array(noise, pa.float64())})
    write_parquet(selected, folder / "catalog" / "selected" / "lamost" / "60000-X.parquet")
    spectra = pa.table({"obsid": ids[:-3], "flux": flux_column(spectrum(ids[:-3]))})
    write_parquet(spectra, folder / "spectra" / "lamost" / "paper" / "60000-X.parquet", {"wavelength": GRID})
    thrown = [
        {"obsid": int(i), "reason": reason, "detail": "<script>alert(1)</script>"}
        for i, reason in zip(ids[-3:], ["no_good_pixel", "file_missing", "no_good_pixel"], strict=True)
    ]
    write_parquet(
        pa.Table.from_pylist(thrown, schema=REJECTED), folder / "spectra/lamost/paper/60000-X.rejected.parquet"
    )
    write_parquet(selected, folder / "catalog" / "candidates" / "lamost.parquet")
    write_text("60000-X\n", folder / "catalog" / "shards" / "lamost.txt")
    timing = folder / "benchmarks" / "train_llm" / "atmosphere" / "demo.tsv"
    timing.parent.mkdir(parents=True)
    timing.write_text("s\th:m:s\tmax_rss\tcpu_time\n120.0\t0:02:00\t1024\t-\n")
