"""What the demo's jobs take, rule by rule: the table from which `make demo` guesses the time that is left.

    make clean-demo demo && python benchmarks/demo_jobs.py results/demo > benchmarks/demo_jobs.tsv

Every rule's time is in Snakemake's records; rules with a benchmark file have their CPU time, which is more where a
job has several cores.
"""

import json
import sys
from collections import defaultdict
from pathlib import Path

import pandas as pd


def main() -> None:
    """Print the mean core-seconds of a job of each rule, of the run in this folder."""
    folder = Path(sys.argv[1]) / "benchmarks"
    seconds: dict[str, list[float]] = defaultdict(list)
    for path in Path(".snakemake/metadata").rglob("*"):
        if path.is_file():
            job = json.loads(path.read_text())
            if job["endtime"] is not None:
                seconds[job["rule"]].append(job["endtime"] - job["starttime"])
    measured: dict[str, list[float]] = defaultdict(list)
    for path in folder.rglob("*.tsv"):
        rule = path.relative_to(folder).parts[0].removesuffix(".tsv")
        row = pd.read_csv(path, sep="\t", na_values=["-", "NA"]).iloc[0]
        measured[rule].append(max(row["s"], row["cpu_time"]))
    print("rule\tcore_seconds")
    for rule, times in sorted({**seconds, **measured}.items()):
        print(f"{rule}\t{sum(times) / len(times):.1f}")


if __name__ == "__main__":
    main()
