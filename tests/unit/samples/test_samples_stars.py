"""Identity and cross-match: who is one star, and who is whose counterpart."""

from __future__ import annotations

from typing import Any

import astropy.units as u
import numpy as np
import pyarrow as pa
import pytest
from astropy.coordinates import SkyCoord
from astropy.time import Time
from hypothesis import given, settings
from hypothesis import strategies as st

from refusals import refused
from starglot.samples.match import match, one_row_a_star
from starglot.samples.sphere import moved, separation, unit_vectors
from starglot.samples.star_ids import star_ids

ARCSEC = 1 / 3600


def catalog(rows: list[dict[str, Any]]) -> pa.Table:
    kinds = {
        **{name: pa.string() for name in ("gaia_source_id", "gp_id", "uid", "obsdate", "star_id")},
        **{"obsid": pa.int64(), "ra": pa.float64(), "dec": pa.float64()},
    }
    return pa.table({name: pa.array([row.get(name) for row in rows], kind) for name, kind in kinds.items()})


def ids_of(rows: list[dict[str, Any]]) -> dict[int, str]:
    """obsid -> star id, the same for the rows in any order."""
    ids = dict(zip([row["obsid"] for row in rows], star_ids(catalog(rows)).to_pylist(), strict=True))
    backwards = rows[::-1]
    assert dict(zip([r["obsid"] for r in backwards], star_ids(catalog(backwards)).to_pylist(), strict=True)) == ids
    return ids


def test_gaia_then_lamost_then_position() -> None:
    ids = ids_of(
        [
            {"obsid": 1, "gaia_source_id": "5", "gp_id": "G1", "uid": "U1", "ra": 1, "dec": 1},
            {"obsid": 2, "gp_id": "G2", "uid": "U2", "ra": 2, "dec": 2},
            {"obsid": 3, "uid": "U3", "ra": 3, "dec": 3},
            {"obsid": 4, "ra": 4.0, "dec": -4.0},
            {"obsid": 5},
        ]
    )
    assert ids == {1: "gaia:5", 2: "lamost:G2", 3: "lamost:U3", 4: "pos:4.00000-4.00000", 5: "lamost:obs:5"}


def test_a_star_has_one_id_in_every_survey_by_its_dr3_id() -> None:
    rows = catalog([{"obsid": 1, "gaia_source_id": "5", "ra": 1, "dec": 1}, {"obsid": 2}])
    assert star_ids(rows).to_pylist() == ["gaia:5", "lamost:obs:2"]
    assert star_ids(rows, None, "tiles", ()).to_pylist() == ["gaia:5", "tiles:obs:2"]
    assert star_ids(rows, None, "tiles", (), "dr2").to_pylist()[0] == "gaia-dr2:5", "5 of DR2 is another star"


def test_a_visit_without_gaia_id_is_still_the_same_star() -> None:
    ids = ids_of(
        [
            {"obsid": 1, "gaia_source_id": "5", "gp_id": "G1", "ra": 1, "dec": 1},
            {"obsid": 2, "gp_id": "G1", "ra": 1, "dec": 1},
            {"obsid": 3, "ra": 1 + 2 * ARCSEC, "dec": 1.0},
            {"obsid": 4, "ra": 1.0, "dec": 1 + 3.5 * ARCSEC},
        ]
    )
    assert ids[1] == ids[2] == ids[3] == "gaia:5" and ids[4].startswith("pos:")


def test_position_groups_do_not_chain_and_cross_midnight() -> None:
    step = 2 * ARCSEC
    chain = [{"obsid": k, "ra": 359.9999, "dec": k * step} for k in range(5)]
    ids = ids_of(chain)
    assert ids[0] == ids[1] and ids[2] == ids[3] and len(set(ids.values())) == 3
    ids = ids_of([{"obsid": 1, "ra": 0.0001, "dec": 0.0}, {"obsid": 2, "ra": 360 - 0.0001, "dec": 0.0}])
    assert ids[1] == ids[2]
    near_pole = [{"obsid": 1, "ra": 0.0, "dec": 89.9999}, {"obsid": 2, "ra": 180.0, "dec": 89.9999}]
    assert len(set(ids_of(near_pole).values())) == 1


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), min_size=1, max_size=25), st.integers(0, 25))
def test_later_rows_leave_earlier_ids_alone(places: list[tuple[int, int]], known: int) -> None:
    rows = [{"obsid": k, "ra": x * ARCSEC, "dec": y * ARCSEC} for k, (x, y) in enumerate(places)]
    everyone, first = ids_of(rows), ids_of(rows[: max(1, known)])
    assert all(everyone[obsid] == name for obsid, name in first.items())
    for k, one in everyone.items():  # whoever shares an id is within 3 arcsec of the row it is named after
        anchor = min(obsid for obsid, other in everyone.items() if other == one)
        (x, y), (ax, ay) = places[k], places[anchor]
        assert np.hypot(x - ax, y - ay) <= 3 + 1e-6


def test_motion_against_astropy() -> None:
    rng = np.random.default_rng(1)
    ra, dec = rng.uniform(0, 360, 50), np.degrees(np.arcsin(rng.uniform(-0.9999, 0.9999, 50)))
    pmra, pmdec = rng.normal(0, 2000, (2, 50))
    coords = SkyCoord(
        ra * u.deg,
        dec * u.deg,
        pm_ra_cosdec=pmra * u.mas / u.yr,
        pm_dec=pmdec * u.mas / u.yr,
        distance=1 * u.kpc,
        radial_velocity=0 * u.km / u.s,
        obstime=Time(2000.0, format="jyear"),
    ).apply_space_motion(new_obstime=Time(2016.0, format="jyear"))
    expected = unit_vectors(coords.ra.deg, coords.dec.deg)
    assert separation(moved(ra, dec, pmra, pmdec, np.full(50, 16.0)), expected).max() < 1e-3
    a, b = SkyCoord(ra * u.deg, dec * u.deg), SkyCoord(ra[::-1] * u.deg, dec[::-1] * u.deg)
    mine = separation(unit_vectors(ra, dec), unit_vectors(ra[::-1], dec[::-1]))
    np.testing.assert_allclose(mine, a.separation(b).arcsec, rtol=1e-9)


# ---------------------------------------------------------------- match


def survey(rows: list[dict[str, Any]], release: str | None = "dr3", epoch: float = 2000.0) -> pa.Table:
    columns: dict[str, pa.Array] = {
        "source_id": pa.array([row["source_id"] for row in rows], pa.string()),
        "gaia_source_id": pa.array([row.get("gaia") for row in rows], pa.string()),
        "gaia_release": pa.array([release] * len(rows), pa.string()),
        "epoch": pa.array([epoch] * len(rows), pa.float64()),
        "mg_fe": pa.array([row.get("mg_fe", 0.0) for row in rows], pa.float64()),
    }
    for name in ("ra", "dec", "pmra", "pmdec"):
        columns[name] = pa.array([row.get(name) for row in rows], pa.float64())
    return pa.table(columns)


def visit(obsid: int, star: str, ra: float, dec: float, date: str | None = "2016-01-01") -> dict[str, Any]:
    return {"obsid": obsid, "star_id": star, "ra": ra, "dec": dec, "obsdate": date}


def matched(
    visits: list[dict[str, Any]], other: pa.Table, release: str = "dr3", radius: float = 3.0
) -> list[dict[str, Any]]:
    rows = match(catalog(visits), other, "source_id", release, radius)
    shuffled = match(
        catalog(visits[::-1]), other.take(pa.array(np.arange(len(other))[::-1])), "source_id", release, radius
    )
    assert shuffled.equals(rows), "the order of rows must not matter"
    return rows.to_pylist()


def test_gaia_ids_match_within_one_release_only() -> None:
    visits = [visit(1, "gaia:7", 10.0, 0.0), visit(2, "gaia:7", 10.0, 0.0), visit(3, "gaia:8", 20.0, 0.0)]
    far = [{"source_id": "a", "gaia": "7", "ra": 50.0, "dec": 5.0, "mg_fe": 0.3}]
    rows = matched(visits, survey(far))
    assert [(row["obsid"], row["method"], row["mg_fe"]) for row in rows] == [(1, "gaia", 0.3), (2, "gaia", 0.3)]
    assert rows[0]["separation"] > 1e5, "said, so that a reader can doubt it"
    assert matched(visits, survey(far, release="dr2")) == []
    by_place = [{"source_id": "a", "gaia": "8", "ra": 10.0, "dec": 1 * ARCSEC}]
    rows = matched(visits, survey(by_place, release="dr2"))
    assert [(row["star_id"], row["method"]) for row in rows] == [("gaia:7", "position")] * 2
    assert rows[0]["separation"] == pytest.approx(1.0, abs=1e-6)


def test_two_gaia_ids_of_one_release_are_two_stars() -> None:
    other = survey([{"source_id": "a", "gaia": "9", "ra": 10.0, "dec": 0.0}])
    assert matched([visit(1, "gaia:7", 10.0, 0.0)], other) == []
    assert matched([visit(1, "lamost:G7", 10.0, 0.0)], other)[0]["method"] == "position"


def test_one_to_one_the_closest_pair_first() -> None:
    visits = [visit(1, "lamost:A", 10.0, 0.0), visit(2, "lamost:B", 10.0, 2 * ARCSEC)]
    other = survey(
        [
            {"source_id": "near_b", "ra": 10.0, "dec": 1.6 * ARCSEC},
            {"source_id": "near_both", "ra": 10.0, "dec": 1.0 * ARCSEC},
            {"source_id": "late", "ra": 10.0, "dec": 1.1 * ARCSEC},
        ]
    )
    rows = matched(visits, other)
    assert [(row["star_id"], row["source_id"]) for row in rows] == [("lamost:A", "near_both"), ("lamost:B", "near_b")]


def test_a_fast_star_is_found_where_it_was_that_night() -> None:
    barnard = {"source_id": "fast", "ra": 269.452, "dec": 4.6934, "pmra": -801.6, "pmdec": 10362.4}
    there = SkyCoord(
        barnard["ra"] * u.deg,
        barnard["dec"] * u.deg,
        pm_ra_cosdec=barnard["pmra"] * u.mas / u.yr,
        pm_dec=barnard["pmdec"] * u.mas / u.yr,
        distance=1.8 * u.pc,
        obstime=Time(2000.0, format="jyear"),
    ).apply_space_motion(new_obstime=Time("2021-05-01"))
    visits = [
        visit(1, "lamost:other", 100.0, 40.0, "2012-01-01"),
        visit(2, "lamost:barnard", there.ra.deg, there.dec.deg, "2021-05-01"),
    ]
    rows = matched(visits, survey([barnard]))
    assert [row["star_id"] for row in rows] == ["lamost:barnard"] and rows[0]["separation"] < 0.05
    still = {name: value for name, value in barnard.items() if not name.startswith("pm")}
    assert matched(visits, survey([still])) == []


def test_radius_is_the_limit_and_missing_positions_do_not_match() -> None:
    visits = [visit(1, "lamost:A", 10.0, 0.0), visit(2, "lamost:B", None, None)]  # type: ignore[arg-type]
    other = survey([{"source_id": "a", "ra": 10.0, "dec": 2.9 * ARCSEC}, {"source_id": "b"}])
    assert len(matched(visits, other)) == 1
    assert matched(visits, other, radius=2.8) == []
    assert matched(visits, survey([])) == [] and matched([], other) == []


def test_an_id_twice_in_the_other_survey_is_refused() -> None:
    twice = survey([{"source_id": "a", "ra": 1.0, "dec": 1.0}] * 2)
    with refused("source_id", where="a"):
        match(catalog([visit(1, "lamost:A", 1.0, 1.0)]), twice, "source_id", "dr3", 3.0)


@settings(max_examples=40)
@given(
    st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), max_size=12, unique=True),
    st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), max_size=12, unique=True),
)
def test_matches_are_one_to_one_and_none_is_left_over(
    stars: list[tuple[int, int]], targets: list[tuple[int, int]]
) -> None:
    visits = [visit(k, f"lamost:{k}", x * ARCSEC, y * ARCSEC) for k, (x, y) in enumerate(stars)]
    other = survey([{"source_id": str(k), "ra": x * ARCSEC, "dec": y * ARCSEC} for k, (x, y) in enumerate(targets)])
    rows = matched(visits, other, radius=1.5)
    assert len({r["star_id"] for r in rows}) == len({r["source_id"] for r in rows}) == len(rows)
    free_stars = [p for k, p in enumerate(stars) if f"lamost:{k}" not in {r["star_id"] for r in rows}]
    free_targets = [p for k, p in enumerate(targets) if str(k) not in {r["source_id"] for r in rows}]
    for sx, sy in free_stars:
        for tx, ty in free_targets:
            assert np.hypot(sx - tx, sy - ty) > 1.5 - 1e-6


def test_a_survey_with_spectra_is_matched_by_its_stars_and_brings_the_fullest_visit() -> None:
    visits = pa.table(
        {
            "obsid": [12, 11, 21],
            "star_id": ["gaia:7", "gaia:7", "tiles:b"],
            "gaia_source_id": ["7", "7", None],
            "ra": [10.0, 10.0, 20.0],
            "dec": [0.0, 0.0, 5.0],
            "teff": [5000.0, None, 6000.0],
            "teff_err": [50.0, None, 60.0],
        }
    )
    other = one_row_a_star(visits, ["teff"], "dr3")
    assert len(other) == 2
    here = [visit(1, "gaia:7", 50.0, 50.0), visit(2, "lamost:B", 20.0, 5.0), visit(3, "lamost:C", 70.0, 5.0)]
    rows = match(catalog(here), other, "other_star_id", "dr3", 3.0).to_pylist()
    told = [(row["obsid"], row["star_id"], row["other_star_id"], row["teff"], row["method"]) for row in rows]
    assert told == [(1, "gaia:7", "gaia:7", 5000.0, "gaia"), (2, "lamost:B", "tiles:b", 6000.0, "position")]
