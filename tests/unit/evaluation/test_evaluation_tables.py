"""Tables as CSV, Markdown and LaTeX."""

import re

import numpy as np
import pandas as pd
from prediction_tables import predictions

from starglot.evaluation.presentation import Estimate, escape_latex, fixed, latex, plain, said_of
from starglot.evaluation.residuals import residual_table
from starglot.evaluation.tables_io import read_table, write_table
from starglot.labels import ATMOSPHERE_NAMES, CLASSES
from starglot.tables import write_parquet


def written(tmp_path, **kwargs):
    write_parquet(predictions(ATMOSPHERE_NAMES, **kwargs), tmp_path / "p.parquet")
    frame = residual_table(
        {("llm_x", "1e5", "test"): tmp_path / "p.parquet"}, ATMOSPHERE_NAMES, task="t", groups=CLASSES, replicates=30
    )
    write_table(frame, tmp_path / "residuals_t", "Residuals", "A note & more.")
    return frame


def test_csv_holds_every_digit_and_sizes_stay_text(tmp_path):
    frame = written(tmp_path)
    again = read_table(tmp_path / "residuals_t.csv")
    assert again["size"].iloc[0] == "1e5"
    numbers = frame.select_dtypes("number").columns
    pd.testing.assert_frame_equal(again[numbers], frame[numbers], check_exact=True)


def test_every_printed_table_says_split_set_and_n(tmp_path):
    written(tmp_path)
    for ending in ("md", "tex"):
        text = (tmp_path / f"residuals_t.{ending}").read_text()
        assert "by star" in text and "set test" in text and "A note" in text and "95" in text
    rows = [line for line in (tmp_path / "residuals_t.md").read_text().splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in rows}) == 1 and len(rows) == 2 + 18


def test_latex_has_one_cell_per_column_and_no_bare_specials(tmp_path):
    written(tmp_path, failed=200)  # all null
    text = (tmp_path / "residuals_t.tex").read_text()
    columns = re.search(r"deluxetable\*\}\{(\w+)\}", text).group(1)
    body = text.split("\\startdata\n")[1].split("\\enddata")[0]
    lines = body.strip().split("\\\\\n")
    assert len(lines) == 18 and all(line.count(" & ") == len(columns) - 1 for line in lines)
    assert "\\nodata" in body and "llm\\_x" in text and "A note \\& more." in text
    assert text.count("\\begin{deluxetable*}") == text.count("\\end{deluxetable*}") == 1


def test_tables_of_galaxies_name_no_star_and_hold_the_same_numbers(tmp_path):
    frame = written(tmp_path)
    stars = (tmp_path / "residuals_t.csv").read_bytes()
    write_table(frame, tmp_path / "residuals_t", "Residuals of test stars", "What a star is.", objects="galaxies")
    assert (tmp_path / "residuals_t.csv").read_bytes() == stars
    for ending in ("md", "tex"):
        text = (tmp_path / f"residuals_t.{ending}").read_text()
        assert not re.search(r"(?i)\bstars?\b", text) and "no galaxy is in two of them" in text
        assert "Residuals of test galaxies" in text and "What a galaxy is." in text


def test_what_is_written_of_stars_is_said_of_others():
    text = "Stars of a star, star-disjoint; the star_id of starglot"
    assert said_of("stars", text) == text
    assert said_of("quasars", text) == "Quasars of a quasar, quasar-disjoint; the star_id of starglot"
    assert said_of("objects", text) == "Objects of an object, object-disjoint; the star_id of starglot"


def test_rounding_happens_only_in_print(tmp_path):
    estimate = Estimate(38.1523, 36.0481, 40.551, 1)
    assert plain(estimate) == "38.2 [36.0, 40.6]"
    assert latex(estimate) == "$38.2_{-2.1}^{+2.4}$"
    assert fixed(-0.0004, 3) == "0.000" and fixed(-0.0006, 3) == "-0.001"
    assert plain(None) == "–" and latex(None) == "\\nodata"


def test_a_label_never_opens_an_optional_argument():
    assert escape_latex("[Fe/H] (dex)") == "{[Fe/H] (dex)}"
    assert escape_latex("Teff (K)") == r"$T_{\rm eff}$ (K)"


def test_marked_cells_are_explained_below(tmp_path):
    frame = pd.DataFrame({"label": ["teff", "feh"], "n": [1, 9], "mean": [1.0, np.nan], "note": ["one star", None]})
    write_table(frame, tmp_path / "x", "X")
    text = (tmp_path / "x.md").read_text()
    assert "| 1 (1) |" in text and "- (1) one star." in text
