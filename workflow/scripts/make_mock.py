"""Write the mock release."""

import argparse
from pathlib import Path

from starglot.cli import parser, run
from starglot.config.root import Mock
from starglot.hashing import digest_of, file_digest
from starglot.mock.release import write_release
from starglot.tables import write_digests


def main(args: argparse.Namespace) -> None:
    release = Path(args.truth).parent
    write_release(release, Mock.model_validate(args.settings["mock"]))
    spectra = sorted(path for path in (release / "lamost" / "spectra").rglob("*") if path.is_file())
    write_digests(args.catalogs, args.digests, {"spectra": digest_of([file_digest(path) for path in spectra])})


if __name__ == "__main__":
    command = parser(__doc__)
    command.add_argument("--truth", required=True, help="the release is written to this file's folder")
    command.add_argument("--catalogs", nargs="+", required=True, help="the release's catalogues, to be digested ...")
    command.add_argument("--digests", required=True, help="... into this small file")
    run(main, command)
