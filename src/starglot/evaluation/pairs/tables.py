"""The tables of an aligned base, from embeddings and spectra of the pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from starglot.errors import StarglotError
from starglot.evaluation.pairs.crossmodal import crossmodal_table
from starglot.evaluation.pairs.retrieval import Search, retrieval_table
from starglot.evaluation.pairs.simple_translation import RidgeTranslation, neighbours_mean
from starglot.hashing import stable_hash
from starglot.models.encoders.pairs import OBSID, of_length_1, shared_parts
from starglot.spectra.sample_flux import CleanedSpectra
from starglot.tables import FLUX_SCALE, SPLITS

#: Most stars of each split that the tables are made of: so many by a hash of their ids.
MOST = {"train": 100_000, "val": 20_000, "test": 20_000}


@dataclass(frozen=True)
class Judged:
    """Pairs that a base is judged by: of each split flux (n, pixels) and shared embeddings (n, shared) by view."""

    views: tuple[str, str]
    flux: dict[str, tuple[np.ndarray, np.ndarray]]
    shared: dict[str, tuple[np.ndarray, np.ndarray]]

    @cached_property
    def ridges(self) -> tuple[RidgeTranslation, RidgeTranslation]:
        """Ridge regressions from the first view to the second, and back."""
        train, val = self.flux["train"], self.flux["val"]
        return RidgeTranslation(train, val), RidgeTranslation(train[::-1], val[::-1])

    @property
    def ways(self) -> list[tuple[int, str, str]]:
        """(place of the view that is given, its name, that of the other one), both ways."""
        return [(0, *self.views), (1, *self.views[::-1])]


def judged_pairs(embedded: pa.Table, views: Sequence[str], spectra: Sequence[CleanedSpectra]) -> Judged:
    """What the tables are made of; embedded: of :func:`starglot.models.encoders.pairs.embed_pairs`.

    Raises StarglotError when a split has no pair.
    """
    flux, shared = {}, {}
    of = embedded["split"].to_numpy(zero_copy_only=False)
    for split in SPLITS:
        mine = embedded.filter(pa.array(of == split))
        if not len(mine):
            raise StarglotError(
                f"there is no {split} pair", where=" with ".join(views), todo="take more stars, or another `split`"
            )
        first = np.argsort(stable_hash(mine["star_id"].to_pylist(), "judged"), kind="stable")[: MOST[split]]
        some = mine.take(pa.array(np.sort(first))).combine_chunks()
        one, other = (_flux(view, some[name].to_numpy()) for view, name in zip(spectra, OBSID, strict=True))
        flux[split] = (one, other)
        shared[split] = shared_parts(some)
    return Judged((views[0], views[1]), flux, shared)


def _flux(view: CleanedSpectra, obsid: np.ndarray) -> np.ndarray:
    """Normalised flux (n, pixels), float32."""
    out: np.ndarray | None = None
    for at, flux in view.blocks(obsid, "flux"):
        out = np.empty((len(obsid), flux.shape[1]), np.float32) if out is None else out
        out[at] = flux / np.float32(FLUX_SCALE)
    assert out is not None
    return out


def retrieval_of(pairs: Judged) -> pd.DataFrame:
    """The right star among all test stars, by shared embeddings and by ridge regression."""
    searches = {}
    for place, view, other in pairs.ways:
        test, shared = pairs.flux["test"], [of_length_1(each) for each in pairs.shared["test"]]
        scatter = np.maximum(pairs.flux["train"][1 - place].std(axis=0), 1e-6)
        fitted = pairs.ridges[place](test[place])
        searches[view, other, "aligned"] = Search(shared[place], shared[1 - place])
        searches[view, other, "ridge"] = Search(fitted / scatter, test[1 - place] / scatter, by="distance")
    return retrieval_table(searches)


def crossmodal_of(pairs: Judged, network: Any) -> pd.DataFrame:
    """Spectra of the other view, by the base and by simple means; network: the base, with decoders or without."""
    predicted = {}
    test, train = pairs.flux["test"], pairs.flux["train"]
    means = {view: train[place].mean(axis=0, dtype=float) for place, view in enumerate(pairs.views)}
    for place, view, other in pairs.ways:
        given, there = pairs.shared["test"][place], train[1 - place]
        if network.settings.own:
            predicted[view, other, "decoder"] = network.translated(place, given)
        predicted[view, other, "aligned"] = neighbours_mean(
            of_length_1(given), of_length_1(pairs.shared["train"][1 - place]), there
        )
        predicted[view, other, "ridge"] = pairs.ridges[place](test[place])
        predicted[view, other, "nearest"] = neighbours_mean(test[place], train[place], there)
        predicted[view, other, "mean"] = np.broadcast_to(means[other], test[1 - place].shape)
    return crossmodal_table(predicted, dict(zip(pairs.views, test, strict=True)), means)
