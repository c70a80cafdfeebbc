"""How many spectra a second a model answers over a survey, where the time goes, and how much memory it takes.

    python benchmarks/apply.py results/demo atmosphere/ridge/demo atmosphere/lightgbm/demo [--spectra 2400]

Cleaned spectra of LAMOST (recipe `paper`) are taken as often as it needs for the number that is named, and four times
that (--times), by way of the code that `starglot apply` and the catalogues of the workflow run (FlaggedModel,
answer_part, gather), each in a process of its own on one thread.  Beside it stands the simple way, a call for each
spectrum.  With --blocks, how many are answered together is varied, up to a shard's: the time of loading a baseline's
weights is paid a block.  Seconds are of the processor, which other work on the machine does not lengthen.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

#: Spectra of the simple way.
ALONE = 20


def measure(results: Path, model_folder: Path, spectra: int, block: int) -> dict[str, Any]:
    """CPU seconds of each step, peak memory (MB) before and after."""
    clock = {"start": time.process_time()}
    from starglot.inference import shards
    from starglot.inference.catalogue import OF_FILE, Part, answer_part, catalogue_facts
    from starglot.inference.flagged import FlaggedModel
    from starglot.inference.gather import gather
    from starglot.tables import write_parquet

    model = FlaggedModel(model_folder)
    clock["load"] = time.process_time()
    loaded = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    cleaned = sorted(results.glob("spectra/lamost/paper/*-*.parquet"))
    cleaned = [path for path in cleaned if ".rejected" not in path.name]
    inside = {"answers": 0.0}
    plain = model._answers

    def timed(*given: Any) -> pa.Table:
        begun = time.process_time()
        lines = plain(*given)
        inside["answers"] += time.process_time() - begun
        return lines

    model._answers = timed
    shards.BLOCK = block
    with tempfile.TemporaryDirectory() as place:
        parts, done = [], 0
        while done < spectra:
            path = cleaned[len(parts) % len(cleaned)]
            n = pq.ParquetFile(path).metadata.num_rows
            known = pa.table(
                {
                    "number": np.arange(done, done + n),
                    **{name: [""] * n for name in ("file", "spectrum", "survey")},
                    "snr": np.full(n, 50.0),
                }
            )
            part = Part(known, OF_FILE, ["G"] * n, np.full(n, 50.0), np.zeros(n), [None] * n, shards._flux(path))
            parts.append(Path(place) / f"{len(parts)}.parquet")
            write_parquet(answer_part(model, part), parts[-1])
            done += n
        clock["apply"] = time.process_time()
        gather(parts, catalogue_facts(model_folder, "", ""), [Path(place) / "c.fits"], "number")
        clock["gather"] = time.process_time()
    answers = inside["answers"]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    flux = next(shards._flux(cleaned[0]))[:1]
    for _ in range(ALONE):
        model.flagged(flux, ["G"], np.full(1, 50.0), np.zeros(1))
    alone = time.process_time() - clock["gather"]
    return {
        "spectra": done,
        "load": clock["load"] - clock["start"],
        "answers": answers,
        "flags and files": clock["apply"] - clock["load"] - answers,
        "gather": clock["gather"] - clock["apply"],
        "rate": done / (clock["apply"] - clock["load"]),
        "alone": ALONE / alone,
        "loaded": loaded,
        "peak": peak,
    }


def runs(args: argparse.Namespace) -> Iterator[tuple[str, int, dict[str, Any]]]:
    """(model, block, what was measured), each in a process of its own."""
    for name in args.models:
        few = args.few if "llm" in name else args.spectra
        for block in args.blocks:
            for spectra in (times * few for times in args.times):
                given = [
                    sys.executable,
                    __file__,
                    str(args.results),
                    name,
                    "--one",
                    str(spectra),
                    "--blocks",
                    str(block),
                ]
                done = subprocess.run(given, check=True, stdout=subprocess.PIPE, text=True)
                yield name, block, json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("models", nargs="+", metavar="TASK/MODEL/SIZE")
    parser.add_argument("--spectra", type=int, default=2400)
    parser.add_argument("--few", type=int, default=400, help="spectra of language models")
    parser.add_argument("--blocks", type=int, nargs="+", default=[2048])
    parser.add_argument("--times", type=int, nargs="+", default=[1, 4], help="of that many spectra (1 and 4)")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        folder = args.results / "models" / args.models[0]
        print(json.dumps(measure(args.results, folder, args.one, args.blocks[0])))
        return
    head = ["model", "together", "spectra", "loading (s)", "answers (s)", "flags, files (s)", "gathering (s)"]
    head += ["spectra/CPU s", "one by one", "peak (MB)", "above loaded"]
    print(f"| {' | '.join(head)} |\n|---|{'---:|' * (len(head) - 1)}")
    for name, block, one in runs(args):
        times = " | ".join(f"{one[key]:.1f}" for key in ("load", "answers", "flags and files", "gather"))
        print(
            f"| {name} | {block} | {one['spectra']:,} | {times} | {one['rate']:,.0f} | {one['alone']:,.1f} |"
            f" {one['peak']:.0f} | {one['peak'] - one['loaded']:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
