"""Figures: written whole, the same bytes each time, and honest about what is not in them."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread
from prediction_tables import predictions, with_rows

from refusals import refused
from starglot.labels import ABUNDANCE_NAMES, ATMOSPHERE_NAMES, CLASSES
from starglot.plots.kiel import draw_kiel
from starglot.plots.points import points
from starglot.plots.predicted import draw_predicted
from starglot.plots.style import CLASS_MARKS
from starglot.plots.training import draw_curve, draw_loss


def drawn(stem):
    """Shape of the PNG and text of the SVG, after a look at both."""
    pixels = imread(stem.with_name(f"{stem.name}.png"))
    assert np.ptp(pixels[..., :3]) > 0.9
    svg = stem.with_name(f"{stem.name}.svg").read_text()
    assert svg.rstrip().endswith("</svg>") and "<dc:date>" not in svg
    return pixels.shape, svg


def test_a_few_labels_have_residual_panels(tmp_path):
    draw_predicted(predictions(ATMOSPHERE_NAMES, failed=2), tmp_path / "a_1.5e6_test", "title", ATMOSPHERE_NAMES)
    shape, svg = drawn(tmp_path / "a_1.5e6_test")
    assert shape[1] > shape[0] and svg.count('id="axes_') == 6


def test_many_labels_are_a_grid(tmp_path):
    labels = ABUNDANCE_NAMES[:7]
    draw_predicted(predictions(labels, stars=10), tmp_path / "b", "title", labels)
    assert drawn(tmp_path / "b")[1].count('id="axes_') == 7


def test_many_points_are_a_density(tmp_path):
    draw_predicted(predictions(("teff",), stars=2200), tmp_path / "c", "title", ("teff",))
    assert drawn(tmp_path / "c")[1].count('id="axes_') == 3  # a colour bar beside the two panels


def test_the_same_input_gives_the_same_bytes_in_another_process(tmp_path):
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from pathlib import Path\n"
        "from prediction_tables import predictions; from starglot.plots.predicted import draw_predicted\n"
        "draw_predicted(predictions(('teff',)), Path(sys.argv[2]), 'title', ('teff',))"
    )
    folder = str(Path(__file__).parents[1])
    subprocess.run([sys.executable, "-c", code, folder, str(tmp_path / "one")], check=True)
    draw_predicted(predictions(("teff",)), tmp_path / "two", "title", ("teff",))
    digests = set()
    for name in ("one", "two"):
        files = [(tmp_path / f"{name}.{ending}").read_bytes() for ending in ("png", "svg")]
        digests.add(tuple(hashlib.sha256(data).hexdigest() for data in files))
    assert len(digests) == 1


def test_what_cannot_be_drawn_is_counted_not_drawn():
    table = with_rows(
        predictions(("teff",), stars=10, visits=1, failed=1),
        truth={3: None},
        value={4: np.nan, 5: np.inf},
        status={6: "out_of_range"},
    )
    found = points(table, "teff")
    assert len(found) == 5 and found.left_out == 4  # a missing truth leaves nothing to compare


def test_one_point_and_no_point(tmp_path):
    table = predictions(("teff", "logg"), stars=1, visits=1)
    draw_predicted(table, tmp_path / "one", "title", ("teff", "feh"))
    drawn(tmp_path / "one")
    for labels in (("teff",), ABUNDANCE_NAMES[:5]):
        draw_predicted(predictions(labels, stars=2, failed=9), tmp_path / "none", "title", labels)
        assert "no spectrum with" in drawn(tmp_path / "none")[1]


def test_kiel(tmp_path):
    table = predictions(ATMOSPHERE_NAMES)
    draw_kiel(with_rows(table, truth={2: None}), tmp_path / "kiel", "title")  # a star without [Fe/H]
    drawn(tmp_path / "kiel")
    draw_kiel(predictions(("mg_fe",)), tmp_path / "none", "title")
    assert "no spectrum has Teff and log g" in drawn(tmp_path / "none")[1]


def test_loss(tmp_path):
    losses = tmp_path / "loss.csv"
    losses.write_text("step,loss,learning_rate\n" + "".join(f"{i},{5 / (i + 1)},0.1\n" for i in range(60)))
    draw_loss(losses, tmp_path / "loss", "title", 0.4)
    assert "nats" in drawn(tmp_path / "loss")[1]
    draw_loss(losses, tmp_path / "sum", "title", 0.4, kind="patch_llm")
    assert "nats" not in drawn(tmp_path / "sum")[1], "a sum over an answer's parts"
    losses.write_text("step,loss\n1,nan\n")
    with refused(where=losses):
        draw_loss(losses, tmp_path / "none", "title")
    losses.write_text("step,learning_rate\n1,0.1\n")
    with refused("loss", where=losses, allowed="loss"):
        draw_loss(losses, tmp_path / "none", "title")


def test_a_network_has_a_curve_by_epoch(tmp_path):
    losses = tmp_path / "loss.csv"
    rows = [f"{10 * e},{e},{50 / e},0.001,{60 / e + e}" for e in range(1, 13)]
    losses.write_text("step,epoch,loss,learning_rate,val_loss\n" + "\n".join(rows) + "\n")
    draw_curve(losses, tmp_path / "loss", "cnn")
    drawn(tmp_path / "loss")
    losses.write_text("step,epoch,loss\n10,1,0.5\n")
    with refused("val_loss", where=losses, allowed="val_loss"):
        draw_curve(losses, tmp_path / "none", "cnn")
    losses.write_text("step,loss\n10,0.5\n20,0.4\n")
    draw_curve(losses, tmp_path / "steps", "llm", 0.4)
    drawn(tmp_path / "steps")


def test_classes_are_told_apart_in_grey():
    def lightness(colour):
        red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
        return 0.2126 * red**2.2 + 0.7152 * green**2.2 + 0.0722 * blue**2.2

    grey = sorted(116 * lightness(CLASS_MARKS[letter].colour) ** (1 / 3) - 16 for letter in CLASSES)
    assert min(np.diff(grey)) > 10
    assert len({mark.marker for mark in CLASS_MARKS.values()}) == len(CLASSES)


#: Settings of users: what astronomers set, what is faulty, what is no UTF-8.
OWN = (
    "text.usetex: True\nfont.family: serif\nmathtext.fontset: cm\nfont.size: 14\nlines.linewidth: 4\n"
    "axes.facecolor: black\nxtick.major.size: 9\naxes.prop_cycle: cycler('color', ['r'])\nfigure.autolayout: True\n"
    "savefig.bbox: tight\nsavefig.transparent: True\nsvg.fonttype: none\nbackend: TkAgg\ninteractive: True\n"
)
FAULTY, NO_UTF_8 = "nonsense: 1\ntext.usetex: perhaps\n", "# \xe9\n"


@pytest.mark.slow
def test_a_figure_is_the_same_for_everybody(tmp_path):
    """Whatever stands in the user's matplotlibrc, in one of the working folder, and in MPLBACKEND."""
    code = "from pathlib import Path; from starglot.plots.training import draw_curve\n"
    code += "draw_curve(Path('loss.csv'), Path('curve'), 'llm-demo, 1e5_x', 1.7)"
    home, seen = tmp_path / "home", set()
    home.mkdir()
    for number, (user, here, backend) in enumerate(
        (
            ("", "", ""),
            (OWN, "", "TkAgg"),
            ("", OWN, ""),
            (FAULTY, "", "nonsense"),
            (NO_UTF_8, "", "module://nowhere"),
        )
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "loss.csv").write_text("step,loss\n1,3.0\n2,2.0\n3,1.5\n")
        if here:
            (folder / "matplotlibrc").write_text(here)
        (home / "matplotlibrc").write_bytes(user.encode("latin-1"))
        environment = {**os.environ, "MPLCONFIGDIR": str(home), "MATPLOTLIBRC": str(home)}
        environment |= {"MPLBACKEND": backend} if backend else {}
        subprocess.run([sys.executable, "-c", code], env=environment, check=True, cwd=folder)
        seen.add((folder / "curve.png").read_bytes() + (folder / "curve.svg").read_bytes())
    assert len(seen) == 1
