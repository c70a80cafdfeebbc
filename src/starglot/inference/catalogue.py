"""A catalogue of ours: a model's answers to many spectra, a row each; its columns, and what its header says.

A catalogue is made in parts, of a survey's shards or of files (:func:`answer_part`), and put together by
:mod:`starglot.inference.gather`.  What a column means goes with it, in the metadata of its field.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

import starglot
from starglot.errors import StarglotError
from starglot.hashing import file_digest
from starglot.inference.flagged import Flagged, FlaggedModel
from starglot.inference.flags import BITS, FLAGS, named
from starglot.labels import LABELS, REDSHIFT
from starglot.models.domain import DOMAIN, load_domain
from starglot.models.folder import MODEL, read_description
from starglot.models.redshifts import NODATA, WARNINGS

#: Version of the columns and of the header.
FORMAT = 2
#: UCD1+ words (IVOA) of labels; that of an abundance is _ABUNDANCE.
_UCDS: Mapping[str, str] = {
    "teff": "phys.temperature.effective",
    "logg": "phys.gravity",
    "feh": "phys.abund.Fe",
    "redshift": "src.redshift",
}
_ABUNDANCE = "phys.abund"


@dataclass(frozen=True)
class Column:
    """A column: its name, type, unit ('' for none), UCD1+ and what it holds; whether every row has a value."""

    name: str
    type: pa.DataType
    unit: str
    ucd: str
    description: str
    filled: bool = False

    @property
    def field(self) -> pa.Field:
        """The column in a schema, with what it means."""
        about = {"unit": self.unit, "ucd": self.ucd, "description": self.description}
        return pa.field(self.name, self.type, not self.filled, {key: text for key, text in about.items() if text})


SNR = Column("snr", pa.float64(), "", "stat.snr", "S/N per pixel in the r band")

#: What a survey's catalogue says of a spectrum; the survey's own names of a star come after Gaia's.
OF_SURVEY = (
    Column("obsid", pa.int64(), "", "meta.id;meta.main", "number of the spectrum in its survey", True),
    Column("star_id", pa.string(), "", "meta.id;src", "the object, over all its spectra and surveys"),
    Column("gaia_source_id", pa.string(), "", "meta.id", "Gaia's number of the object"),
    Column("ra", pa.float64(), "deg", "pos.eq.ra;meta.main", "right ascension"),
    Column("dec", pa.float64(), "deg", "pos.eq.dec;meta.main", "declination"),
    SNR,
    Column("n_masked", pa.int32(), "", "meta.number", "pixels of the spectrum that were masked"),
)
#: What is known of a spectrum from a file.
OF_FILE = (
    Column("number", pa.int64(), "", "meta.id;meta.main", "place of the file in the list of files, from 0", True),
    Column("file", pa.string(), "", "meta.id;meta.file", "the file"),
    Column("spectrum", pa.string(), "", "meta.id", "name of the spectrum in a file of several"),
    Column("survey", pa.string(), "", "meta.id;meta.dataset", "whose format the file has"),
    SNR,
)


#: What a redshift has besides; of a model without a distribution of it, the bits of the spectrum alone.
_DOUBT = (
    Column(
        f"{REDSHIFT.name}_second",
        pa.float64(),
        "",
        "src.redshift",
        "second-best z, of another peak, more than 1,000 km/s away",
    ),
    Column(f"{REDSHIFT.name}_gap", pa.float64(), "", "stat.value", "by how much its chi2 (-2 ln p) is greater"),
    Column(
        f"{REDSHIFT.name}_warning",
        pa.int32(),
        "",
        "meta.code.qual",
        "bits as Redrock's ZWARN: " + ", ".join(f"{bit} {name}" for bit, name in WARNINGS.items()),
        True,
    ),
)


@dataclass(frozen=True)
class Part:
    """Some spectra of a survey.

    known: n rows, in the order of the catalogue; columns: what its columns mean; classes: the catalogue's class of
    each, None where it is not known; snr, missing: (n,) as of :func:`starglot.inference.flags.spectrum_bits`;
    rejections: why a spectrum has no flux (``rejections.REJECTIONS``), None where it has one; flux: blocks of int16
    (m, grid), of the spectra that have one, in their order.
    """

    known: pa.Table
    columns: Sequence[Column]
    classes: Sequence[str | None]
    snr: np.ndarray
    missing: np.ndarray
    rejections: Sequence[str | None]
    flux: Iterable[np.ndarray]


def answer_part(model: FlaggedModel, part: Part) -> pa.Table:
    """The rows of a catalogue: what is known of each spectrum, and what the model says of it.

    A rejected spectrum has a row with nulls.  Raises StarglotError when flux comes for more or fewer spectra than are
    not rejected.
    """
    labels = model.labels
    usable = [at for at, reason in enumerate(part.rejections) if reason is None]
    answered: list[pa.Table] = []
    done = 0
    for flux in part.flux:
        mine = np.array(usable[done : done + len(flux)], int)
        _require(len(mine) == len(flux), len(usable))
        classes = [part.classes[at] for at in mine]
        answered.append(_rows(labels, model.flagged(flux, classes, part.snr[mine], part.missing[mine])))
        done += len(flux)
    _require(done == len(usable), len(usable))
    schema = pa.schema([column.field for column in answer_columns(labels)])
    table = pa.concat_tables([one.cast(schema) for one in answered] or [schema.empty_table()])
    place = np.full(len(part.rejections), -1)
    place[usable] = np.arange(len(usable))
    rows = table.take(pa.array(place, pa.int64(), mask=place < 0)).combine_chunks()
    empty = {"flags": BITS["rejected"], **{f"{label}_flags": 0 for label in labels}, "flag_names": "rejected"}
    if REDSHIFT.name in labels:
        empty[f"{REDSHIFT.name}_warning"] = NODATA
    for name, value in empty.items():
        rows = rows.set_column(rows.column_names.index(name), schema.field(name), rows[name].fill_null(value))
    columns = {column.name: part.known[column.name].cast(column.type) for column in part.columns}
    columns |= {name: rows[name] for name in schema.names}
    columns["rejection"] = pa.chunked_array([pa.array(list(part.rejections), pa.string())])
    whole = catalogue_schema(part.columns, labels)
    # A text that is not there is '', as in FITS: a null would be read as 'None' by astropy.
    filled = {name: one.fill_null("") if pa.types.is_string(one.type) else one for name, one in columns.items()}
    return pa.table(filled, schema=whole).combine_chunks()


def catalogue_schema(known: Sequence[Column], labels: Sequence[str]) -> pa.Schema:
    """The schema of a catalogue that begins with the columns ``known``."""
    why = Column("rejection", pa.string(), "", "meta.note", "why the spectrum was not answered")
    return pa.schema([column.field for column in (*known, *answer_columns(labels), why)])


def answer_columns(labels: Sequence[str]) -> list[Column]:
    """The columns of a model's answers."""
    columns = [
        Column("class", pa.string(), "", "src.class", "class that the model tells"),
        Column(
            "class_probability",
            pa.float64(),
            "",
            "stat.probability;src.class",
            "probability of the class, scaled on validation spectra",
        ),
    ]
    for name in labels:
        known = LABELS[name]
        ucd = _UCDS.get(name, _ABUNDANCE if known.unit == "dex" else "")
        columns += [
            Column(name, pa.float64(), known.unit, ucd, known.display),
            Column(
                f"{name}_sigma",
                pa.float64(),
                known.unit,
                ";".join(filter(None, ("stat.error", ucd))),
                f"1 sigma of {known.display}, calibrated on validation spectra",
            ),
            Column(
                f"{name}_flags",
                pa.int16(),
                "",
                "meta.code.qual",
                f"flags of {known.display}, bits as in flags",
                True,
            ),
        ]
        columns += _DOUBT if name == REDSHIFT.name else []
    return [
        *columns,
        Column("excess", pa.float64(), "", "stat.value", "distance from the training spectra; above 1 is outside"),
        Column("flags", pa.int32(), "", "meta.code.qual", "flags of the spectrum and all labels, a bit each", True),
        Column("flag_names", pa.string(), "", "meta.code.qual", "the flags in words; those of a label as label:flag"),
    ]


def catalogue_facts(folder: Path, survey: str, release: str) -> dict[str, Any]:
    """What the header says: the model and its digest, the data, how they were cleaned, calibration, flags, versions.

    folder: of the model; survey, release: of the spectra that were answered, '' where these are files.  JSON-able.
    Raises StarglotError as :func:`starglot.models.folder.read_description`.
    """
    about = read_description(folder)
    _, trained = load_domain(folder / DOMAIN)
    return {
        "format": FORMAT,
        "starglot": starglot.__version__,
        "model": about["name"],
        "task": about["task"],
        "size": about["size"],
        "kind": about["model"]["kind"],
        "model_sha256": file_digest(folder / MODEL),
        "base": about["base"],
        "trained_on": {key: about[key] for key in ("survey", "release")} | {"spectra": trained["spectra"]},
        "training_versions": about["versions"],
        "survey": survey,
        "release": release,
        "recipe": about["recipe"],
        "calibration": about["calibration"],
        "class_calibration": about.get("class_calibration"),
        "labels": about["question"]["question"]["labels"],
        "flags": [{"bit": place, "flag": flag, "meaning": said} for place, (flag, said) in enumerate(FLAGS.items())],
    }


def _rows(labels: Sequence[str], flagged: Flagged) -> pa.Table:
    every = flagged.bits | np.bitwise_or.reduce(flagged.label_bits, axis=1)
    columns: dict[str, Any] = {
        "class": pa.array(flagged.letter.tolist(), pa.string()),
        "class_probability": pa.array(flagged.probability, mask=~np.isfinite(flagged.probability)),
    }
    for j, name in enumerate(labels):
        for column, values in ((name, flagged.value[:, j]), (f"{name}_sigma", flagged.sigma[:, j])):
            columns[column] = pa.array(values, pa.float64(), mask=~np.isfinite(values))
        columns[f"{name}_flags"] = pa.array(flagged.label_bits[:, j].astype(np.int16))
        if name == REDSHIFT.name and flagged.doubt is not None:
            for one, values in zip(_DOUBT, vars(flagged.doubt).values(), strict=True):
                none = ~np.isfinite(values)
                columns[one.name] = pa.array(np.where(none, 0, values), one.type, mask=none)
    columns |= {"excess": pa.array(flagged.excess), "flags": pa.array(every), "flag_names": _names(labels, flagged)}
    return pa.table(columns)


def _names(labels: Sequence[str], flagged: Flagged) -> pa.Array:
    """Flags in words: few sets of them occur, each is written once."""
    sets, which = np.unique(np.column_stack([flagged.bits, flagged.label_bits]), axis=0, return_inverse=True)
    words = []
    for of_spectrum, *of_labels in sets.tolist():
        each = zip(labels, of_labels, strict=True)
        of_each = [f"{label}:{flag}" for label, bits in each for flag in named(bits)]
        words.append(";".join([*named(of_spectrum), *of_each]))
    return pa.array([words[at] for at in which.reshape(-1)], pa.string())


def _require(right: bool, wanted: int) -> None:
    if not right:
        raise StarglotError(
            "there is not one row of flux for each spectrum that is not rejected",
            where=f"{wanted} spectra",
            todo="clean the spectra again: snakemake clean",
        )
