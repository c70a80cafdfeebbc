"""Values of the class mean or of ridge regression for a prediction set."""

from starglot.cli import parser, run
from starglot.inference.baselines import predict_files
from starglot.models.baselines.class_mean import read_class_mean
from starglot.models.baselines.ridge import read_ridge
from starglot.tables import write_with_digest


def main(args):
    predictions = predict_files(
        {"class_mean": read_class_mean, "ridge": read_ridge},
        args.settings,
        model=args.model,
        sample=args.sample,
        split=args.split,
        labels=args.labels,
        seen=args.seen,
        index=args.index,
        code=args.code,
        state=args.state,
    )
    write_with_digest(predictions, args.out)


if __name__ == "__main__":
    command = parser(__doc__)
    command.add_argument("--model", required=True, help="manifest of the model")
    command.add_argument("--sample", required=True)
    command.add_argument("--split", required=True)
    command.add_argument("--labels", required=True)
    command.add_argument("--seen", nargs="+", required=True, help="samples whose training stars the model has seen")
    command.add_argument("--index", required=True, help="index of the cleaned spectra, in their folder")
    command.add_argument("--code", required=True, help="hash of the code, part of the work's identity")
    command.add_argument("--state", required=True, help="folder of finished work")
    command.add_argument("--out", required=True)
    run(main, command)
