"""The page in Chromium: it draws, asks for nothing, and does what it says when it is used."""

import json
import pathlib
import shutil

import numpy as np
import pytest
from selenium.webdriver import ActionChains
from selenium.webdriver.common.actions.action_builder import ActionBuilder
from selenium.webdriver.common.keys import Keys

from dysr_jax import write_report
from dysr_jax.model.names import arch_name
from dysr_jax.report.rundata import read_run

from .conftest import STEADY, Page

pytestmark = pytest.mark.browser

PLOTS = (
    "front",
    "measured",
    "growth",
    "clock",
    "training",
    "latency",
    "bytes",
    "sharing",
    "switch",
    "steady",
)


@pytest.fixture(scope="module")
def data(tiny_run):
    return read_run(tiny_run.path)


@pytest.fixture(scope="module")
def opened(driver, report):
    """The page, for all tests that leave it as it was; those with another window come last."""
    return Page(driver, report).open()


@pytest.fixture
def page(opened):
    yield opened
    opened.reset()


def spot(page, plot, x, y):
    """Where a point of a plot lies in the window, after it was scrolled there."""
    node = page.by_id(plot)
    page.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", node)
    return page.js(
        "(() => { const node = arguments[0], box = node.getBoundingClientRect();"
        "const { xaxis, yaxis } = node._fullLayout;"
        "return [box.left + xaxis._offset + xaxis.d2p(arguments[1]),"
        " box.top + yaxis._offset + yaxis.d2p(arguments[2])] })()",
        node,
        x,
        y,
    )


def move(page, place):
    mouse = ActionBuilder(page.driver)
    mouse.pointer_action.move_to_location(*map(round, place))
    mouse.perform()
    return mouse


def click(page, place):
    mouse = move(page, place)
    mouse.pointer_action.click()
    mouse.perform()


def branches(page):
    return page.js("[...document.querySelectorAll('#selected .branch')].map(cell => cell.textContent)")


def names_of(data, arch):
    return [names[index] for names, index in zip(data.space.genes, arch, strict=True)]


def test_everything_is_drawn_and_nothing_is_asked_for(page):
    for name in PLOTS:
        assert page.js("document.querySelectorAll(arguments[0]).length", f"#{name}-plot .main-svg")
        assert page.js("document.getElementById(arguments[0]).ariaLabel", f"{name}-plot")
    assert page.js("document.querySelectorAll('main > section[hidden]').length") == 0
    assert page.errors() == []
    assert [url for url in page.requests() if not url.startswith(("blob:null/", "data:"))] == []
    assert page.js("performance.getEntriesByType('resource').filter(e => /^http/.test(e.name)).length") == 0
    titles = page.js("[...document.querySelectorAll('.modebar-btn')].map(b => b.dataset.title)")
    assert titles and not [title for title in titles if "hare" in title or "loud" in title]


def test_hovering_names_the_candidate(page, data):
    found = data.candidates
    row = int(found.front[0])
    place = spot(page, "front-plot", found.latency_ms[row], found.psnr_y[row])
    move(page, place)
    label = page.wait("document.querySelector('#front-plot .hovertext')?.textContent")
    assert arch_name(data.space, tuple(found.genes[row].tolist())) in label.replace("\n", "")
    assert f"{found.psnr_y[row]:.2f} dB" in label
    assert f"generation {found.generation[row] + 1}" in label


def test_a_click_selects(page, data):
    found = data.candidates
    row = int(found.front[-1])
    arch = tuple(found.genes[row].tolist())
    click(page, spot(page, "front-plot", found.latency_ms[row], found.psnr_y[row]))
    page.wait("document.querySelectorAll('#selected .branch').length")
    assert page.text("selected-title") == arch_name(data.space, arch)
    assert branches(page) == names_of(data, arch)
    said = page.text("selected-body")
    assert f"{found.psnr_y[row]:.2f} dB" in said
    assert f"on the front, {len(found.front)} of {len(found.front)}" in said
    assert page.by_id("better").get_attribute("disabled")


def test_a_walk_along_the_front_with_the_keyboard(page, data):
    found = data.candidates
    names = [arch_name(data.space, tuple(arch)) for arch in found.genes[found.front].tolist()]
    while not page.by_id("faster").get_attribute("disabled"):
        page.by_id("faster").send_keys(Keys.ENTER)
    walked = [page.text("selected-title")]
    while not page.by_id("better").get_attribute("disabled"):
        page.by_id("better").send_keys(Keys.ENTER)
        walked.append(page.text("selected-title"))
    assert walked == names
    assert page.js("document.getElementById('front-plot').layout.annotations.length") == 1


def test_the_members_are_a_table_that_selects(page, data):
    rows = page.driver.find_elements("css selector", "#members-table tbody tr")
    members = data.results.members
    assert len(rows) == len(members)
    before = None
    for row, member in zip(rows, members, strict=True):
        cells = row.find_elements("css selector", ".branch")
        assert [cell.get_attribute("textContent") for cell in cells] == names_of(data, member.arch)
        changed = ["changed" in cell.get_attribute("class") for cell in cells]
        old = before.arch if before else member.arch
        assert changed == [a != b for a, b in zip(old, member.arch, strict=True)]
        assert f"{member.psnr_y:.2f}" in row.get_attribute("textContent")
        before = member
    rows[-1].find_element("tag name", "button").send_keys(Keys.SPACE)
    assert page.text("selected-title") == members[-1].name
    assert "chosen" in rows[-1].get_attribute("class")


def test_the_slider_goes_back_in_the_search(page, data):
    slider, found = page.by_id("generation"), data.candidates
    count = "document.getElementById('front-plot').data[0].x.length"
    assert page.js(count) == len(found.psnr_y)
    slider.send_keys(Keys.HOME)
    first = found.generation == 0
    page.wait(f"{count} === {first.sum()}")
    front = page.js("document.getElementById('front-plot').data[1].y")
    best = found.psnr_y[first].max()
    assert max(front) == pytest.approx(best)
    assert page.text("generation-shown") == f"1 of {found.generation.max() + 1}"


def now(page):
    return int(page.by_id("divider").get_attribute("aria-valuenow"))


def test_the_divider_is_dragged(page):
    frame = page.by_id("compare")
    page.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", frame)
    width = frame.size["width"]
    drag = ActionChains(page.driver).move_to_element(page.by_id("divider")).click_and_hold()
    drag.move_by_offset(round(width * 0.25), 0).release().perform()
    assert now(page) == pytest.approx(75, abs=1)
    move(page, (10, 10))
    assert now(page) == pytest.approx(75, abs=1)  # let go of
    clip = page.js("document.getElementById('left-image').style.clipPath")
    assert f"{100 - now(page)}%" in clip


def test_the_divider_is_moved_by_keys(page):
    divider = page.by_id("divider")
    assert divider.get_attribute("role") == "slider" and now(page) == 50
    for key, position in (
        (Keys.ARROW_RIGHT, 52),
        (Keys.ARROW_LEFT, 50),
        (Keys.PAGE_UP, 60),
        (Keys.END, 100),
        (Keys.ARROW_RIGHT, 100),
        (Keys.HOME, 0),
    ):
        divider.send_keys(key)
        assert now(page) == position
    assert "100 %" in divider.get_attribute("aria-valuetext")


def test_any_two_pictures_are_compared(page, data):
    kept = data.comparison
    for side in ("left", "right"):
        choice = page.by_id(f"{side}-picture")
        options = choice.find_elements("tag name", "option")
        assert len(options) == len(kept.pictures) >= 5
        for option, (name, picture) in zip(options, kept.pictures.items(), strict=True):
            option.click()
            page.wait(
                f"document.getElementById('{side}-image').complete && "
                f"document.getElementById('{side}-image').naturalWidth === {picture.shape[1]}"
            )
            assert name in page.text(f"{side}-label")
            if name in kept.psnr_y:
                assert f"{kept.psnr_y[name]:.2f} dB" in page.text(f"{side}-label")
    assert page.errors() == []


def test_the_stream_is_chosen(page):
    late = "document.getElementById('steady-plot').data[1].x.length"
    adapting, largest, *_ = json.loads(STEADY.read_text())["strategies"]
    assert 0 < adapting["late"] < largest["late"]
    assert page.js(late) == adapting["late"]
    page.by_id("stream").find_elements("tag name", "option")[1].click()
    page.wait(f"{late} === {largest['late']}")


def luminance(page, selector, what):
    rgb = page.js(f"getComputedStyle(document.querySelector('{selector}')).{what}")
    return np.mean([int(part) for part in rgb[rgb.index("(") + 1 : -1].split(",")[:3]])


def test_a_dark_page(driver, report):
    page = Page(driver, report)
    page.open(dark=True)
    paper = luminance(page, "body", "backgroundColor")
    assert paper < 60
    for ink in (("body", "color"), ("#front-plot .xtick text", "fill")):
        assert luminance(page, *ink) - paper > 120
    scheme = {"features": [{"name": "prefers-color-scheme", "value": "light"}]}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", scheme)  # while it is open
    page.wait(
        "getComputedStyle(document.querySelector('#front-plot .xtick text')).fill === 'rgb(28, 30, 33)'"
    )
    assert page.errors() == []


def test_the_time_of_the_search_is_stacked_by_part(page, data):
    laps = data.laps.generations()
    drawn = page.js(
        "document.getElementById('clock-plot').data.map(bar => [bar.name, [...bar.x], [...bar.y]])"
    )
    bars = {name: (x, y) for name, x, y in drawn}
    assert {"compile", "evaluate", "nsga2", "write"} <= set(bars)
    for name, (x, y) in bars.items():
        assert x == [lap.stage + 1 for lap in laps]
        assert y == pytest.approx([getattr(lap.seconds, name) for lap in laps])
    assert page.js("document.getElementById('clock-plot').layout.barmode") == "stack"
    assert sum(sum(y) for _, y in bars.values()) == pytest.approx(sum(lap.seconds.total for lap in laps))
    total = page.text("clock-note").split(" s by the wall clock")[0].replace(",", "")
    assert float(total) == pytest.approx(data.results.clock.total, rel=0.01)


def test_a_page_on_a_phone(driver, report):
    page = Page(driver, report).open(width=390, height=844, touch=True)
    assert page.js("document.documentElement.scrollWidth") <= 390
    assert page.js("getComputedStyle(document.body).fontSize") == "16px"
    driver.execute_script("document.querySelector('#left-picture option').text = 'r1-id-'.repeat(20)")
    assert page.js("document.documentElement.scrollWidth") <= 390
    for name in PLOTS:
        width = page.js("document.getElementById(arguments[0]).clientWidth", f"{name}-plot")
        assert 300 < width <= 390
    assert page.js("document.getElementById('front-plot').layout.dragmode") is False
    assert page.errors() == []


def test_an_interrupted_search_of_many_candidates(driver, long_run, tmp_path):
    page = Page(driver, write_report(long_run, tmp_path / "page.html")).open()
    assert page.js("document.getElementById('front-plot').data[0].type") == "scattergl"
    data = read_run(long_run)
    lines = page.js("[...document.querySelectorAll('#missing li')].map(line => line.textContent)")
    assert lines == data.missing and len(lines) == 7
    assert page.js("document.getElementById('clock').hidden")
    hidden = page.js("[...document.querySelectorAll('main > section[hidden]')].map(part => part.id)")
    assert set(hidden) == {
        "members", "images", "training", "latency", "memory", "switching", "steady"
    }  # fmt: skip
    assert "not finished" in page.text("subtitle")
    found = data.candidates
    row = int(found.front[3])
    click(page, spot(page, "front-plot", found.latency_ms[row], found.psnr_y[row]))
    page.wait("document.querySelectorAll('#selected .branch').length")
    assert branches(page) == names_of(data, found.genes[row])
    assert page.errors() == []


def test_a_search_over_widths(driver, elastic_run, tmp_path):
    """The width is a cell of its own, and the first part of a name."""
    path = pathlib.Path(write_report(elastic_run, tmp_path / "report.html"))
    page, data = Page(driver, path).open(), read_run(elastic_run)
    heads = page.js("[...document.querySelectorAll('#members-table thead th')].map(head => head.textContent)")
    assert heads[4:8] == ["00", "01", "up", "width"]
    rows = page.driver.find_elements("css selector", "#members-table tbody tr")
    for row, member in zip(rows, data.results.members, strict=True):
        cells = [cell.get_attribute("textContent") for cell in row.find_elements("css selector", ".branch")]
        assert cells == [names[i] for names, i in zip(data.space.genes, member.arch, strict=True)]
    changed = page.js(
        "[...document.querySelectorAll('#members-table tbody tr')].map(row => row.cells[10].textContent)"
    )
    assert changed == ["", "1", "all", "2"]
    rows[-1].find_element("tag name", "button").send_keys(Keys.SPACE)
    assert page.text("selected-title") == data.results.members[-1].name == "w8-c3-r1-u2"
    assert page.errors() == []


def test_the_ranks_of_a_surrogate_are_drawn(driver, report, guided_run, guided_taus, tmp_path):
    assert Page(driver, report).open().js("document.getElementById('surrogate').hidden")
    path = pathlib.Path(write_report(guided_run, tmp_path / "page.html"))
    page = Page(driver, path).open()
    assert not page.js("document.getElementById('surrogate').hidden")
    ((x, y),) = page.js(
        "document.getElementById('surrogate-plot').data.map(line => [[...line.x], [...line.y]])"
    )
    assert x == [generation + 1 for generation in guided_taus]
    assert y == pytest.approx([*guided_taus.values()])
    low, high = min(guided_taus.values()), max(guided_taus.values())
    assert f"It is {low:.2f} to {high:.2f}." in page.text("surrogate-note")
    bottom, top = page.js("document.getElementById('surrogate-plot').layout.yaxis.range")
    assert bottom < min(0, low) and top > 1
    assert page.errors() == []


def test_names_stay_text(driver, tiny_run, tmp_path):
    """A run that someone else made cannot run scripts in its report."""
    run = tmp_path / "<img src=x onerror=document.title='run'>"
    shutil.copytree(tiny_run.path, run, ignore=shutil.ignore_patterns("checkpoints"))
    index = run / "comparison" / "comparison.json"
    fields = json.loads(index.read_text())
    index.write_text(json.dumps({**fields, "image": "</script><script>document.title='x'</script>"}))
    page = Page(driver, write_report(run, tmp_path / "page.html")).open()
    assert page.js("document.title").startswith("DySR run <img")
    assert "</script>" in page.text("images-note")
    assert page.errors() == []
