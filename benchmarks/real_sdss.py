"""A release to learn from with real SDSS spectra on plates of their own: a root of spectra and its specObj table.

    python benchmarks/real_sdss.py results/redshift/mock/sdss OUT spec-1230-52672-0233.fits ...

The first is a release with its table, specObj*.fits, such as the mock's; OUT becomes one with the same spectra, as
links, the files given in folders of their plates, and OUT/specObj.fits.  The rows of the files are made of their
second tables, which say plate, position, class and redshift.  Plates that both have are refused, as plates are held
out as a whole (docs/redshift.md).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.table import Table, vstack

#: Columns of specObj that the survey reads, and what a file has instead where it lacks one.
COLUMNS = {
    **{"PLATE": 0, "MJD": 0, "FIBERID": 0, "RUN2D": "", "PLUG_RA": np.nan, "PLUG_DEC": np.nan, "CLASS": ""},
    **{"SUBCLASS": "", "Z": np.nan, "Z_ERR": np.nan, "ZWARNING": 0, "SN_MEDIAN_ALL": np.nan, "CLASS_NOQSO": ""},
    **{"Z_NOQSO": 0.0, "Z_ERR_NOQSO": 0.0, "ZWARNING_NOQSO": 0},
}


def row_of(path: Path) -> dict[str, object]:
    """The row of specObj of a spec file."""
    row = fits.getdata(path, 2)[0]
    have = {name.upper(): row[name] for name in row.array.names}
    found = {name: have.get(name, absent) for name, absent in COLUMNS.items()}
    return {name: value.strip() if isinstance(value, str) else value for name, value in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("release", type=Path, help="root of a release, with its specObj*.fits")
    parser.add_argument("out", type=Path, metavar="OUT")
    parser.add_argument("files", type=Path, nargs="+", metavar="SPEC")
    given = parser.parse_args()
    release = Table.read(next(iter(sorted(given.release.glob("specObj*.fits")))))
    real = Table([row_of(path) for path in given.files])
    if both := sorted({*map(int, real["PLATE"])} & {*map(int, release["PLATE"])}):
        parser.error(f"plates of both: {both}; leave the files of these out")
    given.out.mkdir(parents=True, exist_ok=True)
    for folder in given.release.iterdir():
        if folder.is_dir() and not (given.out / folder.name).exists():
            (given.out / folder.name).symlink_to(folder.resolve())
    for path, plate in zip(given.files, real["PLATE"], strict=True):
        link = given.out / f"{plate:04d}" / path.name
        link.parent.mkdir(exist_ok=True)
        if not link.exists():
            link.symlink_to(path.resolve())
    rows = vstack(
        [release[[name for name in COLUMNS if name in release.colnames]], real], metadata_conflicts="silent"
    )
    rows.write(given.out / "specObj.fits", overwrite=True)
    plates = ", ".join(map(str, sorted({*map(int, real["PLATE"])})))
    print(f"{len(release)} spectra and {len(real)} real ones, on plates {plates} -> {given.out}")


if __name__ == "__main__":
    main()
