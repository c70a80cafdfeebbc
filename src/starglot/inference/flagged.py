"""A trained model with its calibration and the region that it was trained on: flux in; values, sigmas, flags out.

What is done with single files and with whole surveys goes through here, so that a spectrum has one answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from starglot.evaluation.calibration import with_sigma
from starglot.evaluation.class_probability import with_probability
from starglot.inference.answering import Answers, open_model
from starglot.inference.flags import BITS, label_bits, spectrum_bits
from starglot.inference.sources import folder_of
from starglot.labels import REDSHIFT
from starglot.models.domain import DOMAIN, load_domain
from starglot.models.folder import read_description
from starglot.models.redshifts import LITTLE_COVERAGE, POORDATA, Doubt, no_doubt
from starglot.tables import DOUBT


@dataclass(frozen=True)
class Flagged:
    """Answers to n spectra, k labels each.

    letter: (n,) the class that the model tells, None where it tells none; probability: (n,) of that class, scaled on
    validation stars, NaN where none is stated; value, sigma: (n, k), NaN where there is
    none; status: (n, k), of ``statuses.STATUSES``; excess: (n,) how far from the training spectra, above 1 is
    outside; bits: (n,) flags of the spectrum, label_bits: (n, k) of its labels (:mod:`starglot.inference.flags`);
    doubt: of the redshift, where the model tells it: the bits of the data are among its warnings.
    """

    letter: np.ndarray
    probability: np.ndarray
    value: np.ndarray
    sigma: np.ndarray
    status: np.ndarray
    excess: np.ndarray
    bits: np.ndarray
    label_bits: np.ndarray
    doubt: Doubt | None = None


class FlaggedModel:
    """A model that answers by itself, from a folder that holds all that it needs."""

    def __init__(self, source: str | Path):
        """source: a folder, a zip file of one, or 'hf:OWNER/NAME[@REVISION]' (:func:`folder_of`).

        Raises StarglotError for a folder that is none of a model, of another format, changed, or not whole.
        """
        self.folder = folder_of(source)
        #: What ``model.json`` says: recipe, question, encoding, base, calibration, versions.
        self.about = read_description(self.folder)
        self._region, self.domain = load_domain(self.folder / DOMAIN)
        self._answers: Answers = open_model(self.folder, self.about)

    @property
    def labels(self) -> list[str]:
        """Names of the labels that it answers with, in order."""
        return list(self.about["question"]["question"]["labels"])

    def flagged(
        self, flux: np.ndarray, classes: Sequence[str | None], snr: np.ndarray, missing: np.ndarray
    ) -> Flagged:
        """Answers to cleaned spectra, int16 (n, grid) on the grid of the model's recipe.

        classes: the catalogue's class of each, None where it is not known; snr, missing: as of
        :func:`starglot.inference.flags.spectrum_bits`.
        """
        n, k = len(flux), len(self.labels)
        table = with_sigma(self._answers(flux, list(classes)), self.about["calibration"])
        table = with_probability(table, self.about.get("class_calibration"))
        value, sigma = (
            table[name].to_numpy(zero_copy_only=False).astype(float).reshape(n, k) for name in ("value", "sigma")
        )
        status = np.asarray(table["status"].to_pylist(), object).reshape(n, k)
        letters = np.asarray(table["class_pred"].to_pylist(), object).reshape(n, k)
        probability = table["class_probability"].to_numpy(zero_copy_only=False).astype(float).reshape(n, k)
        excess = self._region.excess(flux)
        bits = spectrum_bits(excess, snr, missing, self.domain)
        return Flagged(
            letters[:, 0],
            probability[:, 0],
            value,
            sigma,
            status,
            excess,
            bits,
            label_bits(self.labels, value, status, self.domain),
            self._doubt(table, bits) if REDSHIFT.name in self.labels else None,
        )

    def _doubt(self, table: pa.Table, bits: np.ndarray) -> Doubt:
        """Doubt of the redshifts: the model's own, where it has a distribution of them, and of the spectra."""
        rows = table.filter(pc.equal(table["label"], REDSHIFT.name))
        known = set(DOUBT.names) <= set(rows.column_names)
        found = [rows[name].to_numpy(zero_copy_only=False) for name in DOUBT.names] if known else None
        doubt = Doubt(*found) if found else no_doubt(len(rows))
        warning = np.nan_to_num(doubt.warning).astype(np.int64)
        warning |= np.where(bits & BITS["part_missing"], LITTLE_COVERAGE, 0)
        warning |= np.where(bits & BITS["low_snr"], POORDATA, 0)
        return Doubt(doubt.second, doubt.gap, warning)
