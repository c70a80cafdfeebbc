"""Parquet schemas, manifests, and files that appear whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from starglot.errors import StarglotError
from starglot.hashing import file_digest

#: What a star's spectra are for; a star is in one of them.
SPLITS: tuple[str, ...] = ("train", "val", "test")

#: Stored flux is round(FLUX_SCALE x normalised flux) as int16.
FLUX_SCALE = 1000

#: Where a spectrum is: the file below the survey's root, its row there (0 in a file of one spectrum), the file's size
#: in bytes and its time (ns); size and time are null for a file that is not there.
FILES = pa.schema([("file", pa.string()), ("row", pa.int64()), ("size", pa.int64()), ("mtime", pa.int64())])

#: catalog/selected/{survey}/{shard}.parquet: what cleaning reads.  No labels: a revised label cleans nothing.
SELECTED = pa.schema(
    [
        ("obsid", pa.int64()),
        ("star_id", pa.string()),
        *FILES,
    ]
)

#: spectra/{survey}/{recipe}/{shard}.rejected.parquet
REJECTED = pa.schema([("obsid", pa.int64()), ("reason", pa.string()), ("detail", pa.string())])

#: samples/{task}/{size}.parquet
SAMPLE = pa.schema(
    [
        ("obsid", pa.int64()),
        ("star_id", pa.string()),
        ("class", pa.string()),
        ("split", pa.string()),
        ("fold", pa.int8()),
    ]
)

#: pairs/{pairs}.parquet: a star's spectrum in the first view, and in the other one.
PAIR = pa.schema(
    [
        ("star_id", pa.string()),
        ("obsid", pa.int64()),
        ("shard", pa.string()),
        ("other_star_id", pa.string()),
        ("other_obsid", pa.int64()),
        ("other_shard", pa.string()),
        ("split", pa.string()),
    ]
)

#: predictions/{task}/{model}/{size}/{set}.parquet
PREDICTION = pa.schema(
    [
        ("obsid", pa.int64()),
        ("star_id", pa.string()),
        ("class", pa.string()),
        ("class_pred", pa.string()),
        ("class_probability", pa.float64()),
        ("class_log_odds", pa.float64()),
        ("label", pa.string()),
        ("truth", pa.float64()),
        ("value", pa.float64()),
        ("sigma", pa.float64()),
        ("sigma_raw", pa.float64()),
        ("status", pa.string()),
        ("seen", pa.bool_()),
    ]
)

#: What predictions of redshifts have besides, from a model with a distribution of them (starglot.models.redshifts).
DOUBT = pa.schema([("second", pa.float64()), ("gap", pa.float64()), ("warning", pa.int32())])


def spectra_schema(n_grid: int) -> pa.Schema:
    """Schema of spectra/{survey}/{recipe}/{shard}.parquet for a grid of ``n_grid`` wavelengths."""
    return pa.schema(
        [
            ("obsid", pa.int64()),
            ("star_id", pa.string()),
            ("flux", pa.list_(pa.int16(), n_grid)),
            ("n_masked", pa.int32()),
            ("flux_digest", pa.binary(16)),
        ]
    )


def spectra_table(obsid: Any, star_id: Any, flux: np.ndarray, n_masked: Any) -> pa.Table:
    """Cleaned spectra as a table of :func:`spectra_schema`: obsid, star_id and n_masked (n,), flux (n, grid) int16.

    Each has a digest of its flux (BLAKE2b), by which work on some spectra of a shard is known to be on the same ones
    when others have joined them.
    """
    rows = np.ascontiguousarray(flux, "<i2")
    digests = pa.array([hashlib.blake2b(row, digest_size=16).digest() for row in rows], pa.binary(16))
    columns = [obsid, star_id, flux_column(rows), n_masked, digests]
    return pa.table(columns, schema=spectra_schema(rows.shape[1]))


@contextmanager
def atomic_path(path: str | Path, durable: bool = True) -> Iterator[Path]:
    """Yield a temporary sibling of ``path`` that replaces it when the block ends well.

    The folder is made if needed; on any error the temporary file is removed and ``path`` stays as it was.
    durable: the content is on the disk before it gets its name, so that a power failure leaves no empty file under
    it; some milliseconds each, which thousands of small files that are cheap to make again can do without.
    A full disk becomes a :class:`StarglotError` that names the path.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.partial")
    try:
        with full_disk_said(path):
            yield partial
            if durable:
                onto_disk(partial)
            os.replace(partial, path)
            if durable:
                onto_disk(path.parent)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def full_disk_said(path: Path) -> Iterator[None]:
    """Turn a full disk into a :class:`StarglotError` that names what was being written."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise StarglotError(
            "the disk is full (or the quota is used up)",
            where=path,
            todo="free some space and run the same command again; finished files are kept",
        ) from error


def onto_disk(path: str | Path) -> None:
    """Wait until a file's content, or a folder's list of names, is on the disk and not only in memory."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # a file system that knows no such thing of folders
            raise
    finally:
        os.close(opened)


def write_parquet(table: pa.Table, path: str | Path, metadata: Mapping[str, Any] | None = None) -> None:
    """Write ``table`` with zstd; ``metadata`` (JSON-able values) goes to the schema's key ``starglot``."""
    if metadata is not None:
        table = table.replace_schema_metadata({"starglot": json.dumps(metadata, sort_keys=True)})
    with atomic_path(path) as partial:
        pq.write_table(table, partial, compression="zstd", row_group_size=4096)


def read_metadata(path: str | Path) -> dict[str, Any]:
    """The JSON that :func:`write_parquet` put in the schema ({} when there is none)."""
    raw = (pq.read_schema(path).metadata or {}).get(b"starglot")
    return json.loads(raw) if raw else {}


def digest_path(path: str | Path) -> Path:
    """Path of the digest of a large file: in the same folder, with ``.sha256`` after its name."""
    return Path(f"{path}.sha256")


def write_digests(paths: Sequence[str | Path], out: str | Path, about: Mapping[str, str] | None = None) -> None:
    """Write the SHA-256 of finished files to ``out``, one line each, as ``sha256sum -c`` reads them.

    The rules depend on this small file, by its content, in place of the large ones: a file that is merely touched or
    copied is not made again, and no large file has to be read to find that out.  ``about`` goes to comment lines
    ``# key value``.  ``paths`` stand in the folder of ``out`` and keep the order given.
    """
    lines = [f"# {key} {value}\n" for key, value in (about or {}).items()]
    lines += [f"{file_digest(path)}  {Path(path).name}\n" for path in paths]
    write_text("".join(lines), out)


def write_with_digest(table: pa.Table, path: str | Path, metadata: Mapping[str, Any] | None = None) -> None:
    """:func:`write_parquet`, then the file's digest next to it."""
    write_parquet(table, path, metadata)
    write_digests([path], digest_path(path))


def table_digest(table: pa.Table) -> str:
    """SHA-256 of a table's schema and values, whatever file they came from and however it was chunked."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table.combine_chunks())
    return hashlib.sha256(sink.getvalue()).hexdigest()


def read_digests(path: str | Path) -> dict[str, str]:
    """File name (or key of a comment) to digest, from a file of :func:`write_digests`."""
    found = {}
    for line in Path(path).read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            key, value = line.split()[1:]
        else:
            value, key = line.split(maxsplit=1)
        found[key] = value
    return found


def write_text(text: str, path: str | Path) -> None:
    """Write a UTF-8 text file whole or not at all."""
    with atomic_path(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_json(value: Any, path: str | Path) -> None:
    """Write pretty JSON with sorted keys and a final newline."""
    write_text(json.dumps(value, indent=1, sort_keys=True, default=str) + "\n", path)


def read_json(path: str | Path) -> Any:
    """Read a JSON file."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def flux_matrix(table: pa.Table) -> np.ndarray:
    """(rows, grid) int16 view of a table's ``flux`` column."""
    column = table["flux"].combine_chunks()
    width = column.type.list_size
    flux: np.ndarray = column.flatten().to_numpy(zero_copy_only=False).reshape(len(table), width)
    return flux


def flux_column(flux: np.ndarray) -> pa.FixedSizeListArray:
    """A (rows, grid) int16 array as an Arrow fixed-size list column."""
    rows, width = flux.shape
    values = pa.array(np.ascontiguousarray(flux, dtype=np.int16).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(values, width) if rows else pa.array([], pa.list_(pa.int16(), width))


def read_spectra(paths: Sequence[str | Path], obsids: np.ndarray) -> np.ndarray:
    """int16 flux of ``obsids`` (in their order) from the given shards, one shard in memory at a time.

    Raises StarglotError when a spectrum is in none of the shards.
    """
    order = np.argsort(obsids, kind="stable")
    ranked = np.asarray(obsids)[order]
    out: np.ndarray | None = None
    found = np.zeros(len(ranked), bool)
    for path in paths:
        ids = pq.read_table(path, columns=["obsid"])["obsid"].to_numpy()
        at = np.searchsorted(ranked, ids)
        hit = (at < len(ranked)) & (ranked[np.minimum(at, len(ranked) - 1)] == ids) if len(ranked) else at < 0
        if not hit.any():
            continue
        flux = flux_matrix(pq.read_table(path, columns=["flux"]))
        if out is None:
            out = np.empty((len(ranked), flux.shape[1]), np.int16)
        out[order[at[hit]]] = flux[hit]
        found[at[hit]] = True
    if not found.all():
        raise StarglotError(
            f"{int((~found).sum())} spectra of the sample are in none of the {len(paths)} shards",
            where=f"first: obsid {ranked[~found][0]}",
            todo="rebuild the sample: snakemake samples",
        )
    return out if out is not None else np.empty((0, 0), np.int16)
