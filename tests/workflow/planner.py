"""Plans runs of snakemake, a fork for each, so that it is imported once: a JSON line in, a JSON line out.

In: {"folder": a project, "arguments": of snakemake}.  Out: {"jobs": [[rule, wildcards], ...]} or {"error": text}.
"""

import json
import os
import sys
import traceback
from pathlib import Path

# What every fork needs; nothing of the project, which each fork takes from its own folder.
import numpy  # noqa: F401
import pyarrow.parquet  # noqa: F401
import pydantic  # noqa: F401
import snakemake.cli
import snakemake.dag
import snakemake.workflow  # noqa: F401


def plan(folder: str, arguments: list[str]) -> list[list[str]]:
    """(rule, wildcards) of the jobs that would run."""
    os.chdir(folder)
    sys.path.insert(0, f"{folder}/src")
    import starglot
    from starglot.workflow.rebuilds.plan import Plan

    assert Path(starglot.__file__).is_relative_to(folder), starglot.__file__
    return [[job.rule, " ".join(job.wildcards.values())] for job in Plan(arguments).jobs]


def main() -> None:
    """Answer one line after the other."""
    for line in sys.stdin:
        asked = json.loads(line)
        answer, into = os.pipe()
        child = os.fork()
        if not child:
            try:
                said = {"jobs": plan(asked["folder"], asked["arguments"])}
            except BaseException:
                said = {"error": traceback.format_exc()}
            with os.fdopen(into, "w") as pipe:
                json.dump(said, pipe)
            os._exit(0)
        os.close(into)
        with os.fdopen(answer) as pipe:
            text = pipe.read()
        os.waitpid(child, 0)
        print(text, file=sys.__stdout__, flush=True)


if __name__ == "__main__":
    main()
