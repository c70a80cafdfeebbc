"""The output of a finished training: weights, manifest, run.json; stored, and restored when it is needed again.

Snakemake removes outputs before it runs a rule again, also where nothing that matters has changed; hours of training
must not be lost to that.
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

from starglot.hashing import BEGUN_WITH, file_digest
from starglot.store import CHECKPOINTS, FINISHED, copy_out, is_whole, keep, workplace
from starglot.tables import read_json, write_json
from starglot.training.begun import forget, place_to_work, what_happened

log = logging.getLogger(__name__)

MANIFEST = "manifest.json"
RUN = "run.json"


def restore_or_begin(
    state: Path, ingredients: Mapping[str, Any], out: Path, script: Path | None, chief: bool = True
) -> tuple[Path, dict[str, Any] | None]:
    """The work's place in the store, and its manifest when it was finished before: then it is in ``out`` again.

    Else the training may begin there, or go on (:func:`starglot.training.begun.place_to_work`, which ``script`` and
    ``chief`` are for).
    """
    wanted = workplace(state, ingredients)
    finished = restore(wanted, out, write=chief)
    if finished is not None:
        return wanted, finished
    place = place_to_work(wanted, ingredients, script, out / MANIFEST, chief)
    return place, restore(place, out, write=chief) if place != wanted else None


def restore(place: Path, out: Path, write: bool = True) -> dict[str, Any] | None:
    """Copy finished work to ``out`` and return its manifest, or None when there is none (or it is damaged).

    write: whether this process does the copying; of several, one does.
    """
    finished = place / FINISHED
    if not is_whole(finished):
        return None
    if write:
        log.info("this was done before with the same settings, inputs and code: handing back %s", finished)
        copy_out(finished, out, last=MANIFEST, alone=True)
        _drop_what_led_there(place)
    manifest: dict[str, Any] = read_json(finished / MANIFEST)
    return manifest


def deliver(made: Path, place: Path, out: Path) -> dict[str, Any]:
    """Keep the folder ``made`` as finished work, copy it to ``out``, and drop the checkpoints that led to it.

    Returns the manifest, which gets the digests of the files beside it: rules depend on it alone, so it must change
    when they do.
    """
    files = [path for path in sorted(made.iterdir()) if path.is_file() and path.name not in (MANIFEST, RUN)]
    known = digests(files)
    happened = what_happened(place)
    manifest: dict[str, Any] = {**read_json(made / MANIFEST), "files": known}
    if happened:
        manifest[BEGUN_WITH] = happened
    write_json(manifest, made / MANIFEST)
    keep(made, place / FINISHED, known)
    copy_out(place / FINISHED, out, last=MANIFEST, alone=True)
    _drop_what_led_there(place)
    return manifest


def _drop_what_led_there(place: Path) -> None:
    shutil.rmtree(place / CHECKPOINTS, ignore_errors=True)
    forget(place)


def digests(paths: list[Path]) -> dict[str, str]:
    """File name to SHA-256."""
    return {Path(path).name: file_digest(path) for path in paths}


def versions() -> dict[str, str]:
    """Versions of what decides the numbers, as far as it is installed."""
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for name in ("starglot", "torch", "transformers", "peft", "bitsandbytes", "accelerate", "lightgbm", "numpy"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # of an extra; what is trained does without
            continue
    return found


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
