"""Stars of four numbers each, which two views show in their own ways, and aligned bases trained on them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from starglot.config.bases.aligned import AlignedBase
from starglot.config.recipes import Recipe
from starglot.models.encoders.files import ENCODERS, save_encoder
from starglot.surveys.index import write_index_of
from starglot.tables import PAIR, spectra_table, write_json, write_parquet
from starglot.training.alignment import train_aligned

N, PIXELS = 300, (120, 37)
ENCODER_SETTINGS = (
    {"kind": "masked_encoder", "width": 16, "blocks": 1, "heads": 2},
    {"kind": "autoencoder", "width": 16, "hidden": 24},
)
VIEWS = ("lamost/blue", "gaia_xp/xp")
#: The value by which a spectrum is divided.
UNIT = 10
RECIPES = [
    Recipe.model_validate(
        {
            "wavelength": {"start": 4000.0, "stop": 4000.0 + 10 * (pixels - 1), "step": 10.0},
            "normalisation": {"at": 4000.0 + 10 * UNIT},
            "interpolation": "linear",
        }
    )
    for pixels in PIXELS
]


@dataclass(frozen=True)
class Stars:
    """Stars in two views: files, and flux (n, pixels) of both."""

    pairs: Path
    indexes: list[Path]
    encoders: list[Path]
    flux: list[np.ndarray]
    split: np.ndarray


def make_stars(folder: Path) -> Stars:
    """Each star has four numbers of its own, which either view shows in another way; encoders know nothing yet."""
    rng = np.random.default_rng(2)
    hidden = rng.normal(size=(N, 4))
    split = np.array(["train"] * 200 + ["val"] * 50 + ["test"] * 50)
    indexes, encoders, flux = [], [], []
    for place, pixels in enumerate(PIXELS):
        seen = 800 + 60 * hidden @ rng.normal(size=(4, pixels)) + rng.normal(0, 5, (N, pixels))
        flux.append(np.clip(np.round(1000 * seen / seen[:, UNIT, None]), 1, 30_000).astype(np.int16))
        stars = [f"gaia:{star}" for star in range(N)]
        table = spectra_table(np.arange(N) + 1000 * place, stars, flux[-1], np.zeros(N, np.int32))
        view = folder / f"view{place}"
        write_parquet(table, view / "s1.parquet")
        write_index_of(view / "s1.parquet", view / "index.tsv")
        indexes.append(view / "index.tsv")
        base = folder / f"encoder{place}"
        base.mkdir()
        torch.manual_seed(place)
        settings = ENCODER_SETTINGS[place]
        save_encoder(ENCODERS[settings["kind"]](settings, pixels), settings, base)
        write_json({"kind": settings["kind"], "base": settings}, base / "manifest.json")
        encoders.append(base)
    ids = [f"gaia:{star}" for star in range(N)]
    rows = {"star_id": ids, "obsid": np.arange(N), "shard": ["s1"] * N}
    rows |= {"other_star_id": ids, "other_obsid": np.arange(N) + 1000, "other_shard": ["s1"] * N, "split": split}
    write_parquet(pa.table(rows).cast(PAIR), folder / "pairs.parquet")
    return Stars(folder / "pairs.parquet", indexes, encoders, flux, split)


def fit(stars: Stars, folder: Path, name: str = "out", start: Path | None = None, **given) -> dict:
    plan = {"epochs": 25, "batch": 50, "learning_rate": 3e-3, "weight_decay": 0.01} | given.pop("training", {})
    said = {
        "kind": "aligned",
        "pairs": "p",
        "encoders": ("a", "b"),
        "gpus": 0,
        "shared": 12,
        "heads": 2,
        "hidden": 20,
    }
    settings = AlignedBase.model_validate(said | {"training": plan} | given)
    files = stars.pairs, stars.indexes, stars.encoders
    places = folder / name, folder / "state"
    return train_aligned(settings, VIEWS, RECIPES, *files, *places, "hash", start=start)
