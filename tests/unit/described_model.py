"""A small model that answers by itself: ridge regression on stars made of black bodies and lines."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from starglot.config.kinds.baselines import Ridge
from starglot.config.recipes import Recipe, Wavelength
from starglot.evaluation.calibration import fitted_scales
from starglot.evaluation.class_probability import fit_probability
from starglot.labels import CLASSES
from starglot.mock.synthesis import grid
from starglot.models.baselines.predict import predict
from starglot.models.baselines.ridge import read_ridge
from starglot.models.domain import DOMAIN, save_domain
from starglot.models.folder import describe_model
from starglot.samples.domain import domain_of_sample
from starglot.spectra.clean import clean
from starglot.spectra.raw import RawSpectrum
from starglot.tables import SAMPLE, spectra_table, write_parquet
from starglot.training.baselines import train_baseline
from starglot.training.plain import fit_plain
from tasks import task_of

RECIPE = Recipe(wavelength=Wavelength(start=3800, stop=8700, step=10))
TASK = task_of("atmosphere", ["teff", "feh"], source="lamost", balanced=False, sizes={"s": None})
WAVELENGTH = grid()


def star(teff: float, feh: float, snr: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Flux and error (n,) at WAVELENGTH: a black body; hydrogen lines where it is hot, of metals where it is cool."""
    flux = WAVELENGTH**-5 / np.expm1(1.4388e8 / (WAVELENGTH * teff))
    flux = flux / flux.max()
    for centre in (6564.6, 4862.7, 4341.7):
        depth = 0.1 + 0.5 * (teff - 4000) / 5000
        flux = flux * (1 - depth * np.exp(-0.5 * ((WAVELENGTH - centre) / 15) ** 2))
    for centre in (3934.8, 3969.6, 4227.9, 5176.6, 5270.0, 5895.6, 8500.4, 8544.4):
        depth = 0.5 * 10 ** (0.5 * feh) * (9000 - teff) / 5000
        flux = flux * (1 - depth * np.exp(-0.5 * ((WAVELENGTH - centre) / 15) ** 2))
    error = np.full(len(flux), np.median(flux) / snr)
    return 1e4 * (flux + np.random.default_rng(seed).normal(0, 1, len(flux)) * error), 1e4 * error


def build(folder: Path, n: int = 300) -> Path:
    """Train and describe the model on ``n`` spectra; returns its folder, models/t/ridge/s below ``folder``."""
    rng = np.random.default_rng(5)
    teff, feh, snr = rng.uniform(4000, 9000, n), rng.uniform(-1.5, 0.5, n), rng.uniform(40, 120, n)
    rows = []
    for seed, (t, f, s) in enumerate(zip(teff, feh, snr, strict=True)):
        flux, error = star(t, f, s, seed)
        raw = RawSpectrum(WAVELENGTH, flux, error**-2, np.zeros(len(flux), np.int64))
        rows.append(clean(raw, RECIPE)[0])
    stars = [f"gaia:{at}" for at in range(n)]
    write_parquet(
        spectra_table(np.arange(n), stars, np.stack(rows), np.zeros(n, np.int32)), folder / "spectra.parquet"
    )
    letters = [CLASSES[min(4, int((9000 - t) / 1000))] for t in teff]
    split = ["val" if at % 4 == 3 else "train" for at in range(n)]
    sample = pa.table([np.arange(n), stars, letters, split, np.zeros(n, np.int8)], schema=SAMPLE)
    labels = pa.table({"obsid": np.arange(n), "shard": ["spectra"] * n, "snr_r": snr, "teff": teff, "feh": feh})
    out, settings = folder / "models" / "t" / "ridge" / "s", Ridge(kind="ridge", bin=2)

    def shard_path(shard: str) -> Path:
        return folder / f"{shard}.parquet"

    train_baseline(fit_plain, settings, TASK, sample, labels, shard_path, out, folder / "state", {}, "code")
    domain, facts = domain_of_sample(TASK, sample, labels, shard_path)
    save_domain(domain, out / DOMAIN, facts)
    val = sample.filter(pa.compute.equal(sample["split"], "val"))
    raw_val = predict(lambda rows: read_ridge(settings, TASK, out, rows, shard_path), TASK, val, labels, ())
    about = {
        "name": "ridge",
        "size": "s",
        "task": "t",
        "question": TASK.model_dump(mode="json"),
        "model": settings.model_dump(mode="json"),
        "recipe": RECIPE.model_dump(mode="json"),
        "survey": "lamost",
        "release": "made up",
        "encoding": None,
    }
    describe_model(out, about, fitted_scales(raw_val), fit_probability(raw_val))
    return out
