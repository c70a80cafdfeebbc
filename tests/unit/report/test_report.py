"""The report page: complete, offline, and true to its inputs."""

import base64
import dataclasses
import json
import re
import shutil
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from report_results import GRID, demo_config, spectrum

from refusals import refused
from starglot.evaluation.tables_io import write_table
from starglot.rejections import REJECTIONS
from starglot.report.build import build_report
from starglot.report.headline import standings, wins
from starglot.report.inputs import inputs_of
from starglot.report.plan import report_plan
from starglot.tables import write_parquet
from starglot.workflow.rebuilds.accepted import Acceptance


@pytest.fixture(scope="module")
def demo():
    return demo_config()


@pytest.fixture(scope="module")
def results(report_folder, tmp_path_factory):
    return shutil.copytree(report_folder, tmp_path_factory.mktemp("report") / "results")


@pytest.fixture(scope="module")
def page(results, demo):
    build_report(inputs_of(report_plan(demo, results), results), results / "report.html")
    return (results / "report.html").read_text()


def test_a_plan_keeps_its_order_as_sorted_json(results, demo, page, tmp_path):
    """As the rule hands it on: the tasks as `run:` names them, the configuration as it was written."""
    plan = json.loads(json.dumps(report_plan(demo, results), sort_keys=True))
    build_report(inputs_of(plan, results), tmp_path / "report.html")
    assert (tmp_path / "report.html").read_text() == page


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


def test_nothing_is_fetched(page, reader, results):
    """Addresses are data, places in the page, or files of the results folder that a reader may want."""
    beside = [address for address in reader.addresses if not address.startswith(("data:", "#"))]
    assert len(beside) < len(reader.addresses) and all((results / address).is_file() for address in beside)
    assert "http://" not in page.replace("http://www.w3.org", "") and "url(" not in page


def test_the_same_inputs_give_the_same_bytes(page, results, demo, tmp_path):
    build_report(inputs_of(report_plan(demo, results), results), tmp_path / "again.html")
    assert (tmp_path / "again.html").read_text() == page


def test_the_headline_comes_first_and_says_what_it_is(reader):
    text = reader.text
    assert (
        text.index("Mock data.")
        < text.index("llm-demo learnt Teff, log g, [Fe/H]")
        < text.index("Atmosphere (Teff, log g, [Fe/H]): robust scatter of prediction minus catalogue value")
        < text.index("Models compared How well")
    )
    assert "from 60 spectra of 30 stars (size demo)" in text
    assert "judged on 90 spectra of 60 stars (set test)" in text
    assert "3 of 270 values lack a usable answer" in text
    assert "In brackets: 95 % bootstrap interval over stars." in text


def test_the_headline_says_who_wins_each_label(results, reader):
    """Places by hand, from the predictions themselves."""
    scatters = {}
    for model in ("llm-demo", "class-mean", "ridge"):
        rows = pq.read_table(results / f"predictions/atmosphere/{model}/demo/test.parquet").to_pandas()
        rows = rows[(rows["status"] == "ok") & (rows["label"] == "logg")]
        residual = rows["value"] - rows["truth"]
        scatters[model] = 1.482602 * np.median(np.abs(residual - np.median(residual)))
    first, second, third = sorted(scatters, key=scatters.get)
    assert (first, second, third) == ("ridge", "llm-demo", "class-mean")
    said = re.search(r"log g: ([^.]*\.\d+ dex, R2 [^)]*\); .*?\))", reader.text)
    assert said and said.group(1).startswith(f"ridge is best (robust scatter {scatters['ridge']:.3f} dex, R2 ")
    wanted = f"the language model llm-demo is second of 3 ({scatters['llm-demo']:.3f} dex)"
    assert said.group(1).endswith(wanted)


def headline_of(*rows):
    """A headline table of one label: (model, robust scatter, its interval)."""
    frame = pd.DataFrame(rows, columns=["model", "robust", "robust_lo", "robust_hi"])
    return frame.assign(label="teff", size="demo", set="test", r2=0.5)


def test_a_lead_within_the_intervals_is_called_chance():
    clear = headline_of(("ridge", 100.0, 90.0, 110.0), ("cnn", 80.0, 70.0, 89.0), ("gru", 300.0, 250.0, 350.0))
    assert standings(clear, "demo", "test", []) == ["Teff: cnn is best (robust scatter 80.0 K, R2 0.500)."]
    close = headline_of(("ridge", 100.0, 85.0, 110.0), ("cnn", 80.0, 70.0, 89.0), ("gru", 300.0, 250.0, 350.0))
    assert standings(close, "demo", "test", [])[0].endswith("The lead over ridge may be chance: intervals overlap.")
    assert standings(clear.head(1), "demo", "test", []) == []  # nobody to win against
    assert standings(clear, "demo", "val", []) == []


def test_many_labels_are_counted_and_listed_one_by_one():
    one = headline_of(("reader", 0.3, 0.2, 0.4), ("cnn", 0.2, 0.1, 0.3), ("ridge", 0.1, 0.05, 0.2))
    two = one.assign(label="mg_fe", robust=[0.1, 0.2, 0.3])
    many = pd.concat([one, one.assign(label="ca_fe"), two])
    first, second = wins(many, "demo", "test", ["reader"])
    assert first == "ridge is best in 2 of 3 labels; reader in 1."
    assert second == "The language model reader is third of 3 models in the median label."


def test_the_page_says_what_made_it_and_when(results, demo, tmp_path):
    """Days are of the trainings, as they noted them: a page made again tomorrow is the same."""
    copy = shutil.copytree(results, tmp_path / "results")
    for day, model in (("2026-03-01T23:00:00+0000", "ridge"), ("2026-03-04T01:00:00+0000", "llm-demo")):
        (copy / "models/atmosphere" / model / "demo/run.json").write_text(json.dumps({"started": day}))
    inputs = dataclasses.replace(inputs_of(report_plan(demo, copy), copy), command="snakemake --cores 2 -- report")
    build_report(inputs, copy / "report.html")
    page = (copy / "report.html").read_text()
    head = page[: page.index("<nav")]
    for part in (
        "Starglot",
        "results/demo",
        "2026-03-01 to 2026-03-04",
        "<code>snakemake --cores 2 -- report</code>",
    ):
        assert part in head


def test_no_table_stands_twice(results, demo, tmp_path):
    """What a fuller table shows has no table of its own, and one size is not two tables of the paper."""
    copy = shutil.copytree(results, tmp_path / "results")
    ours = {
        "source": "this run",
        "task": "atmosphere",
        "size": "demo",
        "set": "test",
        "label": "teff",
        "class": "All",
    }
    statistics = {f"{name}{end}": 1.0 for name in ("mean", "std", "rmse") for end in ("", "_lo", "_hi")}
    rows = pd.DataFrame([{**ours, "model": "ridge", "n": 9, "n_stars": 9, "n_seen": 0, **statistics, "note": None}])
    calibration = pd.DataFrame({"model": ["llm-demo"], "label": ["teff"], "n": [90], "n_stars": [60], "crps": [1.0]})
    calibration = calibration.assign(coverage_68=0.7, n_val_stars=300)
    write_table(calibration, copy / "tables" / "calibration_atmosphere", "calibration")
    for other in ("demo", "more"):
        for number, size in ((3, "demo"), (4, other)):
            write_table(rows.assign(size=size, interval=0.95), copy / "tables" / f"table_{number}", "t")
        build_report(inputs_of(report_plan(demo, copy), copy), copy / "report.html")
        page = (copy / "report.html").read_text()
        assert 'id="table-3"' in page and ('id="table-4"' in page) == (other == "more")
        assert ("Table 4 is of the second size" in page) == (other == "demo")
        assert 'id="coverage-atmosphere"' not in page and 'id="coverage-abundances"' in page
    names = re.findall(r'class="table" id="([^"]+)"', page)
    assert len(names) == len(set(names))


def test_captions_name_the_labels(reader):
    assert "Predicted against catalogue value: Teff, log g, [Fe/H] (atmosphere), llm-demo" in reader.text
    assert "Predicted against catalogue value: 21 labels (abundances), llm-demo" in reader.text


def test_what_classes_state_stands_beside_what_is_right(page):
    """Every class of the made predictions is right, and stated with 0.9."""
    table = re.search(r'id="class-probability-atmosphere".*?</table>', page, re.S)[0]
    cells = re.findall(r"<td[^>]*>\s*(?:<[^>]*>)*([^<]*)", table)
    assert "0.9 to 0.95" in cells and "all" in cells
    assert {"0.900", "1.000"} <= set(cells)


def test_rejections_samples_cost_and_settings_are_told(reader):
    text = reader.text
    assert "100 selected = 97 cleaned + 3 rejected" in text
    assert REJECTIONS["no_good_pixel"] in text and "10007 (<script>alert(1)</script>)" in text
    assert "Fewer than wanted in atmosphere, size demo: A 18 of 50." in text
    assert "without an uncertainty: class-mean, ridge." in text
    assert "train_llm" in text and "9.9.9" in text and "learning_rate: 0.003" in text


def test_ids_that_got_lost_raise_an_alarm(results, demo, tmp_path):
    copy = shutil.copytree(results, tmp_path / "results")
    path = copy / "spectra" / "lamost" / "paper" / "60000-X.parquet"
    write_parquet(pq.read_table(path).slice(0, 96), path, {"wavelength": GRID})
    build_report(inputs_of(report_plan(demo, copy), copy), copy / "report.html")
    assert re.search(r'class="alarm">Ids are NOT conserved in 1 shard', (copy / "report.html").read_text())


def test_a_missing_input_is_named(results, demo, tmp_path):
    copy = shutil.copytree(results, tmp_path / "results")
    (copy / "tables" / "headline_atmosphere.csv").unlink()
    with refused(1, where=copy / "tables" / "headline_atmosphere.csv", todo="snakemake tables"):
        build_report(inputs_of(report_plan(demo, copy), copy), copy / "report.html")


def test_real_data_are_not_called_a_mock(results, demo, tmp_path):
    real = demo.model_copy(update={"mock": None})
    build_report(inputs_of(report_plan(real, results), results), tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    assert "Mock data" not in text and "how well the catalogue's own labels are reproduced" in text


def test_a_page_on_galaxies_names_no_star(results, demo, tmp_path):
    row = {"model": "fit", "label": "redshift", "n": 9, "n_unparsable": 0, "nmad": 0.00012, "interval": 0.95}
    write_table(pd.DataFrame([row | {"nmad_lo": 0.00008, "nmad_hi": 0.00016}]), tmp_path / "redshift_1", "Redshifts")
    shown = {"objects": "galaxies", "further": [tmp_path / "redshift_1.csv"], "figures": ()}
    build_report(dataclasses.replace(inputs_of(report_plan(demo, results), results), **shown), tmp_path / "page.html")
    reader = Reader()
    reader.feed((tmp_path / "page.html").read_text().partition('<section id="settings">')[0])
    assert not re.findall(r"(?i)[^.]*\b(?:stars?|stellar)\b[^.]*", reader.text)
    assert "Labels of galaxies read" in reader.text and "all visits of a galaxy are in one" in reader.text
    assert "0.0001 [0.0001, 0.0002]" in reader.text


def test_a_redshift_is_told_in_digits_that_show_it():
    headline = headline_of(("fit", 0.00012, 0.00008, 0.00016), ("net", 0.0031, 0.0028, 0.0036))
    (said,) = standings(headline.assign(label="redshift"), "demo", "test", ["net"])
    assert "robust scatter 0.0001" in said and "(0.0031)" in said


def test_the_main_table_is_the_robust_scatter_of_the_predictions(results, reader):
    """1.4826 MAD by hand, for the one model that answered all."""
    rows = pq.read_table(results / "predictions/atmosphere/ridge/demo/test.parquet").to_pandas()
    residual = (rows["value"] - rows["truth"])[rows["label"] == "teff"]
    wanted = 1.482602 * np.median(np.abs(residual - np.median(residual)))
    row = re.search(r"Teff \(K\) 89 to 90 (.*?) log g", reader.text)
    assert row and f"{wanted:.1f} [" in row.group(1)


def test_the_worst_spectra_travel_with_the_page(results, page):
    """Which star is worst, its numbers and its flux, from the files themselves."""
    data = json.loads(re.findall(r'<script type="application/json">(.*?)</script>', page)[0])
    rows = pq.read_table(results / "predictions/atmosphere/llm-demo/demo/test.parquet").to_pandas()
    rows = rows[rows["status"] == "ok"].assign(residual=rows["value"] - rows["truth"])
    scatter = rows.groupby("label")["residual"].transform(lambda r: 1.482602 * np.median(np.abs(r - np.median(r))))
    worst = rows.loc[(rows["residual"] / scatter).abs().idxmax()]
    first = data["worst"][0]
    assert data["obsids"][first["at"]] == str(worst["obsid"]) and first["snr"] == 10.0 + worst["obsid"] % 7
    label = next(it for it in data["labels"] if it["name"] == worst["label"])
    at = label["at"].index(first["at"])
    assert label["value"][at] == pytest.approx(worst["value"], abs=0.05)
    assert label["truth"][at] == pytest.approx(worst["truth"], abs=0.05)
    steps = np.frombuffer(base64.b64decode(first["flux"]), np.uint8) / 255
    flux = first["low"] + steps * (first["high"] - first["low"])
    assert flux == pytest.approx(spectrum([worst["obsid"]])[0] / 1000, abs=0.002)
    assert data["grid"] == {"start": GRID["start"], "stop": GRID["stop"], "log": False} and len(data["worst"]) == 40


def test_many_spectra_are_thinned_and_the_page_says_so(results, demo, monkeypatch, tmp_path):
    monkeypatch.setattr("starglot.report.outliers._POINTS", 20)
    monkeypatch.setattr("starglot.report.outliers._SPECTRA", 3)
    build_report(inputs_of(report_plan(demo, results), results), tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    data = json.loads(re.findall(r'<script type="application/json">(.*?)</script>', page)[0])
    for label in data["labels"]:
        assert 20 <= len(label["at"]) <= 23 and label["of"] == 89
        assert {star["at"] for star in data["worst"]} <= set(label["at"])
    assert "up to 20 points a label" in page


def test_figures_take_a_fraction_of_their_files(results, page):
    found = re.findall(r"data:image/webp;base64,([^\"]*)", page)
    files = [path.stat().st_size for path in (results / "figures").glob("*.png")]
    assert len(found) == len(files) and sum(map(len, found)) < sum(files) / 2


SECTIONS = {"scaling": "Scaling", "degradation": "Changed spectra", "transfer": "Transfer"}


def test_what_is_made_on_request_has_a_place_when_it_is_there(results, demo, page, tmp_path):
    assert not any(f">{title}<" in page for title in SECTIONS.values())
    copy = shutil.copytree(results, tmp_path / "results")
    tables = {"scaling": "scaling_atmosphere", "degradation": "degradation_atmosphere", "transfer": "transfer_1"}
    figures = {**tables, "transfer": "strategies_atmosphere"}
    for kind in SECTIONS:
        frame = pd.DataFrame({"model": ["ridge"], "label": ["teff"], "n": [90], "robust": [123.4]})
        write_table(frame, copy / "tables" / tables[kind], kind)
        shutil.copy(next((copy / "figures").glob("*.png")), copy / "figures" / f"{figures[kind]}.png")
    build_report(inputs_of(report_plan(demo, copy), copy), copy / "report.html")
    text = (copy / "report.html").read_text()
    for kind, title in SECTIONS.items():
        assert f'<a href="#{kind}">{title}</a>' in text and f'id="{tables[kind].replace("_", "-")}"' in text
        assert f"figures/{figures[kind]}.png" in text


def test_results_accepted_after_an_edit_are_shown(demo, results, tmp_path):
    record = Acceptance(
        target="models/atmosphere/llm-demo/demo/manifest.json",
        script="train_llm",
        wildcards={},
        kept="0123456789abcdef",
        given="fedcba9876543210",
        definitions=("starglot.training.loop:run",),
        because="a name <changed>",
        date="2026-01-01",
    )
    inputs = dataclasses.replace(inputs_of(report_plan(demo, results), results), accepted=[record])
    build_report(inputs, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    for part in ("0123456789abcdef", "fedcba9876543210", "starglot.training.loop", "a name &lt;changed&gt;"):
        assert part in page


def test_too_few_stars_and_wild_uncertainties_stand_on_top(results, demo, page, tmp_path):
    assert "Caution:" not in page
    changed = shutil.copytree(results, tmp_path / "results")
    path = changed / "samples/atmosphere/demo.json"
    splits = {"train": {"spectra": 18, "stars": 9}, "val": {"spectra": 2, "stars": 1}}
    path.write_text(json.dumps(json.loads(path.read_text()) | {"splits": splits}))
    wild = {"labels": {"teff": {"scales": {"all": {"scale": 887.0, "floor": 0.0, "n": 31}}}}, "notes": []}
    (changed / "predictions/atmosphere/llm-demo/demo/test.calibration.json").write_text(json.dumps(wild))
    build_report(inputs_of(report_plan(demo, changed), changed), tmp_path / "report.html")
    top = (tmp_path / "report.html").read_text().partition('<section id="models">')[0]
    cautions = re.findall(r"Caution:</strong> ([^<]*)<", top)
    assert len(cautions) == 3
    assert "18 training spectra of 9 stars" in cautions[0] and "887" in cautions[2]
