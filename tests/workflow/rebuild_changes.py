"""What is done to a settled project for each row of rebuilds.yaml: a function a change, named as there.

Each takes the project's folder, in which every file may be replaced, and returns further arguments of snakemake
or None.
"""

from __future__ import annotations

import ast
import json
import os
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

import yaml
from rebuild_words import WORDS, Change, replace

CODE = ("Snakefile", "rules", "workflow", "config", "envs", "profiles", "src")
NEW_PLATE = "59100-NEW"


def snakemake(folder: Path, *arguments: str) -> str:
    """Run snakemake in a project with its own code; returns what it said."""
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--configfile", *configs(folder), *arguments]
    env = {**os.environ, "PYTHONPATH": f"{folder}/src", "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=env)
    assert not done.returncode, f"{' '.join(command)}\n{done.stdout[-3000:]}\n{done.stderr[-6000:]}"
    return done.stdout + done.stderr


def configs(folder: Path) -> list[str]:
    """Overlays of a project, in their order."""
    return [name for name in ("mini.yaml", "own.yaml", "over.yaml") if (folder / name).exists()]


def lay_over(folder: Path, **values: object) -> None:
    """Write over.yaml: values that differ from the settled project's, and those that it has already."""
    path = folder / "over.yaml"
    known = yaml.safe_load(path.read_text()) if path.exists() else {}
    path.write_text(yaml.safe_dump(_merged(known, values)))


def _merged(old: object, new: object) -> object:
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return new
    return {key: _merged(old.get(key), new[key]) if key in new else old[key] for key in {**old, **new}}


def sources(folder: Path) -> list[Path]:
    """All Python files of the project."""
    return sorted([*(folder / "src").rglob("*.py"), *(folder / "workflow").rglob("*.py")])


def touched(paths: list[Path], seed: int = 0) -> None:
    """Give copies of files new times, in no order."""
    order = random.Random(seed)
    for path in sorted(paths):
        content = path.read_bytes()
        replace(path, content)
        now = path.stat().st_mtime + order.uniform(0, 1000)
        os.utime(path, (now, now))


def edit_function(folder: Path, module: str) -> None:
    """Change what the first function of a module does: one more statement at its end."""
    path = folder / "src/starglot" / module
    tree = ast.parse(path.read_text())
    function = next(node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))
    function.body.append(ast.parse("_edited = 1").body[0])
    replace(path, ast.unparse(tree))


def editing(module: str) -> Change:
    """The change that edits a function of a module."""
    return lambda folder: edit_function(folder, module)


def setting(**values: object) -> Change:
    """The change that sets leaves of the configuration."""
    return lambda folder: lay_over(folder, **values)


# ---------------------------------------------------------------- nothing has changed


def nothing(folder):
    """Do nothing."""


def touch_catalogues(folder):
    """Touch every catalogue."""
    touched([path for path in (folder / "data").rglob("*.fits*") if "spectra" not in path.parts])


def touch_results(folder):
    """Touch every result."""
    skip = ("state", "logs", "benchmarks")
    results = folder / "results"
    touched([p for p in results.rglob("*") if p.is_file() and p.relative_to(results).parts[0] not in skip])


def touch_code(folder):
    """Touch code and configuration."""
    touched([path for part in CODE for path in [folder / part, *(folder / part).rglob("*")] if path.is_file()])


def touch_spectra(folder):
    """Touch every FITS spectrum."""
    touched([path for path in (folder / "data/lamost/spectra").rglob("*") if path.is_file()])


def copy_without_times(folder):
    """Every file of results and data as `cp -r` writes it."""
    for part in ("results", "data"):
        shutil.move(folder / part, folder / f"{part}.old")
        subprocess.run(["cp", "-r", f"{part}.old", part], cwd=folder, check=True)


def fresh_clone(folder):
    """New files of code, old results."""
    for part in CODE:
        old = folder / f"{part}.old"
        shutil.move(folder / part, old)
        subprocess.run(["cp", "-r", old, folder / part], check=True)
        shutil.rmtree(old) if old.is_dir() else old.unlink()


def move_project(folder):
    """The project stands elsewhere; its links in .snakemake and state say nothing of where it stood."""
    shutil.move(folder, folder.with_name("elsewhere"))
    shutil.copytree(folder.with_name("elsewhere"), folder, symlinks=True, copy_function=os.link)


def other_cores(folder):
    """Another number of cores."""
    return ["--cores", "7"]


def other_profile(folder):
    """The local profile."""
    return ["--profile", "profiles/local"]


def edit_comment(folder):
    """A comment on top of every file; another docstring where there is one."""
    for path in sources(folder):
        text = path.read_text()
        replace(path, "# why\n" + text.replace('"""', '"""Once more: ', 1))


def reformat(folder):
    """Every file as ast.unparse writes it: other quotes, brackets and line breaks, no comments."""
    for path in sources(folder):
        replace(path, ast.unparse(ast.parse(path.read_text())) + "\n")


def reformat_config(folder):
    """config.yaml with sorted keys and without comments."""
    path = folder / "config/config.yaml"
    replace(path, yaml.safe_dump(yaml.safe_load(path.read_text()), sort_keys=True))


def edit_docs(folder):
    """Pages beside the code."""
    replace(folder / "README.md", "# Another")
    replace(folder / "profiles/README.md", "another")


# ---------------------------------------------------------------- code


def edit_caption(folder):
    """Another word in the report."""
    path = folder / "src/starglot/report/templates/report.html.j2"
    replace(path, path.read_text() + "<p>Read on.</p>\n")


def reformat_shell(folder):
    """A blank in a shell command."""
    path = folder / "rules/figures.smk"
    text = path.read_text()
    assert "draw_training.py --settings" in text
    replace(path, text.replace("draw_training.py --settings", "draw_training.py  --settings"))


def accept_edit(folder):
    """Edit the training loop, then accept every result."""
    edit_function(folder, "training/loop.py")
    command = [sys.executable, "-m", "starglot", "accept", "--because", "a name", "--configfile", *configs(folder)]
    env = {**os.environ, "PYTHONPATH": f"{folder}/src"}
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=env)
    assert not done.returncode, done.stderr
    model = "results/models/atmosphere/llm-mini/mini/manifest.json"
    assert json.loads((folder / model).read_text())["accepted_edits"][0]["because"] == "a name"
    assert model in done.stdout and "starglot.training.loop" in done.stdout


# ---------------------------------------------------------------- inputs


def _galah(folder):
    from astropy.table import Table, vstack

    path = folder / "data/galah_dr4_allstar_240705.fits"
    table = Table.read(path)
    row = table[:1].copy()
    row["sobject_id"], row["gaiadr3_source_id"], row["ra"], row["dec"] = 1, 1, 12.0, -80.0
    path.unlink()
    vstack([table, row]).write(path)


def append_rows(folder):
    """A star far from any of LAMOST's."""
    _galah(folder)


def append_rows_inventory(folder):
    """The same, and the inventory by itself."""
    _galah(folder)
    snakemake(folder, "--", "inventory")


def add_plate(folder):
    """Ten stars of the first plate once more, as another plate's."""
    from astropy.table import Table, vstack

    path = folder / "data/lamost/mock_LRS_stellar.fits.gz"
    table = Table.read(path)
    here = sorted((folder / "data/lamost/spectra").glob("*/*"))[0]
    rows = table[[str(plan).strip() == here.name for plan in table["planid"]]][:10].copy()
    files = [f"spec-{row['lmjd']}-{here.name}_sp{row['spid']:02d}-{row['fiberid']:03d}.fits.gz" for row in rows]
    lmjd, planid = NEW_PLATE.split("-")
    there = here.parents[1] / "20201231" / planid
    there.mkdir(parents=True)
    for name, row in zip(files, rows, strict=True):
        shutil.copy(here / name, there / name.replace(f"-{row['lmjd']}-{here.name}_", f"-{NEW_PLATE}_"))
    rows["lmjd"], rows["planid"], rows["obsdate"] = int(lmjd), planid, "2020-12-31"
    rows["obsid"] = [
        int(table["obsid"].max()) + 1_000_000 + n for n in range(len(rows))
    ]  # the M catalogue has its own
    path.unlink()
    vstack([table, rows], metadata_conflicts="silent").write(path)
    snakemake(folder, "--", "inventory")


def _first_file(folder):
    shard = sorted((folder / "results/catalog/selected/lamost").glob("*.parquet"))[0].stem
    return sorted((folder / "data/lamost/spectra").glob(f"*/{shard.split('-', 1)[1]}/*.fits.gz"))[0]


def replace_file(folder):
    """Another spectrum under a name; the inventory once more."""
    first = _first_file(folder)
    other = sorted(first.parent.glob("*.fits.gz"))[1]
    replace(first, other.read_bytes())
    snakemake(folder, "-R", "inventory", "--", "inventory")


def touch_file(folder):
    """A FITS file touched, the inventory once more."""
    touched([_first_file(folder)])
    snakemake(folder, "-R", "inventory", "--", "inventory")


def touch_file_clean(folder):
    """A FITS file touched, the inventory once more, and cleaning by itself."""
    touched([_first_file(folder)])
    snakemake(folder, "-R", "inventory", "--", "inventory")
    said = snakemake(folder, "--", "clean")
    assert len(re.findall(r"^(?:local)?rule clean_shard:", said, re.M)) == 1


# ---------------------------------------------------------------- results


def remove_figure(folder):
    """A figure is gone."""
    (folder / "results/figures/kiel_atmosphere_llm-mini_mini_test.png").unlink()


def remove_model(folder):
    """A model's folder is gone."""
    shutil.rmtree(folder / "results/models/atmosphere/llm-mini/mini")


def force_training(folder):
    """Training is asked for by force."""
    return ["-R", "train_llm"]


_RIDGE = {"kind": "ridge", "bin": 20}

CHANGES: dict[str, Change] = {
    **{
        change.__name__: change
        for change in (
            nothing,
            touch_catalogues,
            touch_results,
            touch_code,
            touch_spectra,
            copy_without_times,
            fresh_clone,
            move_project,
            other_cores,
            other_profile,
            edit_comment,
            reformat,
            reformat_config,
            edit_docs,
            edit_caption,
            reformat_shell,
            accept_edit,
            append_rows,
            append_rows_inventory,
            add_plate,
            replace_file,
            touch_file,
            touch_file_clean,
            remove_figure,
            remove_model,
            force_training,
        )
    },
    **WORDS,
    "edit_mock": editing("mock/lines.py"),
    "edit_reference": editing("config/reference.py"),
    "edit_survey_reader": editing("surveys/galah.py"),
    "edit_spectrum_reader": editing("surveys/lamost_spectrum.py"),
    "edit_normalise": editing("spectra/normalise.py"),
    "edit_continuum": editing("spectra/continuum.py"),
    "edit_draw": editing("samples/draw.py"),
    "edit_answers": editing("language/answers.py"),
    "edit_baselines": editing("models/baselines/rows.py"),
    "edit_training_loop": editing("training/loop.py"),
    "edit_digits": editing("inference/digits.py"),
    "edit_calibration": editing("evaluation/calibration.py"),
    "edit_statistics": editing("evaluation/statistics.py"),
    "edit_plot": editing("plots/kiel.py"),
    "set_snr_galah": setting(surveys={"galah": {"snr_min": 31.0}}),
    "set_snr_lamost": setting(surveys={"lamost": {"snr_min": {"r": 2.5, "i": 2.0}}}),
    "set_snr_bands": setting(surveys={"lamost": {"snr_min": {"g": 2.0}}}),
    "set_release": setting(surveys={"lamost": {"release": "mock, seen again"}}),
    "set_radius": setting(match={"radius_arcsec": 2.5}),
    "set_margin": setting(select={"margin": 1.3}),
    "set_max_gap": setting(recipes={"paper": {"max_gap": 25.0}}),
    "set_folds": setting(split={"folds": 4}),
    "set_shortage": setting(tasks={"atmosphere": {"sample": {"shortage": "error"}}}),
    "set_bin": setting(encodings={"mini": {"bin": 100}}),
    "set_qa_files": setting(qa={"files": {"train": 3}}),
    "set_base": setting(bases={"tiny": {"learning_rate": 1.9e-3}}),
    "set_learning_rate": setting(models={"llm-mini": {"training": {"learning_rate": 2.9e-3}}}),
    "set_prune": setting(models={"llm-mini": {"decoding": {"prune": 0.02}}}),
    "set_ridge": setting(models={"ridge": {"bin": 20}}),
    "add_definition": setting(models={"ridge-2": _RIDGE}),
    "leave_out_model": setting(run={"without": {"abundances": ["class-mean"]}}),
    "add_model": setting(models={"ridge-2": _RIDGE}, run={"models": ["llm-mini", "class-mean", "ridge", "ridge-2"]}),
    "add_size": setting(run={"sizes": ["small", "mini", "all"]}),
    "add_set": setting(run={"sets": ["val", "test", "common"]}),
    "set_degradation": setting(degradation={"limit": 7}),
    "set_scaling": setting(scaling={"sizes": ["small", "mini"], "seeds": [0, 1]}),
    "set_seed": setting(seed=7),
}
