"""Print what lets a shell complete starglot: commands, options, files.

bash:  starglot completion bash > ~/.local/share/bash-completion/completions/starglot
zsh:   starglot completion zsh > ~/.zfunc/_starglot, with `fpath+=~/.zfunc` before `compinit` in ~/.zshrc

It works in shells that are opened afterwards.
"""

from __future__ import annotations

import argparse
import pkgutil
from collections.abc import Sequence
from importlib import import_module

#: What arguments that are files are called on the pages of commands.
_FILES = ("FILE", "MODEL", "BASE", "CONFIG", "OUT", "TABLE", "JSON", "TSV")
_SHELLS = ("bash", "zsh")


def parser() -> argparse.ArgumentParser:
    """Its argument."""
    made = argparse.ArgumentParser(
        "starglot completion", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("shell", choices=_SHELLS)
    return made


def run(arguments: Sequence[str]) -> None:
    """Print the script of a shell."""
    shell = parser().parse_args(arguments).shell
    import shtab

    print(shtab.complete(whole(), shell))


def whole() -> argparse.ArgumentParser:
    """All commands in one parser, their files marked; one without a parser of its own takes another program's."""
    import shtab

    from starglot import commands

    made = argparse.ArgumentParser("starglot")
    inner = made.add_subparsers()
    for found in pkgutil.iter_modules(commands.__path__):
        module = import_module(f"{commands.__name__}.{found.name}")
        what = (module.__doc__ or "").partition("\n")[0]
        if not hasattr(module, "parser"):
            inner.add_parser(found.name, help=what)
            continue
        command = module.parser()
        for action in command._actions:  # argparse (3.11 to 3.13) has no public list of its arguments
            if action.metavar in _FILES:
                action.complete = shtab.FILE
        inner.add_parser(found.name, help=what, parents=[command], add_help=False)
    return made
