"""Bins of a label: as many spectra in each, or as much of its range; balanced samples of either are nested."""

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest

from starglot.config.root import Split
from starglot.samples.draw import draw
from starglot.samples.groups import in_groups
from tasks import task_of

Z = np.random.default_rng(0).beta(2, 5, 600) * 0.5  # more galaxies near than far
LABELS = pa.table(
    {
        "obsid": np.arange(600),
        "star_id": [f"g{k}" for k in range(600)],
        "class": pa.nulls(600, pa.string()),
        "redshift": Z,
    }
)


def task(spacing):
    bins = {"bins": {"label": "redshift", "number": 4, "spacing": spacing}}
    sizes = {"small": 40, "large": 120}
    view = {"source": "sdss", "view": "sdss/galaxy", "groups": bins, "balanced": True, "shortage": "take_all"}
    return task_of("redshift", ["redshift"], sizes=sizes, **view)


@pytest.mark.parametrize(
    ("spacing", "edges"),
    [("frequency", np.quantile(Z, [0, 0.25, 0.5, 0.75, 1])), ("width", np.linspace(Z.min(), Z.max(), 5))],
)
def test_each_spacing_has_its_edges_and_every_spectrum_is_between_its_own(spacing, edges):
    rows, about = in_groups(LABELS, task(spacing).sample)
    np.testing.assert_allclose(about["bins"]["edges"], edges)
    for group, z in zip(rows["class"].to_pylist(), Z, strict=True):
        place = int(group.split()[1])
        assert edges[place - 1] <= z <= edges[place]
    counts = Counter(rows["class"].to_pylist())
    assert (max(counts.values()) - min(counts.values()) <= 1) == (spacing == "frequency")


def test_a_sample_balanced_over_width_is_even_in_redshift_and_nested():
    small, large = (draw(LABELS, task("width"), size, Split(), 1)[0] for size in ("small", "large"))
    assert set(small["obsid"].to_pylist()) < set(large["obsid"].to_pylist())
    assert set(Counter(small["class"].to_pylist()).values()) == {10}
    even = Z[small["obsid"].to_numpy()].mean()
    by_number = draw(LABELS, task("frequency"), "small", Split(), 1)[0]
    assert even > 1.2 * Z[by_number["obsid"].to_numpy()].mean()
