"""What the demo's jobs take, rule by rule, and what there was of what each grows with.

`make demo` guesses from this table the time that is left, `starglot plan` the processor time of other runs.

    make clean-demo demo && python benchmarks/demo_jobs.py results/demo > benchmarks/demo_jobs.tsv

Every rule's time is in Snakemake's records; rules with a benchmark file have their CPU time, which is more where a
job has several cores.
"""

import json
import sys
from collections import defaultdict
from pathlib import Path

import pandas as pd

from starglot.config.load import read_config
from starglot.workflow import forecast, processor_cost

#: Seconds from which on the CPU time of a job is known well: it is sampled now and then.
LONG = 20


def main() -> None:
    """Print the mean core-seconds of a job of each rule, of the run in this folder."""
    folder = Path(sys.argv[1]) / "benchmarks"
    spans: dict[str, dict[int, float]] = defaultdict(dict)
    for path in Path(".snakemake/metadata").rglob("*"):
        if path.is_file():
            job = json.loads(path.read_text())
            if job["endtime"] is not None:
                spans[job["rule"]][job["job_hash"]] = job["endtime"] - job["starttime"]  # a record for each output
    seconds = {rule: list(found.values()) for rule, found in spans.items()}
    measured: dict[str, list[float]] = defaultdict(list)
    for path in folder.rglob("*.tsv"):
        rule = path.relative_to(folder).parts[0].removesuffix(".tsv")
        row = pd.read_csv(path, sep="\t", na_values=["-", "NA"]).iloc[0]
        # On a machine that does other things as well, the clock of a long job says more than the job took.
        measured[rule].append(row["cpu_time"] if row["s"] > LONG else max(row["s"], row["cpu_time"]))
    config = read_config("config/config.yaml", "config/demo.yaml")
    here = processor_cost.amounts(config, forecast.sample_counts(config))
    print("rule\tcore_seconds\tjobs\tper\tamount")
    for rule, times in sorted({**seconds, **measured}.items()):
        per = processor_cost.GROWS_WITH.get(rule, "models")
        print(f"{rule}\t{sum(times) / len(times):.1f}\t{len(times)}\t{per}\t{here[per]:.0f}")


if __name__ == "__main__":
    main()
