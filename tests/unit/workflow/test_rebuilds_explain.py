"""Reasons are sentences that name the leaf, the module or the file; decisions are kept and found again."""

import json
import os

import pytest

from refusals import refused
from starglot.hashing import manifest_digest
from starglot.workflow.rebuilds.accepted import Acceptance, add_accepted, kept_hashes, note_in_manifest, read_accepted
from starglot.workflow.rebuilds.explain import Job, causes, leaf_changes, record_code, report
from starglot.workflow.rebuilds.table import BEGIN, END, expanded, markdown, with_table

OLD, NEW = "0123456789abcdef", "fedcba9876543210"


def settings(**values):
    """A param as snakemake records it."""
    return repr(json.dumps(values, sort_keys=True))


def job(**changed):
    """A job of which nothing has changed, except for ``changed``."""
    same = settings(recipe={"max_gap": 30.0})
    facts = {
        "rule": "clean_shard",
        "wildcards": {"shard": "55000-A1"},
        "target": "results/spectra/55000-A1.parquet",
        "script": "clean_shard",
        "before": [repr(OLD), same],
        "now": {"settings": same, "code": repr(OLD)},
        "definitions": {"script": "1", "starglot.tables": "2"},
    }
    return Job(**{**facts, **changed})


def test_a_changed_leaf_is_named_with_both_values(tmp_path):
    changed = settings(recipe={"max_gap": 25.0, "mask_bits": "all"})
    said = causes(job(now={"settings": changed, "code": repr(OLD)}), tmp_path)
    assert said == ['setting recipe.mask_bits is new: "all"', "setting recipe.max_gap: 30.0 -> 25.0"]


def test_quotes_in_a_setting_do_not_hide_the_leaf(tmp_path):
    before = settings(note='it\'s "so"', n=1)
    said = causes(job(before=[before], now={"settings": settings(note='it\'s "so"', n=2)}), tmp_path)
    assert said == ["setting n: 1 -> 2"]


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ({"a": {"b": 1}}, {"a": {"b": 2}}, ["a.b: 1 -> 2"]),
        ({"a": [1, 2]}, {"a": [2, 1]}, ["a: [1, 2] -> [2, 1]"]),
        ({"a": {"b": 1}}, {"a": {}}, ["a is new: {}", "a.b is gone (was 1)"]),
        ({"a": None}, {"a": None}, []),
    ],
)
def test_leaves_are_compared_one_by_one(before, after, said):
    assert leaf_changes(before, after) == said


def test_an_edited_module_is_named(tmp_path):
    record_code(tmp_path, OLD, {"script": "1", "starglot.tables": "0", "starglot.gone": "3"})
    edited = job(now={"settings": job().now["settings"], "code": repr(NEW)})
    assert causes(edited, tmp_path) == ["code: starglot.gone, starglot.tables edited"]
    assert edited.only_code() and edited.code_change() == (OLD, NEW)
    assert "not on record" in causes(edited, tmp_path / "lost")[0]


def test_files_and_jobs_before_it_are_named(tmp_path):
    said = causes(job(changed=["a.sha256"], added=["b"], missing=["c"], after=["select_stars"]), tmp_path)
    assert said == [
        "c is not there",
        "it has a further input: b",
        "other content in a.sha256",
        "its input is made anew by select_stars",
    ]
    assert not job(changed=["a.sha256"]).only_code()


def test_a_file_from_outside_is_not_quoted_by_its_digest(tmp_path):
    before, now = repr(["a" * 64]), repr(["b" * 64])
    assert causes(job(before=[before], now={"contents": now}), tmp_path) == ["a file from outside has other content"]


def test_jobs_with_the_same_reason_stand_together(tmp_path):
    names = ("55000-A1", "55001-B2", "55002-C3")
    many = [
        job(wildcards={"shard": name}, changed=[f"catalog/selected/{name}.parquet"], forced=name == "55002-C3")
        for name in names
    ]
    text = report(many, tmp_path)
    assert "clean_shard: 2 jobs, the first of them clean_shard 55000-A1" in text
    assert "clean_shard 55002-C3\n    it was asked for by force" in text


def accepted(**other):
    facts = {
        "target": "results/models/m/manifest.json",
        "script": "train_llm",
        "wildcards": {"task": "atmosphere", "model": "llm"},
        "kept": OLD,
        "given": NEW,
        "definitions": ("starglot.training.loop:run",),
        "because": "renamed",
        "date": "2026-01-01",
    }
    return Acceptance(**{**facts, **other})


def test_a_decision_holds_for_its_job_script_and_code_only(tmp_path):
    add_accepted(tmp_path / "accepted.json", [accepted()])
    add_accepted(tmp_path / "accepted.json", [accepted(script="predict_llm")])
    records = read_accepted(tmp_path / "accepted.json")
    assert records == [accepted(), accepted(script="predict_llm")]
    key = frozenset({("model", "llm"), ("task", "atmosphere")})
    assert kept_hashes(records, "train_llm", NEW) == {key: OLD}
    assert kept_hashes(records, "train_llm", OLD) == {} == kept_hashes(records, "clean_shard", NEW)


def test_a_manifest_says_what_was_accepted_for_it_and_is_as_old_and_as_good_as_before(tmp_path):
    path = tmp_path / "results/models/m/manifest.json"
    path.parent.mkdir(parents=True)
    path.write_text('{"labels": ["teff"]}')
    os.utime(path, ns=(10**18, 10**18))
    digest = manifest_digest(path)
    for because in ("renamed", "again"):
        note_in_manifest(accepted(because=because), tmp_path)
    note_in_manifest(accepted(target="results/models/other/manifest.json"), tmp_path)
    manifest = json.loads(path.read_text())
    assert manifest["labels"] == ["teff"]
    assert [said["because"] for said in manifest["accepted_edits"]] == ["renamed", "again"]
    assert manifest["accepted_edits"][0]["kept"] == OLD and manifest["accepted_edits"][0]["given"] == NEW
    assert path.stat().st_mtime_ns == 10**18 and manifest_digest(path) == digest


def test_a_damaged_record_is_named(tmp_path):
    (tmp_path / "accepted.json").write_text('[{"target": 1}]')
    with refused(where=tmp_path / "accepted.json"):
        read_accepted(tmp_path / "accepted.json")


def test_groups_of_the_rebuild_table_become_rules():
    groups = {"after b": {"c": "all", "d": ["x *"]}, "after a": {"b": "all", "after b": "all"}}
    assert expanded({"after a": "all", "d": ["y *"]}, groups) == {"b": "all", "c": "all", "d": ["x *", "y *"]}
    row = {"change": "touch", "title": "Touch", "listed": {}, "why": "same"}
    table = {"changes": [row, {**row, "listed": {"after b": "all", "d": ["y *"]}}], "groups": groups}
    assert "| Touch | **nothing** | - | same |" in markdown(table)
    assert "*after b*, d (`y *`)" in markdown(table)
    page = with_table(f"top\n{BEGIN}\n{END}\nend\n", table)
    assert page.startswith("top") and page.endswith("end\n") and with_table(page, table) == page
