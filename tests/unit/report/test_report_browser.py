"""The report page in a real browser: used by mouse and keyboard, wide and narrow, without a network."""

import pytest
from browser import BROWSER, browser
from report_results import demo_config

from starglot.report.build import build_report
from starglot.report.inputs import inputs_of
from starglot.report.plan import report_plan

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
    build_report(inputs_of(report_plan(demo_config(), report_folder), report_folder), out)
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


def test_links_of_the_contents_land_on_their_sections(tab, page):
    """Past long tables, too; the last section may stand at the end of the page, where nothing scrolls further."""
    places = "[document.querySelector(a.hash).getBoundingClientRect().top, innerHeight + scrollY]"
    links = "[...document.querySelectorAll('nav a')]"
    end = tab.js("document.documentElement.scrollHeight")
    landed = []
    for i in range(tab.js(f"{links}.length")):
        tab.open(page, width=1280)
        tab.click(f"{links}[{i}]")
        # Still for most of a second: on a busy machine a smooth scroll pauses now and then.
        tab.js(
            "new Promise((done) => { let last = -1, same = 0; const still = () => {"
            " same = scrollY === last ? same + 1 : 0; last = scrollY;"
            " if (same > 4) done(); else setTimeout(still, 150); }; setTimeout(still, 150); })"
        )
        top, bottom = tab.js(f"(() => {{ const a = {links}[{i}]; return {places}; }})()")
        landed.append(abs(top - 16) <= 4 or bottom >= end - 2)
    assert len(landed) >= 7 and all(landed)


def test_a_table_says_what_is_out_of_sight(tab):
    """The words against a count of the rows whose box lies inside the window's."""
    pane = f"{TABLE}.querySelector('.pane')"
    more = f"{TABLE}.querySelector('.more')"
    inside = (
        f"(() => {{ const box = {pane}.querySelector('.scroll').getBoundingClientRect();"
        f" const head = {pane}.querySelector('thead').rows[0].cells[0].getBoundingClientRect().bottom;"
        f" return {ROWS}.filter((row) => {{ const it = row.cells[0].getBoundingClientRect();"
        " return it.top >= head - 2 && it.bottom <= box.bottom + 2; }).length; })()"
    )
    frame = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
    shown = tab.js(inside)
    assert 5 < shown < 54
    assert f"{shown} of 54 rows" in tab.js(f"{more}.textContent") and not tab.js(f"{more}.hidden")
    assert tab.js(f"{pane}.classList.contains('below')")
    tab.js(f"{pane}.querySelector('.scroll').scrollTop = 1e6; {frame}")
    assert not tab.js(f"{pane}.classList.contains('below')")
    tab.click(f"{more}.querySelector('button')")
    tab.js(frame)
    assert tab.js(inside) == 54 and "of 54 rows" not in tab.js(f"{more}.textContent")
    tab.click(f"{more}.querySelector('button')")
    tab.js(frame)
    assert "of 54 rows" in tab.js(f"{more}.textContent")
    tab.click(f"{TABLE}.querySelector('input')")
    tab.type("ridge teff")
    tab.js(frame)
    assert "rows" not in tab.js(f"{more}.textContent"), "six rows are all in sight"
    small = "[...document.querySelectorAll('#main-atmosphere .more')][0].hidden"
    assert tab.js(small), "a table that fits says nothing"


def test_columns_that_a_phone_leaves_out_can_be_had(tab, page):
    tab.open(page, width=375, height=700)
    box = "document.getElementById('headline-atmosphere')"
    widths = f"[...{box}.querySelectorAll('th')].filter((it) => it.offsetWidth).length"
    before, every = tab.js(widths), tab.js(f"{box}.querySelectorAll('th').length")
    assert before < every and f"of {every} columns" in tab.js(f"{box}.querySelector('.more').textContent")
    tab.click(f"{box}.querySelector('.more button')")
    assert tab.js(widths) == every


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
