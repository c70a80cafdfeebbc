"""How fast language models answer: patch tokens against flux as text, on the same spectra, in one run.

    python benchmarks/answers.py results/demo atmosphere demo --patches llm-patches --text llm-demo

RESULTS: a finished run with both models.  Each answers the first spectra of its test split, loaded and warm, on one
core; the time of a profile's largest parts of patch tokens comes with it.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch

from starglot.config.recipes import Wavelength
from starglot.inference.answering import open_model
from starglot.models.folder import read_description
from starglot.spectra.pixels import pixels
from starglot.spectra.resample import wavelength_grid
from starglot.tables import read_spectra


def test_flux(results: Path, task: str, size: str, view: str, number: int) -> np.ndarray:
    """int16 (n, grid) of the first test spectra."""
    sample = pq.read_table(results / f"samples/{task}/{size}.parquet")
    labels = pq.read_table(results / f"labels/{task}.parquet", columns=["obsid", "shard"])
    chosen = sample.filter(pc.equal(sample["split"], "test")).sort_by("obsid").slice(0, number)
    found = chosen.select(["obsid"]).join(labels, "obsid").sort_by([("shard", "ascending"), ("obsid", "ascending")])
    parts = []
    for shard in dict.fromkeys(found["shard"].to_pylist()):
        ids = found.filter(pc.equal(found["shard"], shard))["obsid"].to_numpy()
        parts.append(read_spectra([results / f"spectra/{view}/{shard}.parquet"], ids))
    return np.concatenate(parts)


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds, and what came of it."""
    started = time.process_time()
    done = work()
    return time.process_time() - started, done


def main() -> None:
    """Print spectra per CPU second of both, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("task")
    parser.add_argument("size")
    parser.add_argument("--patches", default="llm-patches")
    parser.add_argument("--text", default="llm-demo")
    parser.add_argument("--view", default="lamost/paper")
    parser.add_argument("--number", type=int, default=256, help="spectra of patch tokens; a quarter of it as text")
    args = parser.parse_args()
    torch.set_num_threads(1)
    flux = test_flux(args.results, args.task, args.size, args.view, args.number)
    rates = {}
    for name, share in ((args.text, 4), (args.patches, 1)):
        folder = args.results / f"models/{args.task}/{name}/{args.size}"
        answers = open_model(folder, read_description(folder))
        few = flux[: max(1, len(flux) // share)]
        answers(few[:2], [None] * len(few[:2]))  # warm
        seconds, table = timed(lambda answers=answers, few=few: answers(few, [None] * len(few)))
        ok = pc.mean(pc.equal(table["status"], "ok").cast(pa.int8())).as_py()
        rates[name] = len(few) / seconds
        print(f"{name}: {rates[name]:8.1f} spectra per CPU second ({len(few)} spectra, {ok:.0%} of answers read)")
    grid = wavelength_grid(Wavelength.model_validate(read_description(folder)["recipe"]["wavelength"]))
    seconds, _ = timed(lambda: pixels(flux, 10, grid))
    print(f"pixels alone: {len(flux) / seconds:.1f} spectra per CPU second")
    print(f"{args.patches} answers {rates[args.patches] / rates[args.text]:.1f} times as many as {args.text}")


if __name__ == "__main__":
    main()
