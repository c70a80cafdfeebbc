"""Patch tokens asked for redshifts: answers are distributions, whatever the tokenizer does to numbers."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
import test_digit_answers as digitwise_case
from patch_models import ask, settings, train

from starglot.models.redshifts import APART, LIGHT, SMALL_DELTA, Z_FITLIMIT
from starglot.tables import DOUBT, PREDICTION
from tasks import task_of

REDSHIFT = task_of("redshift", ["redshift"])
apart = pytest.fixture(scope="module", name="apart")(digitwise_case.base.__wrapped__)


@pytest.mark.parametrize("which", ["base", "apart"])
def test_redshifts_come_with_what_speaks_against_them(which, survey, tmp_path, request) -> None:
    stands_on = request.getfixturevalue(which)
    teff = survey.labels["teff"].to_numpy(zero_copy_only=False).astype(float)
    z = 0.25 + 0.08 * (teff - np.nanmean(teff)) / np.nanstd(teff)
    labels = survey.labels.append_column("redshift", pa.array(z, from_pandas=True))
    train(tmp_path, "z", survey, stands_on, task=REDSHIFT, labels=labels, how=settings(epochs=1.0))
    shown = type(survey)(**{**vars(survey), "labels": labels})
    table = ask(tmp_path / "z", shown, stands_on, tmp_path, task=REDSHIFT)
    assert table.schema == pa.schema([*PREDICTION, *DOUBT])
    value, second, gap = (np.array(table[name].to_pylist(), float) for name in ("value", "second", "gap"))
    known = np.isfinite(second)
    assert (np.abs(second - value)[known] / (1 + value[known]) * LIGHT > APART).all() and (gap >= 0).all()
    warning = np.array(table["warning"].to_pylist())
    assert ((warning & SMALL_DELTA > 0) == (gap < 9)).all() and not (warning & ~(SMALL_DELTA | Z_FITLIMIT)).any()
    finished = ask(tmp_path / "z", shown, stands_on, tmp_path, task=REDSHIFT)
    assert finished.equals(table)  # from the store, the doubt too
