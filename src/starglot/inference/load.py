"""A trained model as an object: `starglot.load(folder).predict("spec.fits")` (docs/use-a-model.md)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from starglot.config.recipes import Recipe
from starglot.errors import StarglotError
from starglot.inference.flagged import Flagged, FlaggedModel
from starglot.inference.flags import OF_SPECTRUM, named
from starglot.inference.single import Single, read_singles, spectra_of
from starglot.labels import LABELS, REDSHIFT
from starglot.models.redshifts import NODATA, Doubt

if TYPE_CHECKING:
    import pandas as pd
    from astropy.table import Table

#: Columns of an answer, a row for each spectrum and label.
COLUMNS = (
    "file",
    "spectrum",
    "survey",
    "class",
    "class_probability",
    "label",
    "value",
    "sigma",
    "unit",
    "status",
    "flags",
    "snr",
    "excess",
    "problem",
)
#: Those that answers with a redshift have besides: doubt of it, null in rows of other labels.
OF_REDSHIFT = ("second", "gap", "warning")
#: Those that are of a spectrum: what a row for each spectrum begins with.
_OF_SPECTRUM = ("file", "spectrum", "survey", "class", "class_probability")
#: Status of a spectrum that the model was not asked about.
REFUSED = "refused"


@dataclass(frozen=True)
class Answered:
    """A spectrum and what the model says of it: rows of the model's ``columns``, one for each label."""

    single: Single
    rows: list[dict[str, Any]]


class Model(FlaggedModel):
    """A model that answers single files and arrays: it cleans them by its recipe first."""

    @property
    def columns(self) -> list[str]:
        """Columns of its answers: COLUMNS, and OF_REDSHIFT where it tells one."""
        return [*COLUMNS, *(OF_REDSHIFT if REDSHIFT.name in self.labels else ())]

    @property
    def recipe(self) -> Recipe:
        """What spectra are cleaned by."""
        return Recipe.model_validate(self.about["recipe"])

    def predict(
        self, spectra: Any, *, wide: bool = False, classes: Sequence[str | None] | None = None, air: bool = False
    ) -> pd.DataFrame:
        """Labels with uncertainties and flags.

        spectra: a path; (wavelength, flux) or (wavelength, flux, error), arrays (n,) or (spectra, n); or a list.
        classes: the catalogue's class of each spectrum, where it is known (None where not): what a model that tells
        no class itself has for its uncertainties.
        air: whether wavelengths are those in air where a file does not say, and in arrays; they are converted.
        Returns a row for each spectrum and label (``columns``), or, ``wide``, for each spectrum: a column of each
        label and its sigma.  A spectrum that cannot be used has the status 'refused' and the problem in words.
        Raises StarglotError when none of the spectra can be used.
        """
        import pandas as pd

        answered = self.answer(self.read(spectra, air), classes)
        if not any(one.single.flux is not None for one in answered):
            raise _nothing_usable(answered)
        frame = pd.DataFrame([row for one in answered for row in one.rows], columns=self.columns)
        return self.widened(frame) if wide else frame

    def predict_table(
        self, spectra: Any, *, wide: bool = False, classes: Sequence[str | None] | None = None, air: bool = False
    ) -> Table:
        """:meth:`predict` as an astropy table; in a wide one the columns of labels have units."""
        return to_table(self.predict(spectra, wide=wide, classes=classes, air=air))

    def answer(self, singles: Sequence[Single], classes: Sequence[str | None] | None = None) -> list[Answered]:
        """What the model says of cleaned spectra, refused ones among them, in their order."""
        groups = [None] * len(singles) if classes is None else list(classes)
        if len(groups) != len(singles):
            raise StarglotError(
                f"{len(groups)} classes for {len(singles)} spectra",
                allowed="one for each, or None",
                todo="give as many classes as spectra",
            )
        usable = [at for at, single in enumerate(singles) if single.flux is not None]
        if not usable:
            return [Answered(single, self._refused(single)) for single in singles]
        mine = [singles[at] for at in usable]
        snr = np.array([np.nan if single.snr is None else single.snr for single in mine])
        missing = np.array([single.missing for single in mine])
        flagged = self.flagged(spectra_of(mine), [groups[at] for at in usable], snr, missing)
        rows = {at: self._rows(singles[at], flagged, place) for place, at in enumerate(usable)}
        return [Answered(single, rows.get(at) or self._refused(single)) for at, single in enumerate(singles)]

    def read(self, spectra: Any, air: bool = False) -> list[Single]:
        """The spectra of files or arrays, cleaned by the model's recipe."""
        return read_singles(spectra, self.recipe, air)

    def _rows(self, single: Single, flagged: Flagged, at: int) -> list[dict[str, Any]]:
        return [
            self._row(
                single,
                label,
                value=flagged.value[at, j],
                sigma=flagged.sigma[at, j],
                status=flagged.status[at, j],
                flags=named(int(flagged.bits[at] | flagged.label_bits[at, j])),
                excess=float(flagged.excess[at]),
                letter=flagged.letter[at],
                probability=float(flagged.probability[at]),
                **(_doubt(flagged.doubt, at) if flagged.doubt is not None and label == REDSHIFT.name else {}),
            )
            for j, label in enumerate(self.labels)
        ]

    def _refused(self, single: Single) -> list[dict[str, Any]]:
        none = {REDSHIFT.name: {"warning": NODATA}}
        return [self._row(single, label, status=REFUSED, **none.get(label, {})) for label in self.labels]

    def _row(self, single: Single, label: str, **said: Any) -> dict[str, Any]:
        number = {name: np.nan if said.get(name) is None else said[name] for name in ("value", "sigma", "excess")}
        return {
            "file": single.file,
            "spectrum": single.name,
            "survey": single.survey,
            "class": said.get("letter") or "",
            "class_probability": said.get("probability", np.nan),
            "label": label,
            "value": number["value"],
            "sigma": number["sigma"],
            "unit": LABELS[label].unit,
            "status": said["status"],
            "flags": ";".join(said.get("flags", ())),
            "snr": np.nan if single.snr is None else single.snr,
            "excess": number["excess"],
            "problem": single.problem or "",
            **({name: said.get(name, np.nan) for name in self.columns[len(COLUMNS) :]}),
        }

    def widened(self, frame: pd.DataFrame) -> pd.DataFrame:
        """A row for each spectrum: flags of labels are written label:flag."""
        import pandas as pd

        k, rows = len(self.labels), []
        for first in range(0, len(frame), k):
            mine = frame.iloc[first : first + k].to_dict("records")
            row = {name: mine[0][name] for name in _OF_SPECTRUM}
            flags: dict[str, None] = {}
            for one in mine:
                row |= {one["label"]: one["value"], f"{one['label']}_sigma": one["sigma"]}
                if one["label"] == REDSHIFT.name:
                    row |= {f"{REDSHIFT.name}_{name}": one[name] for name in OF_REDSHIFT}
                for flag in filter(None, one["flags"].split(";")):
                    flags[flag if flag in OF_SPECTRUM else f"{one['label']}:{flag}"] = None
            rows.append(
                {**row, "flags": ";".join(flags), **{name: mine[0][name] for name in ("snr", "excess", "problem")}}
            )
        return pd.DataFrame(rows)


def _doubt(doubt: Doubt, at: int) -> dict[str, Any]:
    return {name: values[at].item() for name, values in vars(doubt).items()}


def to_table(frame: pd.DataFrame) -> Table:
    """An astropy table of answers; columns of labels and of their sigmas have units."""
    from astropy.table import Table

    table = Table.from_pandas(frame)
    for name in table.colnames:
        if (label := name.removesuffix("_sigma")) in LABELS and LABELS[label].unit:
            table[name].unit = LABELS[label].unit
    return table


def _nothing_usable(answered: Sequence[Answered]) -> StarglotError:
    if not answered:
        return StarglotError("there is no spectrum to answer", where="spectra", todo="name one or more files")
    first = answered[0].single
    what = "the spectrum cannot be used" if len(answered) == 1 else f"none of {len(answered)} spectra can be used"
    return StarglotError(f"{what}: {first.problem}", where=first.file or None, todo="give another file")
