"""Tasks: the question that is put, and the sample of spectra that it is put about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from starglot.config.strict import Name, Strict
from starglot.labels import CLASSES


class Question(Strict):
    """What is asked, and in which form."""

    form: str = Field(
        description="Form of question and answer (paper 3.1): 'atmosphere' asks for class and labels as a list, "
        "'abundances' names each label in question and answer."
    )
    labels: list[str] = Field(min_length=1, description="Names of labels, in the order of question and answer.")
    decimals: dict[str, int] = Field({}, description="Digits after the point by label, over the labels' own.")
    ask_all: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Fraction of training questions that name all labels, valid or not (ours).",
    )


class LabelBins(Strict):
    """Bins of a label, from its least values to the greatest."""

    label: str = Field(description="One of the task's labels.")
    number: int = Field(ge=2, le=50, description="How many bins.")
    spacing: Literal["frequency", "width"] = Field(
        "frequency",
        description="frequency: as many spectra in each (equal-frequency binning); width: as much of the label's "
        "range in each, so that a balanced sample covers it evenly.",
    )


class Bins(Strict):
    """Groups by the value of a label."""

    bins: LabelBins

    @property
    def names(self) -> tuple[str, ...]:
        """'teff 1' ... : the first bin has the least values."""
        return tuple(f"{self.bins.label} {place}" for place in range(1, self.bins.number + 1))


class Strata(Strict):
    """Parts of a sample by the value of a label: a size has each part's share of all."""

    label: str = Field(description="One of the task's labels.")
    edges: list[float] = Field(min_length=1, description="Values between the parts, rising.")


class Sample(Strict):
    """Which spectra, and how many."""

    source: str = Field(
        description="Survey whose labels are learnt: that of the view, or another one, by a match of its stars."
    )
    view: str = Field(
        "lamost/paper", description="Spectra that are asked about: a survey and, after `/`, a name under `recipes`."
    )
    groups: Literal["classes"] | Bins | None = Field(
        "classes",
        description="What tables report by, and `balanced` goes by: 'classes' (A, F, G, K, M; paper 2.1); "
        "`bins: {label: teff, number: 5}`, as many spectra in each (`spacing: width`: as much of the "
        "range); null: none.",
    )
    balanced: bool = Field(description="Equal numbers of every group (paper 2.1), nested between sizes.")
    sizes: dict[Name, int | None] = Field(description="Size name (quote it) to number of spectra; null takes all.")
    shortage: Literal["error", "take_all"] = Field(
        "error", description="When a group has too few spectra: stop, or take all there are and say so."
    )
    strata: Strata | None = Field(
        None,
        description="Sizes that have the same share of spectra on each side of an edge, in every split, as all "
        "spectra have: `{label: feh, edges: [-1.0]}` for metal-poor and metal-rich stars; null: as they are drawn.",
    )

    @model_serializer(mode="wrap")
    def _as_written(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without `strata` where there are none: a sample drawn as it comes depends on no such setting."""
        return {name: value for name, value in handler(self).items() if name != "strata" or value is not None}

    @property
    def by_class(self) -> bool:
        """Whether the groups are the spectral classes."""
        return self.groups == "classes"

    @property
    def group_names(self) -> tuple[str, ...]:
        """The groups in the order of tables; none where there are none."""
        if self.groups is None:
            return ()
        return self.groups.names if isinstance(self.groups, Bins) else CLASSES


class Task(Strict):
    """A question and its sample."""

    question: Question
    sample: Sample

    @property
    def labels(self) -> list[str]:
        """Names of the labels that are asked for, in order."""
        return self.question.labels

    @property
    def view(self) -> str:
        """The view that is asked about."""
        return self.sample.view


def form_task(form: str, labels: Sequence[str], decimals: Mapping[str, int] | None = None) -> Task:
    """A task that only asks, about no sample; decimals: by label, those of others are left out."""
    own = {label: digits for label, digits in (decimals or {}).items() if label in labels}
    return Task(
        question=Question(form=form, labels=list(labels), decimals=own),
        sample=Sample(source="lamost", balanced=False, sizes={}),
    )
