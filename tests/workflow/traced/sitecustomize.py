"""Python imports this at its start where this folder is on its path: a job's script notes what it opens and runs.

Notes go to a file a process, which begins with a line of JSON: the script's command line.  In the folder that
STARGLOT_OPENED names follow lines "r path" and "w path"; in that of STARGLOT_CALLED lines "file:line", one for each
function of the package that ran, with the line where its definition begins.  What runs while a module is imported is
left out there: it reaches results through the names that it defines.
"""

import json
import os
import sys
import threading
from importlib.machinery import SourceFileLoader
from types import ModuleType
from typing import Any

_SCRIPTS = "workflow/scripts/"
_PACKAGE = f"{os.sep}src{os.sep}starglot{os.sep}"
#: The script's command line, for its worker processes, whose own says nothing of it.
_COMMAND = "STARGLOT_TRACED_COMMAND"
#: Files of libraries, thousands a job, are not noted.
_LIBRARIES = (f"{sys.prefix}{os.sep}", f"{os.path.dirname(os.__file__)}{os.sep}")


def _notes(folder: str, command: str) -> int:
    """A new file of notes, written to line by line: a worker may end without a word."""
    name = f"{folder}/{os.getpid()}-{os.urandom(4).hex()}"
    notes = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(notes, f"{command}\n".encode())
    return notes


def _note_calls(notes: int) -> None:
    noted: set[Any] = set()

    def look(frame: Any, event: str, _: Any) -> None:
        code = frame.f_code
        if event != "call" or code in noted:
            return
        if _PACKAGE in code.co_filename:
            caller = frame
            while caller is not None:
                if caller.f_code.co_name == "<module>" and _PACKAGE in caller.f_code.co_filename:
                    return
                caller = caller.f_back
            os.write(notes, f"{code.co_filename}:{code.co_firstlineno}\n".encode())
        noted.add(code)

    threading.settrace(look)
    sys.settrace(look)
    _let_others_be_imported()


def _let_others_be_imported() -> None:
    """Do not look while a module of another package is imported: it runs none of ours and takes twice as long."""
    run = SourceFileLoader.exec_module

    def exec_module(self: SourceFileLoader, module: ModuleType) -> None:
        looking = None if module.__name__.partition(".")[0] == "starglot" else sys.gettrace()
        if looking is None:
            return run(self, module)
        sys.settrace(None)
        try:
            run(self, module)
        finally:
            sys.settrace(looking)

    SourceFileLoader.exec_module = exec_module  # type: ignore[method-assign]


def _note_files(notes: int) -> None:
    wrapped = False

    def note(path: Any, kind: str) -> None:
        if isinstance(path, str) and path.startswith(_LIBRARIES):
            return
        if isinstance(path, str | bytes | os.PathLike):
            os.write(notes, f"{kind} {os.path.realpath(os.fsdecode(path))}\n".encode())

    def reading(function: Any) -> Any:
        def read(path: Any, *args: Any, **kwargs: Any) -> Any:
            note(path, "r")
            return function(path, *args, **kwargs)

        return read

    def wrap() -> None:
        """Arrow opens files without Python's help."""
        arrow, parquet = sys.modules["pyarrow"], sys.modules["pyarrow.parquet"]
        for module, names in ((arrow, ("memory_map",)), (parquet, ("read_table", "read_schema", "read_metadata"))):
            for name in names:
                setattr(module, name, reading(getattr(module, name)))
        begin = parquet.ParquetFile.__init__  # type: ignore[attr-defined]

        def init(self: Any, source: Any, *args: Any, **kwargs: Any) -> None:
            note(source, "r")
            begin(self, source, *args, **kwargs)

        parquet.ParquetFile.__init__ = init  # type: ignore[attr-defined]

    def hook(event: str, args: tuple[Any, ...]) -> None:
        nonlocal wrapped
        if event != "open":
            return
        if not wrapped and hasattr(sys.modules.get("pyarrow.parquet"), "write_metadata"):
            wrapped = True
            wrap()
        note(args[0], "w" if args[2] & (os.O_WRONLY | os.O_RDWR) else "r")

    sys.addaudithook(hook)


_is_script = any(_SCRIPTS in word for word in sys.orig_argv[1:2])
if _is_script:
    os.environ[_COMMAND] = json.dumps(sys.orig_argv[1:])
if _is_script and (_folder := os.environ.get("STARGLOT_OPENED")):
    _note_files(_notes(_folder, os.environ[_COMMAND]))
if _COMMAND in os.environ and (_folder := os.environ.get("STARGLOT_CALLED")):
    _note_calls(_notes(_folder, os.environ[_COMMAND]))
