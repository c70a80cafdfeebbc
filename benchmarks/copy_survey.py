"""Not a measurement: results of a run with its cleaned spectra many times over, for trying a whole survey.

    python benchmarks/copy_survey.py results/demo big/results/demo --spectra 200000 --models atmosphere/ridge/demo

Writes candidates, inventory, selected rows and cleaned shards of LAMOST (recipe `paper`) with ids of their own, a
shard for each copy of all spectra, and the named models; all else that a catalogue is made from stands as it was.  In
the folder above, `snakemake --rerun-triggers mtime --configfile config/demo.yaml -- TARGET` then makes a catalogue,
with the target results/demo/catalogue/atmosphere/ridge/demo/lamost.fits.
"""

from __future__ import annotations

import argparse
import os
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from starglot.tables import read_metadata, write_digests, write_parquet, write_text, write_with_digest

#: Between the ids of a copy and those of the next.
STEP = 10_000_000_000


def shifted(table: pa.Table, copy: int, shard: str) -> pa.Table:
    """Rows as those of other spectra of other stars."""
    place = table.column_names.index("obsid")
    table = table.set_column(place, "obsid", pc.add(table["obsid"], copy * STEP))
    if "star_id" in table.column_names:
        stars = pc.binary_join_element_wise(table["star_id"], f"c{copy}", "-")
        table = table.set_column(table.column_names.index("star_id"), "star_id", stars)
    if "shard" in table.column_names:
        names = pa.array([shard] * len(table), pa.string())
        table = table.set_column(table.column_names.index("shard"), "shard", names)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--spectra", type=int, default=200_000)
    parser.add_argument("--models", nargs="+", required=True, metavar="TASK/MODEL/SIZE")
    args = parser.parse_args()
    old, new = args.results, args.out
    shards = (old / "catalog/shards/lamost.txt").read_text().split()
    cleaned = old / "spectra/lamost/paper"
    places = {"selected": old / "catalog/selected/lamost", "spectra": cleaned, "rejected": cleaned}
    whole = {}
    for kind, place in places.items():
        ending = ".rejected.parquet" if kind == "rejected" else ".parquet"
        every = pa.concat_tables([pq.read_table(place / f"{shard}{ending}") for shard in shards])
        whole[kind] = every.sort_by("obsid").replace_schema_metadata(None)
    metadata = read_metadata(cleaned / f"{shards[0]}.parquet")
    candidates = pq.read_table(old / "catalog/candidates/lamost.parquet")
    copies = -(-args.spectra // len(whole["selected"]))
    names = [f"{60000 + copy}-COPY" for copy in range(copies)]
    rows = [shifted(candidates, copy, name) for copy, name in enumerate(names)]
    write_with_digest(pa.concat_tables(rows), new / "catalog/candidates/lamost.parquet")
    write_text("".join(f"{name}\n" for name in names), new / "catalog/shards/lamost.txt")
    for copy, name in enumerate(names):
        of_copy = {kind: shifted(table, copy, name) for kind, table in whole.items()}
        for kind in ("inventory", "selected"):
            write_parquet(of_copy["selected"], new / f"catalog/{kind}/lamost/{name}.parquet")
        files = [new / f"spectra/lamost/paper/{name}{ending}.parquet" for ending in ("", ".rejected")]
        write_parquet(of_copy["spectra"], files[0], metadata)
        write_parquet(of_copy["rejected"], files[1])
        write_digests(files, files[0].with_suffix(".sha256"))
    for model in args.models:
        shutil.copytree(old / "models" / model, new / "models" / model, dirs_exist_ok=True)
    for part in ("mock", "bases", "match", "catalog"):
        for path in sorted((old / part).rglob("*")):
            target = new / part / path.relative_to(old / part)
            if (
                path.is_file()
                and not target.exists()
                and not (set(path.parts) & {"inventory", "selected", "spectra"})
            ):
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, target)
    _in_order(new)
    print(f"{copies} shards, {copies * len(whole['selected']):,} spectra, {copies * len(whole['spectra']):,} cleaned")


def _in_order(new: Path) -> None:
    """Times of files in the order in which a run makes them, so that none looks older than what it was made from."""
    order = ["mock", "bases", "catalog/*.*", "match", "catalog/candidates", "catalog/inventory", "catalog/shards",
             "catalog/selected", "spectra", "models"]  # fmt: skip
    for at, part in enumerate(order):
        for top in new.glob(part):
            for path in [top, *top.rglob("*")] if top.is_dir() else [top]:
                when = 1_700_000_000 + at * 1000
                os.utime(path, (when, when))


if __name__ == "__main__":
    main()
