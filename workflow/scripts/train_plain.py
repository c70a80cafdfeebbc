"""The class mean, or ridge regression, on one sample."""

from starglot.cli import parser, run
from starglot.training.baselines import train_files
from starglot.training.plain import fit_plain


def main(args):
    train_files(
        fit_plain,
        args.settings,
        sample=args.sample,
        labels=args.labels,
        index=args.index,
        code=args.code,
        state=args.state,
        manifest=args.manifest,
    )


if __name__ == "__main__":
    command = parser(__doc__)
    command.add_argument("--sample", required=True)
    command.add_argument("--labels", required=True)
    command.add_argument("--index", required=True, help="index of the cleaned spectra, in their folder")
    command.add_argument("--code", required=True, help="hash of the code, part of the work's identity")
    command.add_argument("--state", required=True, help="folder of checkpoints and finished work")
    command.add_argument("--manifest", required=True)
    run(main, command)
