"""Finished work, kept by the digest of all it depends on and handed back when asked for again.

Snakemake removes outputs before it runs a rule again, also where nothing that matters has changed; hours of training
must not be lost to that.  Layout: ``<state>/<digest>/finished/`` beside ``<state>/<digest>/checkpoints/``.
"""

from __future__ import annotations

import logging
import os
import platform
import resource
import shutil
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from starglot.hashing import digest_of, file_digest
from starglot.sealed import SEAL, fault, seal
from starglot.tables import read_json, write_json

log = logging.getLogger(__name__)

MANIFEST = "manifest.json"
RUN = "run.json"


def workplace(state: Path, identity: Mapping[str, Any]) -> Path:
    """The folder of one piece of work: named by the digest of all that it depends on."""
    return Path(state) / digest_of(identity)[:24]


def hand_back(place: Path, out: Path, write: bool = True) -> dict[str, Any] | None:
    """Copy finished work to ``out`` and return its manifest, or None when there is none (or it is damaged).

    write: whether this process does the copying; of several, one does.
    """
    kept = place / "finished"
    if not kept.is_dir():
        return None
    wrong = fault(kept)
    if wrong is not None:
        log.warning("finished work in %s is of no use (%s); doing it again", kept, wrong)
        return None
    if write:
        log.info("this was done before with the same settings, inputs and code: handing back %s", kept)
        _copy(kept, out)
    return read_json(kept / MANIFEST)


def deliver(made: Path, place: Path, out: Path) -> None:
    """Keep the folder ``made`` as finished work, copy it to ``out``, and drop the checkpoints that led to it.

    The manifest gets the digests of the files beside it: rules depend on it alone, so it must change when they do.
    """
    files = [path for path in sorted(made.iterdir()) if path.is_file() and path.name not in (MANIFEST, RUN)]
    write_json({**read_json(made / MANIFEST), "files": digests(files)}, made / MANIFEST)
    kept = place / "finished"
    shutil.rmtree(kept, ignore_errors=True)
    seal(made)
    os.replace(made, kept)
    _copy(kept, out)
    shutil.rmtree(place / "checkpoints", ignore_errors=True)


def new_folder(place: Path) -> Path:
    """An empty folder to work in, what a killed run left there removed."""
    made = place / "made"
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(parents=True)
    return made


def _copy(kept: Path, out: Path) -> None:
    """Fill ``out`` with the files of ``kept``: the manifest last, what else was there removed first."""
    out.mkdir(parents=True, exist_ok=True)
    (out / MANIFEST).unlink(missing_ok=True)
    names = sorted(path.name for path in kept.iterdir() if path.name not in (SEAL, MANIFEST))
    for old in out.iterdir():
        if old.is_file() and old.name not in names:
            old.unlink()
    for name in (*names, MANIFEST):
        partial = out / f".{name}.{os.getpid()}.partial"
        shutil.copyfile(kept / name, partial)
        os.replace(partial, out / name)


def digests(paths: list[Path]) -> dict[str, str]:
    """File name to SHA-256."""
    return {Path(path).name: file_digest(path) for path in paths}


def versions() -> dict[str, str]:
    """Versions of what decides the numbers."""
    from importlib.metadata import version

    names = ("starglot", "torch", "transformers", "peft", "bitsandbytes", "accelerate", "lightgbm", "numpy")
    return {name: version(name) for name in names}


def write_run(folder: Path, started: float, **facts: Any) -> None:
    """run.json: when, where, how long and with how much memory; nothing that a result depends on."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    torch = sys.modules.get("torch")  # not imported for the sake of this: what does without it starts sooner
    gpus = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())] if torch else []
    write_json(
        {
            "started": time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(started)),
            "seconds": round(time.time() - started, 1),
            "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 1),
            "peak_memory_mb": round(usage.ru_maxrss / 1024),
            "peak_gpu_memory_mb": round(torch.cuda.max_memory_allocated() / 2**20) if torch and gpus else None,
            "host": platform.node(),
            "gpus": gpus,
            "threads": torch.get_num_threads() if torch else int(os.environ.get("OMP_NUM_THREADS", "1")),
            **facts,
        },
        folder / RUN,
    )
