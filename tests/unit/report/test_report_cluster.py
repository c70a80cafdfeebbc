"""Slurm's account of the jobs, read as sacct prints it."""

import pytest

from starglot.report.cluster import by_rule, cluster_use, gigabytes, submitted

SACCT = """\
41|REQUEUED|60|1440|65536M||10:00:00|billing=16,cpu=16,gres/gpu=4,gres/gpu:h200=4,mem=64G
41.batch|CANCELLED|60|||300M|00:01.000|
41.0|CANCELLED|60|||33554432K|09:00:00|
41|COMPLETED|7200|1440|65536M||1-00:00:00|billing=16,cpu=16,gres/gpu=4,gres/gpu:h200=4,mem=64G
41.0|COMPLETED|7200|||40G|23:00:00|
42|FAILED|36|20|1500M||00:30.500|billing=1,cpu=1,mem=1500M
42.batch|FAILED|36|||1600M|00:30.500|
43|CANCELLED by 1000|18|34|2550M||00:00.000|billing=1,cpu=1,mem=2550M
""".splitlines()


def test_requests_stand_beside_what_was_used():
    table = by_rule(SACCT, {"41": "train_llm", "42": "clean", "43": "clean"}).set_index("rule")
    train, clean = table.loc["train_llm"], table.loc["clean"]
    assert (train["jobs"], train["not completed"]) == (2, 1)
    assert (train["time asked (h)"], train["longest (h)"]) == (24, 2)
    assert (train["memory asked (GB)"], train["most memory (GB)"]) == (64, 40)
    assert train["GPU hours"] == pytest.approx(4 * (7200 + 60) / 3600)
    assert train["CPU hours"] == pytest.approx(34)
    assert (clean["jobs"], clean["not completed"]) == (2, 2)
    assert clean["time asked (h)"] == pytest.approx(34 / 60)
    assert clean["GPU hours"] == 0


@pytest.mark.parametrize(
    ("text", "size"), [("1024M", 1.0), ("2.5G", 2.5), ("1048576K", 1.0), ("1T", 1024.0), ("", 0.0)]
)
def test_sizes(text, size):
    assert gigabytes(text) == pytest.approx(size)


def test_jobs_are_known_by_snakemakes_own_log(tmp_path):
    line = "Job {0} has been submitted with SLURM jobid {1} (log: /far/.snakemake/slurm_logs/{2}/x/{1}.log).\n"
    text = line.format(1, 17, "rule_read_survey") + line.format("b3cd330e", 19, "group_clean_clean_shard")
    (tmp_path / "2026.snakemake.log").write_text(text)
    assert submitted(tmp_path) == {"17": "read_survey", "19": "clean_clean_shard"}


def test_without_slurm_it_says_so(tmp_path):
    table, why = cluster_use(tmp_path)
    assert table.empty and "No job of this project went through Slurm" in why
