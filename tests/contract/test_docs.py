"""What the documentation tells a reader to run, runs."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import yaml

from starglot.config.load import load_config, merge
from starglot.config.recipes import View
from starglot.spectra.resample import wavelength_grid
from starglot.surveys.lamost import read_catalog
from starglot.surveys.lamost_spectra import spectrum_file
from starglot.surveys.lamost_spectrum import read_spectrum


def blocks(page: Path, language: str) -> list[str]:
    """Fenced blocks of a page in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.M | re.S)


def test_own_survey_files_are_read(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = project / "docs/own-survey-files.md"
    raw: dict[str, object] = {}
    for name in ("config/config.yaml", "config/demo.yaml"):
        raw = merge(raw, yaml.safe_load((project / name).read_text()))
    (overlay,) = blocks(page, "yaml")
    config = load_config(merge(raw, yaml.safe_load(overlay)))

    monkeypatch.chdir(tmp_path)
    (program,) = blocks(page, "python")
    exec(compile(program, str(page), "exec"), {})
    catalog = read_catalog(config.surveys.lamost)
    assert len(catalog) == 40
    assert catalog["class"].to_pylist() == list("AFGKM") * 8
    assert catalog["teff"].null_count == catalog["snr_r"].null_count == 0
    low, high = config.surveys.lamost.coverage
    for row in catalog.select(["obsdate", "planid", "lmjd", "spid", "fiberid"]).to_pylist():
        spectrum = read_spectrum(Path(config.surveys.lamost.spectra) / spectrum_file(**row))
        assert np.isfinite(spectrum.flux).all() and (spectrum.mask == 0).all()
        assert spectrum.wavelength[0] <= low and spectrum.wavelength[-1] >= high


def test_overlays_for_desi_and_gaia_xp_are_configurations(project: Path) -> None:
    """Each task of the page's views is asked for, so that grids are compared with what the surveys cover."""
    raw: dict[str, object] = {}
    for name in ("config/config.yaml", "config/demo.yaml"):
        raw = merge(raw, yaml.safe_load((project / name).read_text()))
    page = (project / "docs/desi-and-gaia-xp.md").read_text()
    for overlay in re.findall(r"^```yaml overlay\n(.*?)^```$", page, re.M | re.S):
        raw = merge(raw, yaml.safe_load(overlay))
    sample = {"source": "apogee", "groups": None, "balanced": False, "sizes": {"all": None}}
    tasks = {
        View(view).survey: {"question": {"form": "abundances", "labels": ["feh"]}, "sample": sample | {"view": view}}
        for view in ("desi/blue", "gaia_xp/xp")
    }
    run = {"tasks": list(tasks), "sizes": ["all"], "models": ["ridge"], "validation": []}
    asked = {"tasks": tasks, "run": run, "scaling": {"tasks": []}, "repeats": {"models": []}}
    config = load_config(merge(raw, asked))
    assert config.views == ["desi/blue", "gaia_xp/xp"]


def test_the_overlay_for_own_pixels_is_a_configuration(project: Path) -> None:
    raw: dict[str, object] = {}
    for name in ("config/config.yaml", "config/demo.yaml"):
        raw = merge(raw, yaml.safe_load((project / name).read_text()))
    (overlay,) = blocks(project / "docs/patch-tokens.md", "yaml overlay")
    config = load_config(merge(raw, yaml.safe_load(overlay)))
    assert config.views == ["lamost/native"] and config.recipes["native"].interpolation == "none"
    grid = wavelength_grid(config.recipes["native"].wavelength)
    np.testing.assert_allclose(np.log10(grid), 3.5682 + 1e-4 * np.arange(118, 3714), rtol=0, atol=1e-8)


def test_links_between_pages_lead_somewhere(project: Path) -> None:
    broken = []
    for page in [*project.glob("*.md"), *(project / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#\s]+)", page.read_text()):
            if "://" not in target and not (page.parent / target).exists():
                broken.append(f"{page.name}: {target}")
    assert broken == []


def test_links_to_headings_lead_to_one(project: Path) -> None:
    def anchors(page: Path) -> set[str]:
        """As GitHub makes them: lower case, letters, digits and hyphens."""
        headings = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.M | re.S), re.M)
        return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}

    broken = []
    for page in [*project.glob("*.md"), *(project / "docs").rglob("*.md")]:
        for target, anchor in re.findall(r"\]\(([^)#\s:]*)#([^)\s]+)\)", page.read_text()):
            if anchor not in anchors(page.parent / target if target else page):
                broken.append(f"{page.name}: {target}#{anchor}")
    assert broken == []


def test_make_targets_that_the_pages_name_exist(project: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (project / "Makefile").read_text(), re.M))
    for page in [*project.glob("*.md"), *(project / "docs").rglob("*.md")]:
        named = set(re.findall(r"`(?:[A-Z_]+=\S+ )?make ([a-z][a-z-]*)", page.read_text()))
        assert named <= targets, f"{page.name}: {named - targets}"
