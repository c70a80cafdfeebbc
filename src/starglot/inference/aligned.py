"""An aligned base at work on spectra from files: stars that are like them, and their spectra in the other view."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import torch

from starglot.config.recipes import Recipe, View
from starglot.errors import StarglotError
from starglot.inference.single import Single, read_singles
from starglot.models.bases import MANIFEST, read_manifest
from starglot.models.encoders.aligned import ALIGNED, in_batches, load_aligned
from starglot.models.encoders.pairs import OBSID, of_length_1, shared_parts
from starglot.spectra.resample import wavelength_grid
from starglot.tables import read_metadata


class AlignedPair:
    """A trained aligned base, from its folder.

    views: the two, as 'survey/recipe'; a view is named so, or by its place, 0 or 1, where it says ``place``.
    """

    def __init__(self, folder: str | PathLike[str]):
        """Raises StarglotError when the folder is not that of an aligned base."""
        self.folder = Path(folder)
        about = read_manifest(self.folder)
        if about.get("kind") != "aligned":
            raise StarglotError(
                f"this is no aligned base{': its kind is ' + about['kind'] if 'kind' in about else ''}",
                where=self.folder / MANIFEST,
                allowed="a folder of a base of kind aligned, such as results/bases/NAME",
                todo="name one of these; `snakemake -- pairs` trains those of `run: bases`",
            )
        self.views: tuple[str, str] = tuple(about["views"])
        self.weights: str = about["files"][ALIGNED]
        self.recipes = [Recipe.model_validate(each) for each in about["recipes"]]
        self.network = load_aligned(self.folder)

    def read(self, file: str | PathLike[str], view: str | None = None, air: bool = False) -> tuple[int, list[Single]]:
        """(place of its view, cleaned spectra) of a file; view: whose it is where the file does not show the survey.

        air: whether wavelengths are those in air where the file does not say.
        Raises StarglotError for a file of another survey, and where the view is not said.
        """
        if view is not None and view not in self.views:
            raise StarglotError(
                f"no view is called {view!r}", allowed=", ".join(self.views), todo="name one of these"
            )
        place = 0 if view is None else self.views.index(view)
        singles = read_singles(Path(file), self.recipes[place], air)
        survey = singles[0].survey
        if view is not None or not survey:
            return place, singles
        surveys = [View(each).survey for each in self.views]
        if survey not in surveys:
            raise StarglotError(
                "the file does not show which of the two views its spectrum is of",
                where=file,
                allowed=", ".join(self.views),
                todo="say so: --view SURVEY/RECIPE",
            )
        place = surveys.index(survey)
        return place, singles if place == 0 else read_singles(Path(file), self.recipes[place], air)

    def spectra(
        self, files: Sequence[str | PathLike[str]], view: str | None = None, air: bool = False
    ) -> Iterator[tuple[int, Single]]:
        """Each spectrum of the files with the place of its view; arguments as for :meth:`read`."""
        for file in files:
            place, singles = self.read(file, view, air)
            yield from ((place, single) for single in singles)

    def embed(self, place: int, flux: np.ndarray) -> np.ndarray:
        """int16 flux (n, pixels) of a view -> shared embeddings (n, shared), float32."""
        return in_batches(lambda at: self.network.embed(place, at), flux, torch.device("cpu"))

    def translate(self, place: int, flux: np.ndarray) -> np.ndarray:
        """int16 flux (n, pixels) of a view -> normalised flux of the same stars on the grid of the other view.

        Raises StarglotError when the base has no decoders (`own: 0`).
        """
        return self.network.translated(place, self.embed(place, flux))

    def grid(self, place: int) -> np.ndarray:
        """Wavelengths (A, vacuum) of a view's grid."""
        return wavelength_grid(self.recipes[place].wavelength)


def title(single: Single) -> str:
    """A spectrum's file, and its name there."""
    return f"{single.file} {single.name}".strip()


class Library:
    """Stars to look among: the embeddings of pairs by an aligned base."""

    def __init__(self, path: str | PathLike[str], base: AlignedPair):
        """path: embeddings/NAME.parquet; raises StarglotError when it is not there, or was made with another base."""
        self.path = Path(path)
        if not self.path.is_file():
            raise StarglotError(
                "there are no embeddings to look among",
                where=self.path,
                todo=f"make them: snakemake --cores all --configfile ... -- {self.path}; or name others with --among",
            )
        made_with = read_metadata(self.path).get("weights")
        if made_with != base.weights:
            raise StarglotError(
                "these embeddings were made with another base",
                where=self.path,
                allowed=f"those of {base.folder}, whose weights have the digest {base.weights[:12]}",
                todo="name the embeddings that were made with this base, or make them again: snakemake",
            )
        table = pq.read_table(self.path)
        self.shared = [of_length_1(each) for each in shared_parts(table)]
        self.rows: dict[str, list[Any]] = {name: table[name].to_pylist() for name in ("star_id", *OBSID, "split")}

    def nearest(self, embedding: np.ndarray, place: int, most: int) -> pd.DataFrame:
        """The ``most`` stars whose spectra in a view are most similar to an embedding (shared,), the best first.

        Columns: rank, similarity (cosine), star_id, obsid (of that view), split of the star in the base's training.
        """
        similarity = self.shared[place] @ of_length_1(embedding[None])[0]
        first = np.argsort(-similarity, kind="stable")[:most]
        return pd.DataFrame(
            {
                "rank": np.arange(1, len(first) + 1),
                "similarity": similarity[first].astype(float),
                "star_id": [self.rows["star_id"][at] for at in first],
                "obsid": [self.rows[OBSID[place]][at] for at in first],
                "split": [self.rows["split"][at] for at in first],
            }
        )
