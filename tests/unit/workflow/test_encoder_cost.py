"""What encoders and aligned pairs are forecast to cost, against torch's own count of operations."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from refusals import refused
from starglot.commands.plan import plan, run
from starglot.config.load import merge
from starglot.config.root import Config
from starglot.models.encoders.aligned import Aligned
from starglot.models.encoders.autoencoder import described
from starglot.models.encoders.files import ENCODERS
from starglot.models.encoders.masked import tokens_of
from starglot.workflow.encoder_cost import base_jobs, forward
from starglot.workflow.gpu_cost import Device

N = 4


@pytest.fixture(scope="module")
def config(project: Path) -> Config:
    """config/pairs.yaml on the demo, with a network on a pair that goes on from another one."""
    raw: dict[str, Any] = {}
    for name in ("config", "demo", "pairs"):
        raw = merge(raw, yaml.safe_load((project / f"config/{name}.yaml").read_text()))
    after = {**raw["bases"]["clip"], "init": "clip", "transfer": {"strategy": "lora"}}
    over = {
        "bases": {"after": after},
        "models": {"on-it": {"kind": "mlp", "base": "after", "gpus": 0}},
        "run": {"models": ["ridge", "on-it"]},
    }
    return Config.model_validate(merge(raw, over))


def counted(run: Any) -> float:
    """Operations a spectrum, as torch counts them; attention's are counted where it is written out."""
    with FlopCounterMode(display=False) as counter, torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
        run()
    return counter.get_total_flops() / N


def test_operations_are_those_that_torch_counts(config):
    encoders = {}
    for name, base in (("lrs", config.bases["lrs"]), ("xp", config.bases["xp"])):
        pixels = config.recipe_of(base.view).wavelength.size
        network, flux = ENCODERS[base.kind](base.model_dump(), pixels), torch.rand(N, pixels)
        given = tokens_of(flux) if name == "lrs" else described(flux)
        assert forward(config, base) == pytest.approx(counted(partial(network, given)), rel=0.02)
        encoders[name] = (base, network, flux)
    split = config.bases["split"]
    kinds, networks, fluxes = zip(*((b.kind, n, f) for b, n, f in encoders.values()), strict=True)
    pair = Aligned(split, kinds, networks).eval()
    read = [pair.features(place, flux) for place, flux in enumerate(fluxes)]
    heads = counted(lambda: pair.heads(read))
    jobs = {(job.what, job.base): job for job in base_jobs(config)}
    features = sum(counted(lambda p=place: pair.features(p, fluxes[p])) for place in (0, 1))
    job = jobs["train", "split"]
    assert job.operations == pytest.approx(3 * heads + features / job.passes, rel=0.02)  # encoders read once


def test_every_base_is_counted_once_after_what_it_stands_on(config):
    jobs = [job for job in base_jobs(config) if job.what == "train"]
    names = [job.base for job in jobs]
    assert sorted(names) == ["after", "clip", "lrs", "split", "xp"]
    assert max(names.index("lrs"), names.index("xp")) < names.index("clip") < names.index("after")
    by_name = {job.base: job for job in jobs}
    assert by_name["after"].operations < by_name["clip"].operations  # of updates alone, fewer gradients
    assert by_name["lrs"].examples == round(2400 * 0.72)
    assert by_name["clip"].examples == round(2400 * 0.9 * 0.72)  # nine in ten stars have an XP spectrum
    (embedded,) = (job for job in base_jobs(config) if job.what == "embed")
    assert (embedded.base, embedded.examples, embedded.passes) == ("after", 2400, 1)


def test_the_plan_of_the_papers_size_says_what_it_does_not_know(project: Path, capsys):
    files = [str(project / "config" / name) for name in ("config.yaml", "specclip.yaml")]
    run(
        [
            *files,
            "--count",
            "gaia_xp/xp=966082",
            "--count",
            "lamost_xp=820568",
            "--times",
            str(project / "benchmarks/demo_jobs.tsv"),
        ]
    )
    told = capsys.readouterr().out
    assert f"{round(820568 * 0.72):,} pairs" in told and f"{round(966082 * 0.72):,} spectra" in told
    assert "not counted" not in told.partition("Encoders")[2].partition("Processor")[0]
    with refused("lamost_px", where="--count", allowed="lamost_xp"):
        run([*files, "--count", "lamost_px=5"])


def test_a_run_without_encoders_is_told_nothing_of_them(project: Path):
    raw = merge(*(yaml.safe_load((project / f"config/{name}.yaml").read_text()) for name in ("config", "demo")))
    assert not any("Encoders" in line for line in plan(Config.model_validate(raw), Device(), {}, {}))
