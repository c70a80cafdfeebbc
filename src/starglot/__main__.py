"""The `starglot` command."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from importlib import import_module

from starglot.cli import compile_nothing
from starglot.errors import StarglotError
from starglot.extras import EXTRAS, not_installed

#: Command -> what it is for; a module of that name in starglot.commands does it.
COMMANDS = {
    "predict": "labels of spectra from a trained model, with uncertainties and flags",
    "apply": "a model over a whole survey or any number of files: a catalogue, in parts that survive a kill",
    "export": "copy a trained model with all that it stands on, to be moved or given away",
    "similar": "find the stars whose spectra are most like a given one, in the same view and in another survey's",
    "translate": "predict a star's spectrum in another survey from the one that is given",
    "plan": "say before a launch what it costs: GPU hours, memory, disk, processor time, downloads",
    "check": "say of every external input whether it is there, how large, and where it comes from",
    "files": "list the spectrum files of the selection, to download them",
    "fetch": "download the base models that a run needs, on a node with network",
    "explain": "say why jobs would run: which setting, definition or input changed",
    "accept": "keep results after an edit of the code that leaves them as they are, on record",
    "miles": "lay the stars of the MILES library out as a LAMOST release, to train on real stars",
    "completion": "print what lets a shell complete these commands, their options and files",
    "recover": "after a run was killed: end what it left, keep what it finished, unlock",
}

USAGE = "\n".join(
    [
        "usage: starglot COMMAND ...",
        "",
        *(f"  {name:<10} {what}" for name, what in COMMANDS.items()),
        "",
        "starglot COMMAND --help says more.  Exit status: 0 done; 1 it cannot be done, or something is missing;",
        "2 not understood; 3 done in part (predict, apply); 128 + the signal where it was told to end.",
    ]
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command that is named first; end the process with its status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] in ([], ["-h"], ["--help"]):
        print(USAGE)
        sys.exit(0 if given else 2)
    name, *others = given
    if name not in COMMANDS:
        print(f"starglot: no command {name!r}\n\n{USAGE}", file=sys.stderr)
        sys.exit(2)
    compile_nothing()
    try:
        import_module(f"starglot.commands.{name}").run(others)
    except StarglotError as error:
        sys.exit(f"error: {error}")
    except BrokenPipeError:  # the reader of what is printed has seen enough: `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in EXTRAS:
            raise
        sys.exit(f"error: {not_installed(missing, f'starglot {name}')}")


if __name__ == "__main__":
    main()
