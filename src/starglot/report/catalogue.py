"""The page of a catalogue of ours: how many spectra were answered, flagged, rejected; and whether it is any good."""

from __future__ import annotations

import html
import json
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from starglot.evaluation.presentation import label_text, said_of
from starglot.hashing import stable_hash, unit_interval
from starglot.plots.catalogue import draw_own, draw_pairs, draw_plane
from starglot.rejections import REJECTIONS
from starglot.report.figure_files import FigureFile
from starglot.report.figures import embedded
from starglot.tables import read_metadata, write_text

#: Most spectra that figures show, about: those of a part of the stars, where there are more.
MOST = 200_000

_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:1080px;margin:2rem auto;padding:0 1rem;color:#222}"
    "table{border-collapse:collapse;margin:1rem 0}td,th{padding:.2rem .8rem;border-bottom:1px solid #ddd}"
    "td,th{text-align:left}td.n{text-align:right}"
    "figure{margin:2rem 0}img{max-width:100%;height:auto}figcaption{color:#555}"
)


def build_page(catalogue: Path, candidates: Path, out: Path, mock: bool, objects: str) -> None:
    """Write the page of ``catalogue`` (Parquet), one file; the same input gives the same bytes.

    candidates: the survey's rows, with its own labels; mock: whether the survey is a simulated one; objects: what its
    spectra are of.
    """
    about = read_metadata(catalogue)
    labels: list[str] = about["labels"]
    rows, part = _some(catalogue, labels)
    own = _own_labels(candidates, rows["obsid"], labels)
    of = f"{about['survey']} {about['release']}{f' (simulated {objects})' if mock else ''}"
    title = f"{about['model']}, {about['task']}, trained on {about['size']}: {of}"
    shown = "every spectrum without flags" if part == 1 else f"spectra without flags of {part:.2%} of the stars"
    captions = {
        "plane": f"Kiel diagram: {shown}, by the model and by the survey.",
        "repeats": "Two spectra of one star: their difference over its uncertainty, against a normal distribution. "
        "Scatter is the robust scatter of one spectrum, sigma the median uncertainty; what both spectra get wrong "
        "alike is in sigma, and does not show here.",
        "own": "The model's values against the survey's own.  Stars of the training are among them: "
        "this shows mistakes; how accurate the model is, the tables of the report say.",
    }
    if not {"teff", "logg"} <= set(labels):
        del captions["plane"]
    with tempfile.TemporaryDirectory(prefix="starglot-") as place:
        stems = {name: Path(place) / name for name in captions}
        if "plane" in stems:
            draw_plane(rows, own, stems["plane"], title)
        draw_pairs(rows, labels, stems["repeats"], title)
        draw_own(rows, own, stems["own"], title)
        figures = [_figure(stems[name], said_of(objects, caption)) for name, caption in captions.items()]
    write_text(_page(title, about, _rejected(catalogue), figures), out)


def _some(catalogue: Path, labels: list[str]) -> tuple[pa.Table, float]:
    """Spectra without flags, all of them or those of some stars, and which part of the stars."""
    columns = ["obsid", "star_id", *(name for label in labels for name in (label, f"{label}_sigma"))]
    with pq.ParquetFile(catalogue) as file:
        part = min(1.0, MOST / max(1, file.metadata.num_rows))
        found = []
        for batch in file.iter_batches(columns=[*columns, "flags"]):
            rows = pa.Table.from_batches([batch])
            rows = rows.filter(pc.equal(rows["flags"], 0)).select(columns)
            if part < 1:
                chance = unit_interval(stable_hash(rows["star_id"].to_pylist(), "catalogue"))
                rows = rows.filter(pa.array(chance < part))
            found.append(rows)
        return pa.concat_tables(found).combine_chunks(), part


def _own_labels(candidates: Path, obsids: pa.ChunkedArray, labels: list[str]) -> dict[str, np.ndarray]:
    known = set(pq.read_schema(candidates).names)
    names = [label for label in labels if label in known]
    table = pq.read_table(candidates, columns=["obsid", *names])
    at = pc.index_in(obsids, value_set=table["obsid"].combine_chunks())
    return {name: table[name].take(at).to_numpy(zero_copy_only=False).astype(float) for name in names}


def _rejected(catalogue: Path) -> Counter[str]:
    counts: Counter[str] = Counter()
    with pq.ParquetFile(catalogue) as file:
        for batch in file.iter_batches(columns=["rejection"]):
            for one in pc.value_counts(batch["rejection"]).to_pylist():
                counts[one["values"]] += one["counts"]
    del counts[""]
    return counts


def _figure(stem: Path, caption: str) -> str:
    one = embedded(FigureFile(stem, caption, ""))
    return (
        f'<figure><img src="{one.address}" width="{one.width}" height="{one.height}" alt="{html.escape(caption)}">'
        f"<figcaption>{html.escape(caption)}</figcaption></figure>"
    )


def _page(title: str, about: dict[str, Any], rejected: Counter[str], figures: list[str]) -> str:
    rows = about["rows"]
    counts = [("spectra", rows, ""), ("answered", about["answered"], "")]
    counts += [(one["flag"], about["flagged"][one["flag"]], one["meaning"]) for one in about["flags"]]
    reasons = [(reason, n, REJECTIONS[reason]) for reason, n in sorted(rejected.items())]
    units = ", ".join(label_text(name) for name in about["labels"])
    versions = {key: about[key] for key in ("starglot", "model_sha256", "trained_on", "recipe", "training_versions")}
    return "\n".join(
        [
            f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>',
            f"<style>{_STYLE}</style><h1>{html.escape(title)}</h1>",
            f"<p>{html.escape(units)}. Columns, units and flags are described in the files themselves.</p>",
            _table(("", "rows", "part", "means"), counts, rows),
            *(["<h2>Rejected</h2>", _table(("reason", "rows", "part", "means"), reasons, rows)] if reasons else []),
            *figures,
            f"<h2>Made with</h2><pre>{html.escape(json.dumps(versions, indent=1, sort_keys=True))}</pre></html>\n",
        ]
    )


def _table(head: tuple[str, ...], lines: list[tuple[str, int, str]], total: int) -> str:
    cells = "".join(
        f'<tr><td>{html.escape(name)}<td class="n">{n:,}<td class="n">{n / max(1, total):.1%}<td>{html.escape(said)}'
        for name, n, said in lines
    )
    return f"<table><tr>{''.join(f'<th>{html.escape(name)}' for name in head)}{cells}</table>"
