"""A language model's answers to one question set that has nothing to do with spectra (docs/retention.md)."""

import argparse
from pathlib import Path

from starglot.cli import parser, run, use_threads
from starglot.config.retention import Retention
from starglot.fingerprint import memory
from starglot.inference.retention import ask_set
from starglot.language.question_sets import read_set
from starglot.models.bases import describe, find_base
from starglot.tables import read_json, write_json


def main(args: argparse.Namespace) -> None:
    use_threads(args.threads)
    found = read_json(args.found)
    base = describe(args.base, memory(args.state), found.get("revision"))
    answers = ask_set(
        read_set(args.questions),
        Retention.model_validate(args.settings["retention"]),
        base,
        find_base(base["name"], base["revision"]),
        Path(args.model).parent if args.model else None,
        args.settings["quantisation"],
    )
    write_json(answers, args.out)


if __name__ == "__main__":
    command = parser(__doc__)
    command.add_argument("--questions", required=True, help="a task file of lm_eval")
    command.add_argument("--base", required=True, help="folder or Hugging Face id of the base model")
    command.add_argument("--found", required=True, help="what was found of the base, or its manifest, as JSON")
    command.add_argument("--model", nargs="?", help="manifest of the tuned model; without it, the base is asked")
    command.add_argument("--state", required=True, help="folder of remembered digests")
    command.add_argument("--threads", type=int, default=1)
    command.add_argument("--out", required=True)
    run(main, command)
