"""Write what DESI sees of the mock's stars."""

import argparse
from pathlib import Path

from starglot.cli import parser, run
from starglot.config.mock_views import MockDesi
from starglot.config.root import Mock
from starglot.hashing import digest_of, file_digest
from starglot.mock.desi_release import SPECTRA, write_desi
from starglot.tables import write_digests


def main(args: argparse.Namespace) -> None:
    release = Path(args.truth).parent
    write_desi(release, Mock.model_validate(args.settings["mock"]), MockDesi.model_validate(args.settings["desi"]))
    spectra = sorted((release / SPECTRA).rglob("coadd-*.fits"))
    write_digests(args.catalogs, args.digests, {"spectra": digest_of([file_digest(path) for path in spectra])})


if __name__ == "__main__":
    command = parser(__doc__)
    command.add_argument("--truth", required=True, help="the release is written to this file's folder")
    command.add_argument("--catalogs", nargs="+", required=True, help="the release's catalogues, to be digested ...")
    command.add_argument("--digests", required=True, help="... into this small file")
    run(main, command)
