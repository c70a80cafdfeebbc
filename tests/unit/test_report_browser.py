"""The report page in a real browser: used by mouse and keyboard, wide and narrow, without a network."""

import pytest
from browser import BROWSER, browser
from report_results import demo_config

from starglot.report.build import build_report
from starglot.report.inputs import inputs_of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="no chromium on this machine"),
]

TABLE = "document.getElementById('residuals-atmosphere')"
ROWS = f"[...{TABLE}.querySelector('tbody').rows].filter((row) => !row.hidden)"
EXPLORER = "document.getElementById('explorer-atmosphere')"


@pytest.fixture(scope="module")
def page(report_folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("page") / "report.html"
    build_report(inputs_of(demo_config(), report_folder), out)
    return out


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    with browser(tmp_path_factory.mktemp("profile")) as tab:
        yield tab


@pytest.fixture
def tab(chromium, page):
    """The page, open on a wide screen; whatever a test does, nothing may fail and nothing be fetched."""
    chromium.errors.clear()
    chromium.requests.clear()
    chromium.open(page, width=1280)
    yield chromium
    assert chromium.errors == []
    fetched = {address.split(",")[0] for address in chromium.requests}
    assert page.as_uri() in fetched
    assert {address for address in fetched if not address.startswith("data:")} == {page.as_uri()}


def test_tables_sort_by_number_and_back(tab):
    """std has values from under 1 to over 100: as text they would be in another order."""
    column = tab.js(f"[...{TABLE}.querySelectorAll('th')].findIndex((h) => h.textContent.trim() === 'std')")
    values = f"{ROWS}.map((row) => parseFloat(row.cells[{column}].textContent))"
    before, heading = tab.js(values), f"{TABLE}.querySelectorAll('th button')[{column}]"
    assert min(before) < 9 and max(before) > 100
    for wanted, said in ((sorted(before), "ascending"), (sorted(before)[::-1], "descending"), (before, "none")):
        tab.click(heading)
        assert tab.js(values) == wanted
        assert tab.js(f"{TABLE}.querySelectorAll('th')[{column}].getAttribute('aria-sort')") == said


def test_tables_filter_by_words_and_choices(tab):
    assert tab.js(f"{ROWS}.length") == 54
    tab.click(f"{TABLE}.querySelector('input')")
    tab.type("ridge teff")
    assert tab.js(f"{ROWS}.length") == 6
    assert set(tab.js(f"{ROWS}.map((row) => row.cells[0].textContent)")) == {"ridge"}
    choice = f"[...{TABLE}.querySelectorAll('select')].find((s) => s.getAttribute('aria-label') === 'class')"
    tab.js(f"(() => {{ const s = {choice}; s.value = 'K'; s.dispatchEvent(new Event('change')); }})()")
    assert tab.js(f"{ROWS}.length") == 1
    assert tab.js(f"{TABLE}.querySelector('output').textContent") == "1 of 54 rows"


def test_figures_open_large_and_close_with_escape(tab):
    assert tab.js("[...document.querySelectorAll('figure img')].every((it) => it.complete && it.naturalWidth > 400)")
    small = tab.js("document.querySelector('figure img').clientHeight")
    tab.click("document.querySelector('figure button')")
    assert tab.js("document.getElementById('zoom').open")
    assert tab.js("document.querySelector('#zoom img').clientHeight") > 1.5 * small
    first = tab.js("document.querySelector('#zoom .caption').textContent")
    tab.press("ArrowRight")
    assert tab.js("document.querySelector('#zoom .caption').textContent") != first
    tab.press("Escape")
    assert not tab.js("document.getElementById('zoom').open")


def chosen(tab):
    """obsid in the heading of the star's panel, and its first line of numbers."""
    title = tab.js(f"{EXPLORER}.querySelector('.star h4').textContent")
    return title, tab.js(f"[...{EXPLORER}.querySelectorAll('.values tbody tr')].map((row) => row.textContent)")


def test_a_click_on_an_outlier_shows_its_spectrum(tab):
    ring = f"[...{EXPLORER}.querySelectorAll('.ring')]"
    flux = f"{EXPLORER}.querySelector('.spectrum polyline').getAttribute('points')"
    before = tab.js(flux)
    # The ring that stands most alone: a click between two takes the nearer one.
    lone = (
        f"{ring}.map((a) => [Math.min(...{ring}.filter((b) => b !== a).map((b) => Math.hypot("
        "a.getAttribute('cx') - b.getAttribute('cx'), a.getAttribute('cy') - b.getAttribute('cy')))), a])"
        ".filter(([, a]) => !a.classList.contains('chosen')).sort((p, q) => q[0] - p[0])[0][1]"
    )
    obsid = tab.js(f"{lone}.dataset.obsid")
    tab.click(lone)
    title, lines = chosen(tab)
    assert title.startswith(f"obsid {obsid}, class ") and "S/N" in title
    assert len(lines) == 3 and lines[0].startswith("Teff (K)")
    assert tab.js(flux) != before and len(tab.js(flux).split()) == 491
    assert tab.js(f"{EXPLORER}.querySelector('.ring.chosen').dataset.obsid") == obsid


def test_the_worst_are_reached_by_keyboard(tab):
    row = f"{EXPLORER}.querySelectorAll('.table tbody tr')[3]"
    tab.js(f"{row}.querySelector('button').focus()")
    tab.press("Enter")
    title, _ = chosen(tab)
    assert title.startswith("obsid " + tab.js(f"{row}.cells[0].textContent") + ",")


def test_stars_without_a_spectrum_say_so(tab):
    dot = f"[...{EXPLORER}.querySelectorAll('.dot')]"
    rings = f"[...{EXPLORER}.querySelectorAll('.ring')]"
    far = (
        f"{dot}.map((a) => [Math.min(...{rings}.map((b) => Math.hypot("
        "a.getAttribute('cx') - b.getAttribute('cx'), a.getAttribute('cy') - b.getAttribute('cy')))), a])"
        ".sort((p, q) => q[0] - p[0])[0][1]"
    )
    tab.click(far)
    assert tab.js(f"{EXPLORER}.querySelector('.spectrum').hidden")
    assert not tab.js(f"{EXPLORER}.querySelector('.without').hidden")


@pytest.mark.parametrize("dark", [False, True])
def test_a_phone_scrolls_down_only(tab, page, dark):
    tab.open(page, width=375, height=700, dark=dark)
    tab.js("document.querySelectorAll('details').forEach((it) => { it.open = true; })")
    assert tab.js("[innerWidth, document.documentElement.scrollWidth]") == [375, 375]
    wide = "[...document.querySelectorAll('.table .scroll')].some((box) => box.scrollWidth > box.clientWidth)"
    assert tab.js(wide), "wide tables scroll inside their own box"
    tab.js("document.querySelector('figure button').click()")
    assert tab.js("document.querySelector('#zoom img').clientWidth") > 600, "a figure is as high as the screen"
    tab.press("Escape")
    tab.js("document.getElementById('settings').scrollIntoView({behavior: 'instant'})")
    assert abs(tab.js("document.querySelector('nav').getBoundingClientRect().top")) < 2, "the contents stay in sight"


def test_everything_has_a_name(tab):
    """What a screen reader says of fields, buttons, figures and tables, as the browser's own tree has it."""
    tree = tab.ask("Accessibility.getFullAXTree")["nodes"]
    named = {"image", "img", "textbox", "searchbox", "combobox", "button", "table", "region", "link", "dialog"}
    unnamed = [
        node["role"]["value"]
        for node in tree
        if not node.get("ignored") and node["role"]["value"] in named and not node.get("name", {}).get("value")
    ]
    assert len(tree) > 500 and unnamed == []
