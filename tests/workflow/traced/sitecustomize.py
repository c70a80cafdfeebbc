"""Imported by every Python process of a traced run: notes which functions of the package it executes, in a file.

STARGLOT_TRACED: folder of the notes, one file a process: its command line as JSON, then a line ``file:line`` for each
function that ran (where its definition begins).  What runs while a module of the package is imported is left out: it
reaches results through the names that it defines.
"""

import json
import os
import sys
import threading

_FOLDER = os.environ.get("STARGLOT_TRACED")
_PACKAGE = f"{os.sep}src{os.sep}starglot{os.sep}"


def _note_calls(path):
    noted = set()
    notes = open(path, "a", encoding="utf-8", buffering=1)  # line by line: a forked worker ends without a word

    def look(frame, event, arg):
        code = frame.f_code
        if event != "call" or code in noted:
            return
        if _PACKAGE not in code.co_filename:
            noted.add(code)
            return
        caller = frame
        while caller is not None:
            if caller.f_code.co_name == "<module>" and _PACKAGE in caller.f_code.co_filename:
                return
            caller = caller.f_back
        noted.add(code)
        notes.write(f"{code.co_filename}:{code.co_firstlineno}\n")

    threading.setprofile(look)
    sys.setprofile(look)


if _FOLDER:
    # A worker's own command line says nothing of the script that it works for.
    command = os.environ.setdefault("STARGLOT_TRACED_COMMAND", json.dumps(sys.orig_argv))
    if "workflow/scripts/" in command:
        name = os.path.join(_FOLDER, f"{os.getpid()}-{os.urandom(4).hex()}")
        with open(name, "w", encoding="utf-8") as first:
            first.write(command + "\n")
        _note_calls(name)
    else:  # snakemake itself: its jobs are what counts
        del os.environ["STARGLOT_TRACED_COMMAND"]
