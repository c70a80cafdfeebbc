"""Rules about what a survey holds out."""

from __future__ import annotations

from collections.abc import Iterator

from starglot.config.queries import HELD_OUT
from starglot.config.recipes import View
from starglot.config.root import Config


def held_out_faults(config: Config) -> Iterator[str]:
    """A sentence for every task of `run:` whose survey holds out nothing, where that is to be predicted."""
    surveys = config.surveys.with_spectra()
    for task in config.run.tasks if HELD_OUT in config.run.sets else ():
        survey = surveys.get(View(config.tasks[task].view).survey) if task in config.tasks else None
        if survey and not survey.holds_out:
            yield (
                f"run.sets: {HELD_OUT}: {survey.title}, whose spectra '{task}' asks about, holds none out; of SDSS, "
                f"name plates under surveys.sdss.held_out, or leave {HELD_OUT} out"
            )
