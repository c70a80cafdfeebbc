"""Python imports this at its start where this folder is on its path: a job's script notes the files that it opens.

In the folder STARGLOT_TRACE, a file a process: a line of JSON with the script's arguments, then "r path" or "w path".
"""

import json
import os
import sys
from typing import Any

_SCRIPTS = "workflow/scripts/"


def _trace(folder: str, arguments: list[str]) -> None:
    out = os.open(f"{folder}/{os.getpid()}", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(out, (json.dumps(arguments) + "\n").encode())
    wrapped = False

    def note(path: Any, kind: str) -> None:
        if isinstance(path, str | bytes | os.PathLike):
            os.write(out, f"{kind} {os.path.realpath(os.fsdecode(path))}\n".encode())

    def reading(function: Any) -> Any:
        def read(path: Any, *args: Any, **kwargs: Any) -> Any:
            note(path, "r")
            return function(path, *args, **kwargs)

        return read

    def wrap() -> None:
        """Arrow and safetensors open files without Python's help."""
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


if (_folder := os.environ.get("STARGLOT_TRACE")) and any(_SCRIPTS in word for word in sys.orig_argv[1:2]):
    _trace(_folder, sys.orig_argv[1:])
