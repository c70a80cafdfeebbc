"""Question-and-answer files of encodings that make tokens of flux: ``<flux></flux>`` stands where the tokens go.

The same rows in the same files as of a text encoding, and the same answers, but no flux: who trains on them reads the
cleaned spectra by obsid.
"""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from starglot.config.recipes import Wavelength
from starglot.config.tasks import Task
from starglot.language.answers import render
from starglot.language.prompts import question
from starglot.language.qa import file_names, question_rows
from starglot.tables import atomic_path

_GZIP_LEVEL = 1
_BATCH = 1024


def write_token_qa(
    out_dir: str | Path,
    task: Task,
    wavelength: Wavelength,
    sample: pa.Table,
    labels: pa.Table,
    files: Mapping[str, int],
    seed: int,
) -> dict[str, Any]:
    """Write every file of a sample; arguments, errors and files as of :func:`starglot.language.qa.write_qa`.

    Every question names all labels: the loss leaves out those that a spectrum has not.  Returns counts of rows.
    """
    rows = question_rows(task, sample, labels, files, seed)
    wording = question(task, wavelength, task.labels, "")
    for split, names in file_names(files).items():
        for index, name in enumerate(names):
            mine = rows.filter(pc.and_(pc.equal(rows["split"], split), pc.equal(rows["file"], index)))
            _write_file(Path(out_dir) / name, mine, task, wording)
    return {"rows": {split: int(pc.sum(pc.equal(rows["split"], split)).as_py() or 0) for split in files}}


def _write_file(path: Path, rows: pa.Table, task: Task, wording: str) -> None:
    with atomic_path(path) as partial, partial.open("wb") as raw:
        # No name and no time in the header, so that equal content means equal bytes.
        with gzip.GzipFile("", "wb", _GZIP_LEVEL, raw, mtime=0) as packed, io.BufferedWriter(packed, 1 << 20) as out:
            for batch in rows.to_batches(max_chunksize=_BATCH):
                for row in batch.to_pylist():
                    answer = render(task, row["class"], row, task.labels, "rounded")
                    line = {"obsid": row["obsid"], "question": wording, "answer": answer}
                    out.write(json.dumps(line).encode() + b"\n")
