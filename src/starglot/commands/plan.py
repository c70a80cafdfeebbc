"""Before a launch: spectra, tokens, GPU hours, memory, disk, processor time, downloads, with what is assumed.

CONFIG is config/config.yaml and overlays, each laid over the one before.  Nothing is loaded and nothing is run; the
numbers are arithmetic on the configuration.  GPU hours rest on how fast the device is: measured on it
(python benchmarks/gpu.py --out gpu.json), or given, or assumed.

Exit status: 0; 1 where the run takes more than `limits: gpu_hours` allows; 2 not understood.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from starglot.config.load import read_config
from starglot.config.root import Config
from starglot.errors import StarglotError
from starglot.workflow import check, encoder_cost, forecast, processor_cost
from starglot.workflow.gpu_cost import PEAKS, Device, given_device
from starglot.workflow.progress import in_words

#: What the demo's rules took, in the project's folder.
MEASURED = Path("benchmarks/demo_jobs.tsv")
#: Spectra of views, and numbers of pairs, where they are told.
Seen: TypeAlias = Mapping[str, int] | None
#: Rules that are listed by themselves.
_LISTED = 10


def parser() -> argparse.ArgumentParser:
    """Its arguments and options."""
    made = argparse.ArgumentParser(
        "starglot plan", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("config", nargs="+", metavar="CONFIG", help="config/config.yaml and overlays")
    speed = made.add_mutually_exclusive_group()
    speed.add_argument("--tflops", type=float, metavar="N", help="TFLOP/s that the GPU sustains (400 is assumed)")
    speed.add_argument("--mfu", type=float, metavar="SHARE", help="share of the card's peak that training reaches")
    speed.add_argument("--measured", type=Path, metavar="JSON", help="what benchmarks/gpu.py measured")
    made.add_argument("--card", choices=PEAKS, default="H100", help="the card of --mfu (default: %(default)s)")
    made.add_argument(
        "--count",
        action="append",
        default=[],
        metavar="NAME=N",
        help="spectra of a size of null, which takes all (TASK/SIZE), or of a view, or the number of pairs, by name",
    )
    made.add_argument(
        "--times", type=Path, default=MEASURED, metavar="TSV", help="what rules took (default: %(default)s)"
    )
    return made


def run(arguments: Sequence[str]) -> None:
    """Print the plan; StarglotError where a limit of the configuration is passed."""
    understood = parser()
    given = understood.parse_args(arguments)
    if any(value is not None and value <= 0 for value in (given.tflops, given.mfu)):
        understood.error("--tflops and --mfu have to be above 0")
    if given.mfu is not None and given.mfu > 1:
        understood.error("--mfu is a share: 0.4 is 40 %")
    config = read_config(*given.config)
    device = given_device(given.tflops, given.mfu, given.card, given.measured)
    times = processor_cost.read_measured(given.times) if given.times != MEASURED or MEASURED.is_file() else {}
    counts, seen = _counts(config, given.count)
    print("\n".join(plan(config, device, counts, times, seen)), flush=True)
    forecast.require_within_limits(config, device)


def _counts(config: Config, given: Sequence[str]) -> tuple[dict[tuple[str, str], int], dict[str, int]]:
    """`NAME=N` of sizes, and of views and pairs, as mappings.  Raises StarglotError for what names none."""
    found, seen = {}, {}
    for text in given:
        name, _, number = text.partition("=")
        task, _, size = name.partition("/")
        if number.isdecimal() and name in (*config.views, *config.used_pairs):
            seen[name] = int(number)
            continue
        if task not in config.tasks or size not in config.tasks[task].sample.sizes or not number.isdecimal():
            raise StarglotError(
                f"'{text}' names no size, view or pairs with a number",
                where="--count",
                allowed=", ".join(
                    [
                        *(f"{task}/{size}=N" for task in config.tasks for size in config.tasks[task].sample.sizes),
                        *(f"{name}=N" for name in (*config.views, *config.used_pairs)),
                    ]
                ),
                todo="write it as NAME=NUMBER with a task and size, a view or pairs of the configuration",
            )
        found[task, size] = int(number)
    return found, seen


def plan(
    config: Config,
    device: Device,
    given: Mapping[tuple[str, str], int],
    times: Mapping[str, processor_cost.Measured],
    seen: Seen = None,
) -> Iterator[str]:
    """The lines of a plan.  given: spectra of sizes that take all there is; times: what rules took elsewhere; seen:
    spectra of views, and numbers of pairs."""
    counts = forecast.sample_counts(config, given)
    yield from _spectra(config, counts, seen)
    yield from _gpus(config, device, counts)
    yield from _bases(config, seen or {})
    yield from _processors(config, counts, times, seen)
    yield from _disk(config, counts, seen)
    yield from _inputs(config, counts, seen)


def _spectra(config: Config, counts: list[forecast.Count], seen: Seen) -> Iterator[str]:
    found = forecast.spectra_to_clean(config, counts, seen)
    yield f"Spectra: {sum(found.values()):,} to clean"
    for view in (each for each, spectra in found.items() if not spectra):
        yield f"  of {view}: not counted here (--count {view}=N)"
    for one in counts:
        if one.spectra is None:
            yield f"  {one.task}, {one.size}: all there are, not counted here (--count {one.task}/{one.size}=N)"
            continue
        train, test = round(one.spectra * config.split.train), round(one.spectra * config.split.test)
        yield f"  {one.task}, {one.size}: {one.spectra:,}, about {train:,} for training and {test:,} for testing"


def _gpus(config: Config, device: Device, counts: list[forecast.Count]) -> Iterator[str]:
    jobs = list(forecast.gpu_jobs(config, device, counts))
    yield ""
    if not jobs:
        yield "GPU hours of language models: none (`training: gpus` is 0 everywhere)"
        return
    yield "GPU hours of language models"
    for job in jobs:
        hours = "base's shape is not known" if job.hours is None else f"{job.hours:,.1f} h"
        memory = "" if job.memory is None else f", {job.memory / 1e9:.0f} GB on each GPU"
        sweep = " (sweep)" if job.sweep else ""
        yield (
            f"  {job.what} {', '.join(part for part in (job.model, job.task, job.size) if part)}{sweep}: "
            f"{job.spectra:,} spectra x {job.tokens:,} tokens: {hours}{memory}"
        )
    run, sweep_alone = forecast.gpu_hours(jobs)
    yield f"  in all: {_hours(run)}" + (
        f", and {_hours(sweep_alone)} more for the sweeps (snakemake scaling, ablation)" if sweep_alone else ""
    )
    limit = config.limits.gpu_hours
    yield f"  limits.gpu_hours: {'none' if limit is None else f'{limit:,g} h'}"
    yield "  assumed:"
    yield f"    - {device.said}"
    yield "    - operations for each token: in training 4 for each weight of the base and 7 for each layer, width and"
    yield "      token before it, with recomputed activations 6 and 9; in a prompt that is answered 2 and 2"
    yield f"    - Llama 3's tokens: {forecast.AROUND} around a spectrum, {forecast.ANSWERED} for each label answered"
    yield "    - not in it: decoding of answers, loading, validation during training, networks among the baselines,"
    yield "      external surveys without a `validation_limit`"


def _bases(config: Config, seen: Mapping[str, int]) -> Iterator[str]:
    """Encoders and aligned pairs, where a run builds any."""
    jobs = list(encoder_cost.base_jobs(config, seen))
    if not jobs:
        return
    yield ""
    yield "Encoders and aligned pairs"
    totals = {True: 0.0, False: 0.0}
    for job in jobs:
        of = "pairs" if job.kind == "aligned" and job.what == "train" else "spectra"
        passes = f" x {job.passes} passes" if job.what == "train" else ""
        if job.examples is None or job.seconds is None:
            yield f"  {job.what} {job.base} ({job.kind}): {of} not counted here (--count NAME=N){passes}"
            continue
        totals[job.gpu] += job.seconds
        yield (
            f"  {job.what} {job.base} ({job.kind}): {job.examples:,} {of}{passes} x {job.operations:.2g} operations: "
            f"{in_words(job.seconds)} on {'a GPU' if job.gpu else 'one core'}"
        )
    for gpu, said in ((True, "a GPU"), (False, "one core")):
        if totals[gpu]:
            yield f"  in all: {in_words(totals[gpu])} on {said}"
    yield "  assumed:"
    rate = f"{encoder_cost.GPU_RATE / 1e12:g} TFLOP/s of a GPU in float32"
    yield f"    - {rate}, not measured; --tflops and --mfu are of language models"
    yield f"    - {encoder_cost.CORE_RATE / 1e9:g} GFLOP/s of one core (benchmarks/encoders.py: 14 to 36)"
    yield "    - all spectra of a view: its largest sample, or what the mock has; pairs: as many as its smaller view"
    yield "    - all passes, as if no training stopped early; not in it: validation, and networks on embeddings"


def _hours(hours: float) -> str:
    return f"{hours:,.1f} h" if hours < 10 else f"{hours:,.0f} h"


def _processors(
    config: Config, counts: list[forecast.Count], times: Mapping[str, processor_cost.Measured], seen: Seen
) -> Iterator[str]:
    yield ""
    found = processor_cost.core_seconds(config, counts, times, seen)
    if not found:
        yield f"Processor time: not known, for lack of measured times ({MEASURED}, or --times)"
        return
    yield f"Processor time: {in_words(sum(found.values()))} on one core"
    for rule, seconds in list(found.items())[:_LISTED]:
        yield f"  {rule}: {in_words(seconds)}"
    if len(found) > _LISTED:
        rest = list(found.values())[_LISTED:]
        yield f"  {len(rest)} other rules: {in_words(sum(rest))}"
    yield "  assumed: each rule's measured time grows with the spectra that it reads, or with the number of models"


def _disk(config: Config, counts: list[forecast.Count], seen: Seen) -> Iterator[str]:
    found = forecast.disk(config, counts, seen)
    yield ""
    yield f"Disk for results: about {check.readable_size(round(sum(found.values())))}"
    for name, size in found.items():
        yield f"  {name}: {check.readable_size(round(size))}"
    yield (
        f"  assumed: {forecast.SPECTRUM_BYTES:g} bytes a cleaned value, {forecast.TEXT_BYTES:g} a value as text; "
        "models, predictions and figures are small beside them"
    )


def _inputs(config: Config, counts: list[forecast.Count], seen: Seen) -> Iterator[str]:
    sizes = forecast.downloads(config, counts, seen)
    yield ""
    lacking = check.lacking(check.external_inputs(config))
    if not lacking:
        yield "Inputs from outside: all here, or made by the run"
        return
    yield "Inputs from outside that are not here (starglot check says more)"
    for item in lacking:
        size = next((sizes[name] for name in sizes if name in (item.path, item.name.partition(",")[0])), None)
        yield f"  {item.name}: {item.path}"
        yield f"    size     {'not known' if size is None else f'about {check.readable_size(round(size))}'}"
        yield f"    from     {item.source}"
        yield f"    account  {item.account}"
