"""What a sample's training spectra cover: facts from its training split alone."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from baseline_spectra import TASK, linear_survey

from starglot.samples.domain import domain_of_sample


@pytest.fixture(scope="module")
def survey(tmp_path_factory: pytest.TempPathFactory):
    return linear_survey(tmp_path_factory.mktemp("survey"))


def test_facts_are_those_of_the_training_split(survey) -> None:
    snr = np.linspace(10, 200, len(survey.labels))
    labels = survey.labels.append_column("snr_r", pa.array(snr))
    domain, facts = domain_of_sample(TASK, survey.sample, labels, survey.shard_path)
    train = survey.split == "train"
    teff, feh = survey.y[train, 0], survey.y[train, 2]
    assert facts["spectra"] == 350 and sum(facts["classes"].values()) == 350
    assert facts["labels"]["teff"]["low"] == pytest.approx(np.quantile(teff, 0.001))
    assert facts["labels"]["teff"]["high"] == pytest.approx(np.quantile(teff, 0.999))
    assert facts["labels"]["feh"]["n"] == np.isfinite(feh).sum() < 350
    of_train = dict(zip(labels["obsid"].to_pylist(), snr, strict=True))
    assert facts["snr"]["least"] == pytest.approx(np.quantile([of_train[one] for one in survey.obsid[train]], 0.01))
    # Test spectra are as the training spectra are; others are not.
    test = survey.flux[survey.split == "test"]
    assert (domain.excess(test) > 1).mean() < 0.1
    assert (domain.excess(test[:, ::-1].copy()) > 1).all()


def test_a_survey_without_snr_and_a_sample_without_validation_stars(survey) -> None:
    sample = survey.sample.filter(pc.not_equal(survey.sample["split"], "val"))
    domain, facts = domain_of_sample(TASK, sample, survey.labels, survey.shard_path)
    assert facts["snr"] == {"least": None, "median": None}
    assert np.isfinite([domain.most_distance, domain.most_residual]).all()
