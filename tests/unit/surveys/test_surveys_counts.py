"""Values that catalogues write in other ways are read right, or refused and told; all rows and values are counted."""

from __future__ import annotations

import csv
import logging
from pathlib import Path
from typing import Any

import fitsio
import numpy as np
import pyarrow as pa
import pytest

from refusals import holds, refused
from starglot.config.surveys.registry import GaiaEso, Galah, Lamost
from starglot.formats.counts import ROW_REASONS, VALUE_REASONS, Counts
from starglot.formats.values import all_nines
from starglot.samples.match import match
from starglot.samples.select import select
from starglot.samples.star_ids import star_ids
from starglot.surveys import gaia_eso, galah, lamost

IDS = [
    "1234567890123456789",
    "2345678901234567891",
    "3456789012345678913",
    "4567890123456789019",
    "5678901234567890137",
]


def rows(n: int = 5, **changes: Any) -> list[dict[str, Any]]:
    """Rows of a LAMOST-like catalogue; a change is one value for all, or a list of n."""
    made = []
    for k in range(n):
        row = {
            **{"obsid": 101001 + k, "uid": f"G{k}", "obsdate": "2011-10-24", "lmjd": 55859, "planid": "F5902"},
            **{"spid": 1, "fiberid": k + 1, "snrr": 50.0, "snri": 60.0, "subclass": "AFGKM"[k % 5] + "2"},
            **{"gaia_source_id": IDS[k % 5], "ra": 10.0 + k, "dec": 20.0, "teff": 5000.0 + k, "teff_err": 50.0},
            **{"logg": 4.0, "logg_err": 0.1, "feh": -0.1, "feh_err": 0.05},
        }
        row |= {name: value[k] if isinstance(value, list) else value for name, value in changes.items()}
        made.append(row)
    return made


def read(folder: Path, made: list[dict[str, Any]], **settings: Any) -> tuple[pa.Table, Counts]:
    """The rows written as CSV and read again; the account must add up."""
    with open(folder / "rows.csv", "w", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, made[0])
        writer.writeheader()
        writer.writerows(made)
    counts = Counts()
    path = str(folder / "rows.csv")
    table = lamost.read_catalog(Lamost.model_validate({"stellar": path, "spectra": "", **settings}), counts)
    adds_up(counts, len(made), len(table))
    return table, counts


def adds_up(counts: Counts, n_in: int, n_out: int) -> None:
    told = counts.as_json()
    left_out = told["rows"]["left_out"]
    assert told["rows"]["in"] == n_in and told["rows"]["out"] == n_out
    assert n_in == n_out + sum(tally["rows"] for tally in left_out.values())
    assert set(left_out) <= set(ROW_REASONS)
    for section, total in (("columns", n_in), ("values", None)):
        for name, column in told[section].items():
            if name.startswith("star_id"):
                continue
            n = column["valid"] + column["missing"] + sum(tally["rows"] for tally in column["refused"].values())
            assert n == total or (total is None and n <= n_in), name
            assert set(column["refused"]) <= set(VALUE_REASONS)


def no_values(counts: Counts, column: str) -> dict[str, tuple[int, str]]:
    """Reason to number and first example, of reading and making a column."""
    both = [section[column].refused for section in (counts.columns, counts.values) if column in section]
    return {reason: (tally.rows, tally.first) for found in both for reason, tally in found.items()}


# ---------------------------------------------------------------- ids


def test_ids_without_their_last_digits_are_told_with_number_and_example(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    table, counts = read(tmp_path, rows(gaia_source_id=[f"{float(text):.16e}" for text in IDS]))
    assert table["gaia_source_id"].null_count == 5
    assert no_values(counts, "gaia_source_id") == {"rounded_id": (5, "row 1, '1.2345678901234568e+18'")}
    warned = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warned) == 1 and holds(warned[0].getMessage(), "5 of 5")


def test_ids_that_were_rounded_do_not_block_the_match_by_position(tmp_path: Path) -> None:
    table, counts = read(tmp_path, rows(gaia_source_id=[str(int(float(text))) for text in IDS]))
    assert no_values(counts, "gaia_source_id")["rounded_id"][0] == 5
    table = table.append_column("star_id", star_ids(table))
    none = pa.nulls(5, pa.float64())
    other = pa.table(
        {
            "sid": [f"S{k}" for k in range(5)],
            "gaia_source_id": IDS,
            "gaia_release": ["dr3"] * 5,
            **{"ra": table["ra"], "dec": table["dec"], "pmra": none, "pmdec": none, "epoch": [2011.8] * 5},
        }
    )
    assert match(table, other, "sid", "dr3", 3.0)["method"].to_pylist() == ["position"] * 5


def test_ids_of_another_release_are_no_ids_of_this(tmp_path: Path) -> None:
    made = rows(gaia_source_id=["Gaia DR2 5", "Gaia DR3 6", "Gaia EDR3 7", "8", ""])
    table, counts = read(tmp_path, made)
    assert table["gaia_source_id"].to_pylist() == [None, "6", "7", "8", None]
    assert no_values(counts, "gaia_source_id") == {"other_release": (1, "row 1, 'Gaia DR2 5'")}
    table, counts = read(tmp_path, made, gaia_release="dr2")
    assert table["gaia_source_id"].to_pylist() == ["5", None, None, "8", None]


@pytest.mark.parametrize("name", ["gaia_source_id", "uid"])
def test_one_id_for_stars_all_over_the_sky_makes_no_star(tmp_path: Path, name: str) -> None:
    made = rows(gaia_source_id="", uid="", ra=[10.0, 11.0, 12.0, 13.0, 13.0001])
    for row, text in zip(made, ["77", "77", "77", "5", "5"], strict=True):
        row[name] = text
    table, counts = read(tmp_path, made)
    ids = star_ids(table, counts).to_pylist()
    prefix = "gaia" if name == "gaia_source_id" else "lamost"
    assert len(set(ids[:3])) == 3 and ids[3] == ids[4] == f"{prefix}:5"
    assert no_values(counts, f"star_id by {name}") == {"id_at_two_places": (3, "row 1, '77'")}


def test_gaia_ids_in_floating_point_are_refused_unless_nothing_is_lost(tmp_path: Path) -> None:
    def written(values: list[float]) -> str:
        made = rows(len(values))
        table = {name: np.array([row[name] for row in made]) for name in made[0] if name != "gaia_source_id"}
        fitsio.write(str(tmp_path / "a.fits"), {**table, "gaia_source_id": np.array(values)}, clobber=True)
        return str(tmp_path / "a.fits")

    with refused("gaia_source_id", "2 of 3", "row 2", where=tmp_path / "a.fits"):
        lamost.read_catalog(Lamost(stellar=written([np.nan, 1.2e18, 3.3e18]), spectra=""))
    table = lamost.read_catalog(Lamost(stellar=written([np.nan, -9999.0, 5.0]), spectra=""))
    assert table["gaia_source_id"].to_pylist() == [None, None, "5"]


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["101001", "+101002", "101003.0", "1.01004e5", "0101005"], [101001, 101002, 101003, 101004, 101005]),
        (["9007199254740993", "9007199254740992", "1", "2", "0"], [9007199254740993, 9007199254740992, 1, 2, 0]),
    ],
)
def test_obsids_are_exact(tmp_path: Path, texts: list[str], expected: list[int]) -> None:
    table, _ = read(tmp_path, rows(obsid=texts))
    assert table["obsid"].to_pylist() == expected


@pytest.mark.parametrize("text", ["1.01e+08", "101.5", "abc"])
def test_obsids_that_cannot_be_read_are_an_error_with_the_first(tmp_path: Path, text: str) -> None:
    with refused("obsid", "2 of 5", "row 2", f"'{text}'", where=tmp_path / "rows.csv"):
        read(tmp_path, rows(obsid=["101001", text, text, "4", "5"]))


def test_rows_without_an_obsid_and_second_entries_are_counted(tmp_path: Path) -> None:
    table, counts = read(tmp_path, rows(obsid=["", "-28762", "7", "7", "8"]))
    assert table["obsid"].to_pylist() == [7, 8]
    left_out = {reason: (tally.rows, tally.first) for reason, tally in counts.left_out.items()}
    assert left_out == {"no_id": (2, "row 1 of rows.csv, obsid None"), "second_entry": (1, "obsid 7")}
    with refused("obsid", "row 1", where=tmp_path / "rows.csv", todo="obsid"):
        read(tmp_path, rows(obsid=""))


@pytest.mark.parametrize(("planid", "shard"), [("5902", "55859-5902"), ("5902.0", "55859-5902"), ("  ", None)])
def test_plates_named_by_numbers(tmp_path: Path, planid: str, shard: str | None) -> None:
    table, _ = read(tmp_path, rows(planid=planid))
    assert table["shard"].to_pylist() == [shard] * 5


# ---------------------------------------------------------------- types, dates, positions, numbers


def test_types_without_a_letter_are_counted_by_reason(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    table, counts = read(tmp_path, rows(subclass=["K0III:", "DA1", "K0III+A2V", "blob", ""]))
    assert table["class"].to_pylist() == ["K", None, None, None, None]
    assert no_values(counts, "class") == {
        "other_type": (1, "kept row 2, 'DA1'"),
        "two_types": (1, "kept row 3, 'K0III+A2V'"),
        "unknown_type": (1, "kept row 4, 'blob'"),
    }
    assert counts.values["class"].missing == 1
    warned = " ".join(record.getMessage() for record in caplog.records if record.levelno == logging.WARNING)
    assert "blob" in warned and "K0III+A2V" in warned and "DA1" not in warned


def test_dates_are_read_or_told(tmp_path: Path) -> None:
    forms = ["20111024", "2011-10-24 19:00:00", "24/10/2011", "24-Oct-2011", "55858"]
    table, counts = read(tmp_path, rows(obsdate=forms))
    assert table["obsdate"].to_pylist() == ["2011-10-24"] * 4 + [None]
    assert no_values(counts, "obsdate") == {"no_date": (1, "row 5, '55858'")}
    with refused("obsdate", "5 of 5", "row 1", "'05/06/2011'", where=tmp_path / "rows.csv", todo="YYYY-MM-DD"):
        read(tmp_path, rows(obsdate=["05/06/2011"] * 5))
    with refused("obsdate", 5, "row 1", "'55858'", where=tmp_path / "rows.csv"):
        read(tmp_path, rows(obsdate=["55858"] * 5))


def test_positions_are_degrees_or_told(tmp_path: Path) -> None:
    table, counts = read(tmp_path, rows(ra=["+10.5", "-99", "400", "", "12"], dec=["+20", "-91", "99.99", "5", "-5"]))
    assert table["ra"].to_pylist() == [10.5, None, None, None, 12.0]
    assert table["dec"].to_pylist() == [20.0, None, None, 5.0, -5.0]
    assert no_values(counts, "ra") == {"outside_limits": (2, "row 2, '-99'")}
    for text in ("10:24:00.0", "10h24m00s", "10 24 00", "-59:30:00"):
        with refused("dec", "5 of 5", "row 1", f"'{text}'", where=tmp_path / "rows.csv", todo="degrees"):
            read(tmp_path, rows(dec=text))


def test_placeholders_of_values_and_errors_are_null(tmp_path: Path) -> None:
    none = ["-1", "-99", "9999.99", "1e30", "0"]
    table, counts = read(tmp_path, rows(teff=none, logg=none, feh=none))
    for name in ("teff", "logg", "feh", "teff_err", "feh_err"):
        assert table[name].null_count == 5, name
    assert no_values(counts, "teff") == {"placeholder": (4, "kept row 1, -1.0")}, "9999.99 is missing as it is read"
    table, counts = read(
        tmp_path, rows(teff_err=["-1", "9999", "1e30", "0", "inf"], feh_err=["99.99", "-9.99", "9", "", "0.1"])
    )
    assert table["teff_err"].null_count == 5 and table["feh_err"].to_pylist() == [None] * 4 + [0.1]
    assert table["teff"].null_count == 0
    assert no_values(counts, "feh_err") == {"no_error": (3, "kept row 1, 99.99")}


def test_what_is_no_placeholder_and_no_star_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    _, counts = read(tmp_path, rows(teff=["3.70", "3.71", "5000", "", "6000"]))
    assert no_values(counts, "teff") == {"outside_limits": (2, "kept row 1, 3.7")}
    assert any("2 of teff" in record.getMessage() and record.levelno == logging.WARNING for record in caplog.records)


def test_limits_written_as_text_are_no_measurements(tmp_path: Path) -> None:
    table, counts = read(tmp_path, rows(feh=["<-2.5", "-0.1", "> 0.3", "+0.2", ""]))
    assert table["feh"].to_pylist() == [None, -0.1, None, 0.2, None]
    assert no_values(counts, "feh") == {"upper_limit": (2, "row 1, '<-2.5'")}


@pytest.mark.parametrize("value", [-99.0, 99.99, 999.0, -999.9, -9.999995e8, 9.99, np.float32(-9.999995e8), 9999.0])
def test_nines(value: float) -> None:
    assert all_nines(np.array([value])).all()
    assert not all_nines(np.array([9.0, 9.5, 98.99, 0.99, 5999.0, -1.0, np.nan])).any()


# ---------------------------------------------------------------- Gaia-ESO and GALAH


def ges(path: Path, **changes: Any) -> tuple[list[dict[str, Any]], Counts]:
    columns = {
        **{"CNAME": np.array(["10240000-5930000", "10250000-5930000", ""], "S16"), "SNR": np.full(3, 50.0)},
        **{
            "TEFF": np.full(3, 5000.0),
            "E_TEFF": np.full(3, 50.0),
            "LOGG": np.full(3, 4.0),
            "E_LOGG": np.full(3, 0.1),
        },
        **{"FEH": np.full(3, -0.2), "E_FEH": np.full(3, 0.07), "MG1": np.full(3, 7.5), "E_MG1": np.full(3, 0.07)},
    }
    columns |= {name: np.array(values) for name, values in changes.items()}
    fitsio.write(str(path), columns, clobber=True)
    counts = Counts()
    table = gaia_eso.read_catalog(GaiaEso(catalog=str(path)), counts)
    adds_up(counts, 3, len(table))
    return table.to_pylist(), counts


@pytest.mark.parametrize("none", [-1.0, -99.0, -9.999995e8, 0.0, np.nan, np.inf, 99.99, 1e30])
@pytest.mark.parametrize("column", ["E_FEH", "E_MG1"])
def test_a_placeholder_is_no_part_of_an_error(tmp_path: Path, column: str, none: float) -> None:
    found, _ = ges(tmp_path / "e.fits", **{column: [none, 0.07, 0.07]})
    assert found[0]["mg_fe"] == pytest.approx(7.5 - 7.53 + 0.2) and found[0]["mg_fe_err"] is None
    assert found[1]["mg_fe_err"] == pytest.approx(0.07 * np.sqrt(2))


@pytest.mark.parametrize("none", [-1.0, -99.0, -9.999995e8, 0.0, np.nan, 99.99])
@pytest.mark.parametrize("column", ["FEH", "MG1"])
def test_a_placeholder_is_no_part_of_an_abundance(tmp_path: Path, column: str, none: float) -> None:
    errors = {f"E_{column}": [none if none < 0 else -1.0, 0.07, 0.07]}
    found, counts = ges(tmp_path / "e.fits", **{column: [none, 7.5 if column == "MG1" else -0.2, 0.0]}, **errors)
    zero_is_iron = column == "FEH" and none == 0.0
    assert (found[0]["mg_fe"] is None) != zero_is_iron and found[0]["mg_fe_err"] is None
    assert found[1]["mg_fe"] is not None
    assert no_values(counts, "mg_fe").keys() <= {"placeholder"}


@pytest.mark.parametrize(
    ("name", "values", "limits"),
    [
        ("UPPER_COMBINED_MG1", np.array([1, 0, 0]), [True, False]),
        ("UPPER_COMBINED_MG1", np.array([2, 3, 0]), [False, True]),
        ("UPPER_COMBINED_MG1", np.array([-1, 1, 0]), [False, True]),
        ("upperCombinedMg1", np.array([0, 1, 0]), [False, True]),
        ("l_MG1", np.array(["<", "", ""], "S1"), [True, False]),
        ("LIM_MG1", np.array(["True", "False", "F"], "S5"), [True, False]),
    ],
)
def test_an_upper_limit_is_no_measurement(tmp_path: Path, name: str, values: np.ndarray, limits: list[bool]) -> None:
    found, counts = ges(tmp_path / "u.fits", **{name: values})
    assert [row["mg_fe"] is None for row in found] == limits
    assert [row["mg_fe_err"] is None for row in found] == limits
    assert no_values(counts, "mg_fe")["upper_limit"][0] == sum(limits)


@pytest.mark.parametrize("kind", ["S5", "i4", "f8", "?"])
def test_flags_in_any_spelling(tmp_path: Path, kind: str) -> None:
    spelt: dict[str, list[Any]] = {
        "S5": ["False", "Y", "", "0"],
        "i4": [0, 4, -9999, 0],
        "f8": [0.0, 1.0, np.nan, 0.0],
    }
    flag = np.array(spelt.get(kind, [False, True, True, False]), kind)
    columns = {
        **{"sobject_id": np.array([11, 12, 13, 13]), "gaiadr3_source_id": np.array([5, 6, 7, 7]) * 128},
        **{"ra": np.arange(4.0), "dec": np.zeros(4), "flag_sp": flag, "snr_px_ccd3": np.full(4, 80.0)},
        **{"teff": np.full(4, 5500.0), "logg": np.full(4, 4.2), "fe_h": np.zeros(4)},
        **{"mg_fe": np.full(4, 0.1), "flag_mg_fe": np.zeros(4, np.int32)},
    }
    fitsio.write(str(tmp_path / "g.fits"), columns, clobber=True)
    counts = Counts()
    table = galah.read_catalog(Galah(catalog=str(tmp_path / "g.fits")), counts)
    adds_up(counts, 4, 3)
    assert table["mg_fe"].to_pylist() == [0.1, None, None], "a missing flag counts as set"
    assert no_values(counts, "mg_fe") == {"flagged": (2, "kept row 2, 0.1")}
    assert counts.left_out["second_entry"].first == "sobject_id 13"


# ---------------------------------------------------------------- selection


def test_every_row_that_is_no_candidate_has_a_reason(tmp_path: Path) -> None:
    made = rows(6, subclass=["F2", "DA", "G2", "K2", "M2", "A2"], planid=["P", "P", "", "P", "P", "P"])
    made[3]["snrr"], made[4]["teff"], made[4]["logg"], made[4]["feh"] = "", "", "", ""
    table, _ = read(tmp_path, made)
    table, counts = table.append_column("star_id", star_ids(table)), Counts()
    everyone = [{"labels": Lamost.brings, "counts": dict.fromkeys("AFGKM")}]
    chosen = select(table, everyone, set(), {"r": 2.0}, 1.2, seed=1, counts=counts, places=Lamost.places)
    adds_up(counts, 6, len(chosen))
    assert chosen["obsid"].to_pylist() == [101001, 101006]
    assert {reason: tally.first for reason, tally in counts.left_out.items()} == {
        **{"no_class": "obsid 101002", "no_file_name": "obsid 101003", "snr_too_low": "obsid 101004"},
        "not_needed": "obsid 101005",
    }
