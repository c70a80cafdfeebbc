"""Rehearsal in the training of a language model that reads questions as text."""

import numpy as np
import pandas as pd
import pytest
from test_training_finetune import base, model, place, questions, train  # noqa: F401 (fixtures)

from starglot.hashing import file_digest

pytestmark = pytest.mark.slow


def test_text_is_part_of_the_same_steps(place, questions, base):  # noqa: F811
    texts = place / "texts.txt"
    texts.write_text("One star.\n\nTwo stars.\n")
    how = model(rehearsal={"file": str(texts), "share": 0.4}, epochs=4.0)
    _, manifest = train(place, questions, base, "rehearsed", settings=how)
    assert manifest["counts"]["steps"] == 20 and 0 < manifest["rehearsal"]["steps"] < 20
    assert manifest["rehearsal"]["file"] == file_digest(texts)
    losses = pd.read_csv(place / "rehearsed" / "loss.csv")["loss"]
    assert len(losses) == 20 and np.isfinite(losses).all()
