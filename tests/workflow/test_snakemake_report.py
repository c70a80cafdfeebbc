"""Snakemake's own report: made offline from finished results, with captions that quote the configuration."""

import subprocess
import sys
import zipfile

import pytest
from test_planning import PROGRAM

pytestmark = pytest.mark.workflow


def test_it_is_made_offline_and_its_captions_quote_the_configuration(mini, tmp_path):
    out = tmp_path / "report.zip"
    arguments = ["--report", str(out), "--configfile", "mini.yaml"]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments], cwd=mini.folder, capture_output=True, text=True
    )
    assert not done.returncode, done.stderr[-3000:]
    with zipfile.ZipFile(out) as packed:
        page = next(name for name in packed.namelist() if name.endswith("report.html") and "/data/" not in name)
        text = packed.read(page).decode()
        names = {name.rpartition("/")[2] for name in packed.namelist()}
    assert "llm-mini, class-mean, ridge" in text and "240 spectra on" in text
    assert "at most 20 spectra of" in text and "Mock data" in text
    assert {"headline_atmosphere.csv", "table_5.csv", "figure_1.svg", "report.html"} <= names
    assert "headline_atmosphere" in text and "Accuracy" in text
