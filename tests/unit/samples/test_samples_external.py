"""External prediction sets: which spectra, in what order of preference, with which labels."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from test_samples_files import shard, task

from refusals import refused
from starglot.config.root import Split
from starglot.samples.external import draw_external
from starglot.samples.labels import collect_labels
from starglot.samples.split import split_of
from starglot.tables import SAMPLE, write_parquet

SPLIT = Split()


def labels(stars, visits=2):
    rows = [(10 * s + v, f"gaia:{s}") for s in range(stars) for v in range(visits)]
    return pa.table(
        {
            "obsid": [r[0] for r in rows],
            "star_id": [r[1] for r in rows],
            "class": ["G"] * len(rows),
            "teff": [5e3] * len(rows),
        }
    )


def test_stars_outside_training_come_first_and_nothing_is_said_twice():
    table = labels(200)
    everything, manifest = draw_external(table, "galah", None, SPLIT, seed=3)
    assert everything.schema == SAMPLE and len(everything) == 400 == manifest["spectra"]
    assert set(everything["split"].to_pylist()) == {"galah"}
    assert everything["obsid"].to_pylist() == sorted(table["obsid"].to_pylist())
    true = dict(zip(table["star_id"].to_pylist(), split_of(table["star_id"].to_pylist(), SPLIT, 3)[0], strict=True))
    unseen = sum(true[s] != "train" for s in table["star_id"].to_pylist())
    few, manifest = draw_external(table, "galah", unseen, SPLIT, seed=3)
    assert all(true[s] != "train" for s in few["star_id"].to_pylist())
    assert manifest["splits"]["train"] == 0 and manifest["splits"]["test"] > 50 and manifest["available"] == 400
    fewer, _ = draw_external(table.take(list(range(399, -1, -1))), "galah", unseen - 20, SPLIT, seed=3)
    assert set(fewer["obsid"].to_pylist()) < set(few["obsid"].to_pylist())


def test_a_survey_without_a_star_is_one_clear_message():
    with refused("gaia_eso", where="gaia_eso", todo="run.validation"):
        draw_external(labels(0), "gaia_eso", None, SPLIT, seed=3)


def test_labels_that_the_survey_lacks_are_null(tmp_path: Path):
    shard(tmp_path, "56000-A", [1, 2, 3], cleaned=[1, 3], teff=[5000.0, 5001.0, None])
    match = tmp_path / "match.parquet"
    write_parquet(
        pa.table({"obsid": [3, 2], "mg_fe": [0.3, 0.2], "mg_fe_err": [0.1, 0.1], "p_fe_errr": [1.0, 1.0]}), match
    )

    def external(asked):
        spectra = [tmp_path / "spectra" / "56000-A.parquet"]
        return collect_labels(asked, tmp_path / "candidates.parquet", spectra, match, "galah")

    table = external(task("apogee", "mg_fe", "p_fe"))
    assert table["obsid"].to_pylist() == [3] and table["mg_fe"].to_pylist() == [0.3]
    assert table["p_fe"].to_pylist() == [None] and pq.read_schema(match).names.count("p_fe") == 0
    with refused("c_fe", where=match, todo="labels"):
        external(task("apogee", "c_fe"))
    # A task whose labels are LAMOST's own is judged by the survey's, not by the catalogue's.
    with refused("teff", where=match):
        external(task("lamost", "teff"))
