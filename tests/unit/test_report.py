"""The report page: complete, offline, true to its inputs, and working in a browser."""

import dataclasses
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import yaml
from prediction_tables import predictions

from starglot.config.load import load_config
from starglot.errors import StarglotError
from starglot.evaluation.residuals import residual_table
from starglot.evaluation.summary import headline_table, table_1
from starglot.evaluation.tables_io import write_table
from starglot.glossary import CLASSES, REJECTIONS
from starglot.plots.predicted import draw_predicted
from starglot.rebuilds.accepted import Acceptance
from starglot.report.build import build_report
from starglot.report.inputs import inputs_of
from starglot.tables import REJECTED, SAMPLE, write_json, write_parquet

ROOT = Path(__file__).parents[2]
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
TASKS = {"atmosphere": ("demo", ("teff", "logg", "feh")), "abundances": ("all", ("mg_fe", "ca_fe"))}


def merged(base, over):
    for key, value in over.items():
        base[key] = merged(base.get(key) or {}, value) if isinstance(value, dict) else value
    return base


@pytest.fixture(scope="module")
def demo():
    files = (ROOT / "config" / name for name in ("config.yaml", "demo.yaml"))
    settings = merged(*(yaml.safe_load(path.read_text()) for path in files))
    settings["run"]["models"] = ["llm-demo", "class-mean", "ridge"]
    return load_config(settings, "config/demo.yaml")


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """A results folder by the contracts, with a small run of every part that the report reads."""
    folder = tmp_path_factory.mktemp("results")
    for task, (size, labels) in TASKS.items():
        paths = {}
        for model, error in (("llm-demo", 1.0), ("class-mean", 3.0), ("ridge", 0.6)):
            llm = model.startswith("llm")
            table = predictions(
                labels, error=error, failed=2 * llm, sigma=llm, answers_class=llm and task == "atmosphere"
            )
            paths[model, size, "test"] = folder / "predictions" / task / model / size / "test.parquet"
            write_parquet(table, paths[model, size, "test"])
            models = folder / "models" / task / model / size
            write_json({"counts": {"train": 77}, "versions": {"torch": "9.9.9"}}, models / "manifest.json")
            if llm:
                write_json({"seconds": 90.0, "peak_memory_mb": 2048, "gpus": []}, models / "run.json")
                draw_predicted(table, folder / "figures" / f"predicted_{task}_{model}_{size}_test", task, labels)
        residuals = residual_table(paths, labels, task=task, replicates=20)
        write_table(residuals, folder / "tables" / f"residuals_{task}", task)
        write_table(headline_table(residuals), folder / "tables" / f"headline_{task}", task)
        sample = [
            {"obsid": i, "star_id": f"s{i // 2}", "class": CLASSES[i % 5], "split": split, "fold": 0}
            for i, split in enumerate(["train"] * 60 + ["val"] * 10 + ["test"] * 20)
        ]
        write_parquet(pa.Table.from_pylist(sample, schema=SAMPLE), folder / "samples" / task / f"{size}.parquet")
        write_json({"shortages": {"A": {"wanted": 50, "available": 18}}}, folder / "samples" / task / f"{size}.json")
    write_table(
        table_1(pa.table({"class": list(CLASSES), "c_fe": [1, 2, 3, 4, 5]})), folder / "tables" / "table_1", "1"
    )
    ids = np.arange(100)
    write_parquet(pa.table({"obsid": ids}), folder / "catalog" / "selected" / "60000-X.parquet")
    write_parquet(pa.table({"obsid": ids[3:]}), folder / "spectra" / "60000-X.parquet")
    thrown = [
        {"obsid": i, "reason": reason, "detail": "<script>alert(1)</script>"}
        for i, reason in enumerate(["no_good_pixel", "file_missing", "no_good_pixel"])
    ]
    write_parquet(pa.Table.from_pylist(thrown, schema=REJECTED), folder / "spectra" / "60000-X.rejected.parquet")
    (folder / "catalog" / "shards.txt").write_text("60000-X\n")
    timing = folder / "benchmarks" / "train_llm" / "atmosphere" / "demo.tsv"
    timing.parent.mkdir(parents=True)
    timing.write_text("s\th:m:s\tmax_rss\tcpu_time\n120.0\t0:02:00\t1024\t-\n")
    return folder


@pytest.fixture(scope="module")
def page(results, demo):
    build_report(inputs_of(demo, results), results / "report.html")
    return (results / "report.html").read_text()


class Reader(HTMLParser):
    """Text, addresses and unclosed tags of a page."""

    def __init__(self):
        super().__init__()
        self.words, self.addresses, self.open, self.hidden = [], [], [], 0

    def handle_starttag(self, tag, attributes):
        self.addresses += [value for name, value in attributes if name in ("src", "href")]
        if tag not in ("meta", "link", "img", "input", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.words.append(data)

    @property
    def text(self):
        return re.sub(r"\s+", " ", " ".join(self.words))


@pytest.fixture(scope="module")
def reader(page):
    made = Reader()
    made.feed(page)
    assert made.open == []
    return made


def test_nothing_is_fetched(page, reader):
    assert reader.addresses and all(address.startswith(("data:", "#")) for address in reader.addresses)
    assert "http://" not in page.replace("http://www.w3.org", "") and "url(" not in page


def test_the_same_inputs_give_the_same_bytes(page, results, demo, tmp_path):
    build_report(inputs_of(demo, results), tmp_path / "again.html")
    assert (tmp_path / "again.html").read_text() == page


def test_the_headline_comes_first_and_says_what_it_is(reader):
    text = reader.text
    assert (
        text.index("Mock data.")
        < text.index("llm-demo learnt Teff, log g, [Fe/H]")
        < text.index("By class Atmosphere")
    )
    assert "from 60 spectra of 30 stars (size demo)" in text
    assert "judged on 90 spectra of 60 stars (set test)" in text
    assert "3 of 270 values could not be read" in text
    assert "Against ridge, llm-demo has the smaller robust scatter for 0 of 3 labels" in text
    assert "In brackets: 95 % bootstrap interval over stars." in text


def test_rejections_samples_cost_and_settings_are_told(reader):
    text = reader.text
    assert "100 selected = 97 cleaned + 3 rejected" in text
    assert REJECTIONS["no_good_pixel"] in text and "0 (<script>alert(1)</script>)" in text
    assert "Fewer than wanted in atmosphere, size demo: A 18 of 50." in text
    assert "Without an uncertainty: class-mean, ridge." in text
    assert "train_llm" in text and "9.9.9" in text and "learning_rate: 0.003" in text


def test_ids_that_got_lost_raise_an_alarm(results, demo, tmp_path):
    copy = shutil.copytree(results, tmp_path / "results")
    write_parquet(pa.table({"obsid": np.arange(4, 101)}), copy / "spectra" / "60000-X.parquet")
    build_report(inputs_of(demo, copy), copy / "report.html")
    assert re.search(r'class="alarm">Ids are NOT conserved in 1 shard', (copy / "report.html").read_text())


def test_a_missing_input_is_named(results, demo, tmp_path):
    copy = shutil.copytree(results, tmp_path / "results")
    (copy / "tables" / "headline_atmosphere.csv").unlink()
    with pytest.raises(StarglotError, match=r"headline_atmosphere\.csv"):
        build_report(inputs_of(demo, copy), copy / "report.html")


def test_real_data_are_not_called_a_mock(results, demo, tmp_path):
    real = demo.model_copy(update={"mock": None})
    build_report(inputs_of(real, results), tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    assert "Mock data" not in text and "how well the catalogue's own labels are reproduced" in text


_USE = """
const errors = []; window.addEventListener("error", (event) => errors.push(event.message));
window.addEventListener("load", () => {
  const box = document.getElementById("residuals-atmosphere");
  const shown = () => [...box.querySelector("tbody").rows].filter((row) => !row.hidden);
  const all = shown().length;
  box.querySelector("input").value = "ridge Teff";
  box.querySelector("input").dispatchEvent(new Event("input"));
  const words = shown().length;
  const choice = [...box.querySelectorAll("select")].find((s) => s.getAttribute("aria-label") === "class");
  choice.value = "K"; choice.dispatchEvent(new Event("change"));
  const chosen = shown().length;
  box.querySelector("input").value = ""; choice.value = ""; choice.dispatchEvent(new Event("change"));
  const headings = [...box.querySelectorAll("th")];
  const column = headings.findIndex((h) => h.textContent.trim() === "std");
  const order = () => [...box.querySelector("tbody").rows].map((r) => parseFloat(r.cells[column].dataset.v));
  headings[column].querySelector("button").click(); const up = order();
  headings[column].querySelector("button").click(); const down = order();
  const sorted = up.every((v, i) => i === 0 || v >= up[i - 1]) && down.every((v, i) => i === 0 || v <= down[i - 1]);
  document.querySelector("figure button").click();
  const zoomed = document.getElementById("zoom").open;
  document.getElementById("zoom").click();
  const closed = !document.getElementById("zoom").open;
  const images = [...document.querySelectorAll("figure img")].every((i) => i.complete && i.naturalWidth > 0);
  const wide = document.documentElement.scrollWidth > document.documentElement.clientWidth;
  const seen = [all, words, chosen, sorted, zoomed, closed, images, wide, errors, innerWidth];
  parent.postMessage(JSON.stringify(seen), "*");
});
"""


@pytest.mark.skipif(BROWSER is None, reason="no chromium on this machine")
@pytest.mark.parametrize("width", [390, 1280])
def test_it_works_in_a_browser(page, tmp_path, width):
    """Filter, sort and zoom are used; nothing fails, and the page is no wider than its window."""
    (tmp_path / "used.html").write_text(page.replace("<head>", f"<head><script>{_USE}</script>", 1))
    # A frame may be narrower than the narrowest window of the browser.
    frame = f'<iframe src="used.html" style="width: {width}px; height: 800px; border: 0"></iframe>'
    listen = 'addEventListener("message", (event) => { document.title = event.data; });'
    (tmp_path / "frame.html").write_text(f"<!doctype html><title></title><script>{listen}</script>{frame}")
    command = [
        str(BROWSER),
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        f"--user-data-dir={tmp_path / 'profile'}",
        "--window-size=1400,900",
        "--virtual-time-budget=5000",
        "--dump-dom",
        (tmp_path / "frame.html").as_uri(),
    ]
    dom = subprocess.run(command, capture_output=True, text=True, timeout=120).stdout
    title = re.search(r"<title>(.*?)</title>", dom, re.DOTALL)
    assert title and title.group(1) == f"[54,6,1,true,true,true,true,false,[],{width}]"


def test_results_accepted_after_an_edit_are_shown(demo, results, tmp_path):
    record = Acceptance(
        target="models/atmosphere/llm-demo/demo/manifest.json",
        script="train_llm",
        wildcards={},
        kept="0123456789abcdef",
        given="fedcba9876543210",
        modules=("starglot.training.loop",),
        because="a name <changed>",
        date="2026-01-01",
    )
    inputs = dataclasses.replace(inputs_of(demo, results), accepted=[record])
    build_report(inputs, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    for part in ("0123456789abcdef", "fedcba9876543210", "starglot.training.loop", "a name &lt;changed&gt;"):
        assert part in page
