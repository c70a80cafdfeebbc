"""What a language model of patch tokens adds to the estimates that it is given: both against the same truth.

    python benchmarks/estimates.py results/demo atmosphere llm-patches demo

RESULTS: a finished run.  The estimates are those of the network in the model's projector, read without the language
model; answers are the run's predictions of the test split.  Ratios of mean squared errors have 95 % intervals from
2,000 bootstrap samples of the stars; below 1, the language model's answers are better.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch
from safetensors.torch import load_file

from starglot.config.patches import Patches
from starglot.config.recipes import Wavelength
from starglot.language.number_answers import scales_from_data
from starglot.models.patch_llm import PROJECTOR_FILE, labels_of, load_projector
from starglot.spectra.pixels import pixels
from starglot.spectra.resample import wavelength_grid
from starglot.tables import read_json, read_spectra


def estimated(folder: Path, spectra: Path, answered: pa.Table) -> dict[str, np.ndarray]:
    """(n,) estimates by label, in the label's unit, of the answered spectra in order of obsid."""
    manifest = read_json(folder / "manifest.json")
    width = load_file(folder / PROJECTOR_FILE)["place"].shape[1]
    settings, grid = Patches.model_validate(manifest["encoding"]), Wavelength.model_validate(manifest["wavelength"])
    projector = load_projector(settings, grid.size, width, folder, manifest)
    if projector.estimates is None:
        raise SystemExit(f"the encoding of {folder} has no estimates")
    ids = np.unique(answered["obsid"].to_numpy())
    parts = {}
    for shard in sorted(spectra.glob("*.parquet")):
        there = np.intersect1d(ids, pq.read_table(shard, columns=["obsid"])["obsid"].to_numpy())
        if len(there):
            fine, coarse = pixels(read_spectra([shard], there), settings.coarse, wavelength_grid(grid))
            with torch.no_grad():
                read = projector.estimated_from(torch.from_numpy(fine), torch.from_numpy(coarse))
                parts |= dict(zip(there.tolist(), projector.estimates.fractions(read).numpy(), strict=True))
    found = np.stack([parts[each] for each in ids.tolist()])
    scales = scales_from_data(manifest["numbers"])
    return {
        label: scales[label].low + (scales[label].high - scales[label].low) * found[:, j]
        for j, label in enumerate(labels_of(manifest))
    }


def main() -> None:
    """Print R2 of both and the ratio of their errors, by label."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("task")
    parser.add_argument("model")
    parser.add_argument("size")
    parser.add_argument("--view", default="lamost/paper")
    args = parser.parse_args()
    name = f"{args.task}/{args.model}/{args.size}"
    answered = pq.read_table(args.results / f"predictions/{name}/test.parquet")
    alone = estimated(args.results / f"models/{name}", args.results / f"spectra/{args.view}", answered)
    sample = pq.read_table(args.results / f"samples/{args.task}/{args.size}.parquet").sort_by("obsid")
    rng, ratios = np.random.default_rng(0), []
    print(f"{'label':8s} {'N':>5s} {'estimate: R2':>13s} {'answer: R2':>11s}  error ratio")
    for label, estimate in alone.items():
        rows = answered.filter(pc.equal(answered["label"], label)).sort_by("obsid")
        truth, value = rows["truth"].to_numpy(), rows["value"].to_numpy()
        stars = np.array(sample.filter(pc.is_in(sample["obsid"], rows["obsid"]))["star_id"].to_pylist())
        known = np.isfinite(truth) & np.isfinite(value)
        number = np.unique(stars[known], return_inverse=True)[1]
        square = [np.bincount(number, (each[known] - truth[known]) ** 2) for each in (value, estimate)]
        drawn = rng.integers(0, len(square[0]), (2000, len(square[0])))
        low, high = np.percentile(square[0][drawn].sum(axis=1) / square[1][drawn].sum(axis=1), [2.5, 97.5])
        spread = np.sum((truth[known] - truth[known].mean()) ** 2)
        answer, own = (1 - each.sum() / spread for each in square)
        ratios.append((own, answer))
        ratio = square[0].sum() / square[1].sum()
        print(f"{label:8s} {known.sum():5d} {own:13.4f} {answer:11.4f}  {ratio:.2f} [{low:.2f}, {high:.2f}]")
    own, answer = np.mean(ratios, axis=0)
    print(f"{'mean':8s} {'':5s} {own:13.4f} {answer:11.4f}")


if __name__ == "__main__":
    main()
