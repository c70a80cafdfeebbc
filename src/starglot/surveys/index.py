"""The index of all shards: what consumers of cleaned spectra depend on in place of thousands of files."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from starglot.errors import StarglotError
from starglot.hashing import digest_of, file_digest
from starglot.spectra.sample_flux import CleanedSpectra
from starglot.tables import read_digests, table_digest, write_text

#: Columns of spectra/{survey}/{recipe}/index.tsv: digests of {shard}.parquet and {shard}.rejected.parquet.
COLUMNS = ("shard", "spectra", "rejected")


def index_table(shards: Sequence[str], folder: Path) -> str:
    """Tab-separated table of COLUMNS, by shard, from the digest files ``{shard}.sha256`` in ``folder``.

    Raises StarglotError when a digest file is absent or does not name the shard's files.
    """
    lines = ["\t".join(COLUMNS)]
    for shard in sorted(shards):
        path = folder / f"{shard}.sha256"
        try:
            found = read_digests(path)
            digests = (found[name] for name in (f"{shard}.parquet", f"{shard}.rejected.parquet"))
            lines.append("\t".join((shard, *digests)))
        except (FileNotFoundError, KeyError, ValueError) as error:
            raise StarglotError(
                f"the digests of shard {shard} cannot be read ({error})", where=path, todo="clean it: snakemake clean"
            ) from error
    return "".join(f"{line}\n" for line in lines)


def write_index_of(spectra: str | Path, index: str | Path) -> None:
    """The index of a folder with one made-up shard, of which nothing is rejected."""
    line = (Path(spectra).stem, file_digest(spectra), "-")
    write_text("\t".join(COLUMNS) + "\n" + "\t".join(line) + "\n", index)


def indexed_shards(index: str | Path) -> list[str]:
    """Names of the shards in an index, in its order."""
    lines = Path(index).read_text(encoding="utf-8").splitlines()[1:]
    return [line.split("\t", 1)[0] for line in lines]


def shard_digests(index: str | Path, shards: Collection[str]) -> dict[str, str]:
    """Digest of the cleaned spectra of each of the ``shards``."""
    lines = Path(index).read_text(encoding="utf-8").splitlines()[1:]
    rows = (line.split("\t") for line in lines)
    return {row[0]: row[1] for row in rows if row[0] in shards}


def sample_digests(sample: pa.Table, labels: pa.Table, index: str | Path) -> dict[str, Any]:
    """What work on a sample's spectra depends on: its rows, their labels, their cleaned spectra.

    labels: obsid, shard and label columns, of more stars perhaps: those of others do not count.  Raises StarglotError
    when a spectrum is not there.
    """
    mine = labels.filter(pc.is_in(labels["obsid"], value_set=sample["obsid"].combine_chunks()))
    return {
        "sample": table_digest(sample),
        "labels": table_digest(mine),
        "spectra": spectra_digest(mine, Path(index).parent),
    }


def spectra_digest(rows: pa.Table, folder: Path) -> str:
    """Digest of cleaned spectra in ``folder``, those of ``rows`` (obsid, shard): of their flux, grid and recipe.

    It is the same whatever other spectra stand in these shards: a larger sample, or a task more, has others cleaned
    with them.  Raises StarglotError when one is not in its shard, or has no digest.
    """
    found, about = hashlib.sha256(), set()
    obsid = rows.sort_by("shard")["obsid"].combine_chunks()
    counts = pc.value_counts(rows["shard"]).to_pylist()
    first = 0
    for shard, count in sorted((each["values"], each["counts"]) for each in counts):
        wanted, first = pc.unique(obsid.slice(first, count)), first + count
        with pq.ParquetFile(folder / f"{shard}.parquet") as file:
            if "flux_digest" not in file.schema_arrow.names:
                raise StarglotError(
                    "these spectra were cleaned by a version that gave them no digests",
                    where=folder / f"{shard}.parquet",
                    todo="clean them again: remove the file, then snakemake clean",
                )
            about.add((file.schema_arrow.metadata or {}).get(b"starglot", b"").decode())
            cleaned = file.read(columns=["obsid", "flux_digest"])
        mine = cleaned.filter(pc.is_in(cleaned["obsid"], value_set=wanted)).sort_by("obsid")
        if len(mine) < len(wanted):
            raise StarglotError(
                f"{len(wanted) - len(mine)} spectra of the sample are not among the cleaned ones",
                where=folder / f"{shard}.parquet",
                todo="rebuild the sample: snakemake samples",
            )
        found.update(mine["obsid"].to_numpy().astype("<i8").tobytes())
        found.update(b"".join(mine["flux_digest"].to_pylist()))
    return digest_of([found.hexdigest(), sorted(about)])


def require_shards(index: str | Path, folder: str | Path) -> list[str]:
    """The shards of an index; raises StarglotError when a file of cleaned spectra that it lists is not there."""
    folder, shards = Path(folder), indexed_shards(index)
    there = {path.name for path in folder.glob("*.parquet")}
    missing = [shard for shard in shards if f"{shard}.parquet" not in there]
    if missing:
        raise StarglotError(
            f"{len(missing)} of {len(shards)} shards of cleaned spectra are not there, though the index lists them",
            where=folder / f"{missing[0]}.parquet",
            todo="clean them again: snakemake clean (with the same --configfile)",
        )
    return shards


def cleaned_spectra(labels: pa.Table, index: str | Path) -> CleanedSpectra:
    """The cleaned spectra in the folder of an index, to be read by obsid.

    labels: obsid and shard of at least the spectra that are read.  Raises StarglotError when a file that the index
    lists is not there.
    """
    folder = Path(index).parent
    require_shards(index, folder)
    return CleanedSpectra(
        obsid=labels["obsid"].to_numpy(),
        shard=labels["shard"].to_numpy(zero_copy_only=False),
        shard_path=lambda shard: folder / f"{shard}.parquet",
        digests=shard_digests(index, set(pc.unique(labels["shard"]).to_pylist())),
    )
