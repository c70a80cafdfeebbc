"""Job scripts end when they are told to: soon, with one line, and having cleaned up."""

import signal
import subprocess
import sys
import time

import pytest

#: A job in a long loop of Python's, and one inside a single call of a library that does not return for minutes.
WORK = {
    "python": "while True: time.sleep(0.01)",
    "library": "hashlib.pbkdf2_hmac('sha256', b'x', b'y', 2**31 - 1)",
}
SCRIPT = """
import argparse, hashlib, time
from starglot.cli import run

def main(args):
    try:
        print("at work", flush=True)
        {work}
    except Exception:
        print("swallowed", flush=True)
    finally:
        print("cleaned up", flush=True)

run(main, argparse.ArgumentParser())
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("kind", WORK)
def test_a_script_ends_when_told(kind, number):
    command = [sys.executable, "-c", SCRIPT.format(work=WORK[kind])]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "at work\n"
    time.sleep(0.2)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert "Traceback" not in err and "swallowed" not in out
    if kind == "python":
        assert out == "cleaned up\n" and err.count("\n") == 1 and f"stopped by {number.name}" in err
