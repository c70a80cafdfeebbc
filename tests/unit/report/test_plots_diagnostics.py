"""Figures of where a model errs: what they hold, that they are drawn, and that they say what is not there."""

import numpy as np
import pyarrow as pa
from prediction_tables import predictions, with_rows
from test_plots import drawn

from starglot.evaluation.outliers import worst_spectra
from starglot.evaluation.rows import judged
from starglot.labels import ABUNDANCE_NAMES, ATMOSPHERE_NAMES
from starglot.plots.binned import quantile_bins
from starglot.plots.calibration import draw_calibration
from starglot.plots.confusion import draw_confusion
from starglot.plots.planes import draw_planes
from starglot.plots.points import points
from starglot.plots.predicted import draw_predicted
from starglot.plots.repeats import draw_repeats, visit_pairs
from starglot.plots.trends import draw_trends
from starglot.plots.worst import draw_worst
from starglot.tables import flux_column, write_parquet


def catalog(table):
    rng = np.random.default_rng(0)
    obsid = np.unique(table["obsid"].to_numpy())
    n = len(obsid)
    return pa.table(
        {
            "obsid": obsid,
            "snr_r": rng.uniform(10, 200, n),
            "teff": rng.uniform(3500, 9000, n),
            "logg": rng.uniform(1, 5, n),
            "feh": rng.normal(-0.4, 0.4, n),
        }
    )


def test_few_labels_are_points_and_many_are_cells(tmp_path):
    table = predictions(ATMOSPHERE_NAMES, stars=120)
    draw_trends(table, catalog(table), tmp_path / "few", "title", ATMOSPHERE_NAMES)
    assert drawn(tmp_path / "few")[1].count('id="axes_') == 12
    table = predictions(ABUNDANCE_NAMES[:6], stars=120)
    draw_trends(table, catalog(table), tmp_path / "many", "title", ABUNDANCE_NAMES[:6])
    assert drawn(tmp_path / "many")[1].count('id="axes_') == 4


def test_what_no_spectrum_has_is_no_trend(tmp_path):
    table = predictions(["teff"], stars=60)
    known = catalog(table)
    for name in ATMOSPHERE_NAMES:
        known = known.set_column(known.column_names.index(name), name, pa.nulls(len(known), pa.float64()))
    draw_trends(table, known, tmp_path / "z", "title", ["teff"])
    assert drawn(tmp_path / "z")[1].count('id="axes_') == 1


def test_planes_have_two_panels_a_label(tmp_path):
    table = predictions(ABUNDANCE_NAMES[:3], stars=60)
    draw_planes(table, catalog(table), tmp_path / "a", "title", ABUNDANCE_NAMES[:3])
    assert drawn(tmp_path / "a")[1].count('id="axes_') == 6
    alone = predictions(["feh", "mg_fe"], stars=60)
    draw_planes(alone, catalog(alone), tmp_path / "c", "title", ["feh", "mg_fe"])
    assert drawn(tmp_path / "c")[1].count('id="axes_') == 2  # [Fe/H] is what the others are drawn against
    draw_planes(table, catalog(table).slice(0, 0), tmp_path / "b", "title", ABUNDANCE_NAMES[:3])
    assert "no spectrum has an abundance and [Fe/H]" in drawn(tmp_path / "b")[1]


def test_visits_of_one_star_are_paired(tmp_path):
    table = predictions(("teff",), stars=6, visits=3)  # stars have 1, 2, 3, 1, 2, 3 visits
    rows = judged(table, "teff")
    one, other = visit_pairs(rows)
    assert (
        len(one) == 6 and (rows.star[one] == rows.star[other]).all() and (rows.obsid[one] < rows.obsid[other]).all()
    )
    draw_repeats(table, catalog(table), tmp_path / "a", "title", ["teff"])
    drawn(tmp_path / "a")
    alone = predictions(("teff",), stars=6, visits=1)
    draw_repeats(alone, catalog(alone), tmp_path / "b", "title", ["teff"])
    drawn(tmp_path / "b")


def test_calibration_and_confusion_are_drawn_or_say_why_not(tmp_path):
    table = predictions(ATMOSPHERE_NAMES, stars=80)
    draw_calibration(table, tmp_path / "a", "title", ATMOSPHERE_NAMES)
    assert drawn(tmp_path / "a")[1].count('id="axes_') == 3
    draw_confusion(table, tmp_path / "b", "title")
    drawn(tmp_path / "b")
    draw_calibration(predictions(("teff",), sigma=False), tmp_path / "c", "title", ["teff"])
    assert "no prediction has an uncertainty" in drawn(tmp_path / "c")[1]
    draw_confusion(predictions(("teff",), answers_class=False), tmp_path / "d", "title")
    assert "no answer names a class" in drawn(tmp_path / "d")[1]


def test_the_worst_spectra_are_the_worst_one_of_a_star(tmp_path):
    table = predictions(("teff", "logg"), stars=40, visits=2)
    rows = table.to_pylist()
    truth = {(r["obsid"], r["label"]): (i, r["truth"]) for i, r in enumerate(rows)}
    wrong = {(30, "teff"): 9000.0, (70, "logg"): -5.0, (71, "logg"): -4.0}
    table = with_rows(table, value={truth[key][0]: truth[key][1] + error for key, error in wrong.items()})
    found = worst_spectra(table, ["teff", "logg"], 2)
    assert list(found["obsid"].drop_duplicates()) == [30, 70]
    assert list(found["label"]) == ["teff", "logg", "logg", "teff"]
    flux = np.random.default_rng(0).integers(0, 1000, (3, 51)).astype(np.int16)
    spectra = pa.table({"obsid": [30, 70, 71], "flux": flux_column(flux)})
    grid = {"wavelength": {"start": 3800.0, "stop": 3850.0, "step": 1.0, "size": 51}}
    write_parquet(spectra, tmp_path / "60000-X.parquet", metadata=grid)
    only = table.filter(pa.compute.is_in(table["obsid"], value_set=pa.array([30, 70, 71])))
    draw_worst(only, catalog(only), [tmp_path / "60000-X.parquet"], tmp_path / "w", "title", ["teff", "logg"])
    drawn(tmp_path / "w")
    none = predictions(("teff",), stars=2, failed=9)
    draw_worst(none, catalog(none), [tmp_path / "60000-X.parquet"], tmp_path / "n", "title", ["teff"])
    assert "no label has two spectra with an error" in drawn(tmp_path / "n")[1]


def test_bins_hold_equal_counts_of_what_is_finite():
    x = np.array([5.0, np.nan, 1.0, 3.0, 2.0, 4.0, np.inf, 6.0])
    bins = quantile_bins(x, most=4, least=2)
    assert [sorted(x[here]) for here in bins] == [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]
    assert quantile_bins(x[:2], most=4, least=2) == []


def test_stars_of_the_training_are_not_in_a_figure(tmp_path):
    table = with_rows(predictions(("teff",), stars=20, visits=1), seen=dict.fromkeys(range(5), True))
    draw_predicted(
        table, tmp_path / "a", "a title that is too long for one narrow panel alone", ["teff"], "GALAH DR4"
    )
    assert drawn(tmp_path / "a")[0][0] > 500
    assert len(points(table, "teff")) == 15 and points(table, "teff").left_out == 0
