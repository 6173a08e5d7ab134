"""The page of `dysr demo` in Chromium, from a file and without a network: its pixels, its controls."""

import base64
import io
import itertools
import math
import os
import pathlib
import re
import time

import numpy as np
import onnxruntime
import pytest
from PIL import Image
from selenium.webdriver import ActionChains
from selenium.webdriver.common.keys import Keys

from dysr_jax.aot import picture_model
from dysr_jax.apps import write_demo
from dysr_jax.bundle.bundle import make_bundle, make_member
from dysr_jax.model.programs import make_supernet
from dysr_jax.model.space import uniform_space

from ..browser import Page

pytestmark = pytest.mark.browser

SCALE = 2
ARCHS = [(0, 0, 0), (1, 2, 0), (3, 2, 1)]
SIZES = {"small": (30, 41), "wide": (20, 700)}
"""Rows and columns of pictures; the second one goes in tiles."""


@pytest.fixture(scope="module")
def bundle(noisy_params):
    space = uniform_space(slots=2, widths=4, scale=SCALE, branches=("id", "s3", "c3", "r1"))
    members = [make_member(space, arch, 30.0 + i, 1.0 + i) for i, arch in enumerate(ARCHS)]
    net = make_supernet(space, "float32")
    return make_bundle(noisy_params(space), members, net=net, frame=(6, 8), bicubic_psnr_y=29.0)


@pytest.fixture(scope="module")
def folder(bundle, tmp_path_factory):
    """The page and pictures to open."""
    runtime = os.environ.get("DYSR_ORT_WEB")
    if not runtime:
        pytest.skip("DYSR_ORT_WEB names no folder of the npm package onnxruntime-web")
    place = tmp_path_factory.mktemp("demo")
    write_demo(bundle, place / "out", runtime=runtime)
    write_demo(bundle, place / "cdn", members=["fastest"])
    for name, shape in SIZES.items():
        Image.fromarray(pixels(shape)).save(place / f"{name}.png")
    (place / "text.png").write_text("no picture")
    return place


def pixels(shape):
    return np.random.default_rng(shape[0]).integers(0, 256, (*shape, 3), np.uint8)


@pytest.fixture(scope="module")
def opened(driver, folder):
    """The page, with a note of every frame that the clip draws."""
    return Page(driver, folder / "out" / "index.html").open()


@pytest.fixture
def page(opened):
    """The page at rest, with the last member, and nothing said on the console."""
    yield opened
    if opened.text("play") == "Pause":
        opened.by_id("play").click()
        opened.wait("document.getElementById('play').textContent === 'Play'")
    assert opened.errors() == []


def put(page, name, value):
    """Move a slider as a user does."""
    page.driver.execute_script(
        "const node = document.getElementById(arguments[0]); node.value = arguments[1];"
        "node.dispatchEvent(new Event('input'));",
        name,
        value,
    )


def finished(page):
    page.wait("document.getElementById('progress').hidden && !document.getElementById('save').disabled")


def show(page, folder, name):
    page.js("document.getElementById('note').textContent = ''")
    page.by_id("file").send_keys(str(folder / f"{name}.png"))
    rows, columns = SIZES[name]
    page.wait(f"document.getElementById('note').textContent.startsWith('{columns}\u00d7{rows}')")
    finished(page)


def shown(page):
    """What the canvas of the member holds, `[s H, s W, 3]`."""
    columns, rows, text = page.js(
        "(() => { const { width, height } = document.getElementById('after');"
        "const draw = document.getElementById('after').getContext('2d');"
        "const { data } = draw.getImageData(0, 0, width, height);"
        "let text = ''; for (const value of data) text += String.fromCharCode(value);"
        "return [width, height, btoa(text)]; })()"
    )
    return np.frombuffer(base64.b64decode(text), np.uint8).reshape(rows, columns, 4)[:, :, :3].astype(int)


def expected(bundle, index, shape):
    """By onnxruntime, whole."""
    model = picture_model(bundle.space, bundle.params, ARCHS[index]).SerializeToString()
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    (output,) = session.run(None, {"input": np.moveaxis(pixels(shape), 2, 0)[None] / np.float32(255)})
    return np.rint(255 * np.moveaxis(output[0], 0, 2)).astype(int)


@pytest.mark.parametrize("name", SIZES)
def test_a_picture_has_the_pixels_of_the_member_that_the_slider_names(page, folder, bundle, name):
    show(page, folder, name)
    found = []
    for index in range(len(ARCHS)):
        put(page, "member", index)
        finished(page)
        found.append(shown(page))
        assert found[-1].shape == (SCALE * SIZES[name][0], SCALE * SIZES[name][1], 3)
        assert np.abs(found[-1] - expected(bundle, index, SIZES[name])).max() <= 1
        assert page.text("member-name") == bundle.members[index].name
        assert page.text("member-quality") == f"{30 + index}.00 dB"
    assert np.abs(found[0] - found[1]).max() > 10 and np.abs(found[1] - found[2]).max() > 10
    assert ("tiles" in page.text("note")) == (name == "wide")
    if name == "wide":  # without their overlap tiles would have other pixels
        page.js("(MODELS.members[2].was = MODELS.members[2].overlap, MODELS.members[2].overlap = 0)")
        put(page, "member", 2)
        finished(page)
        page.js("(MODELS.members[2].overlap = MODELS.members[2].was)")
        assert np.abs(shown(page) - found[2]).max() > 1


def handed(page, name, kind, event):
    """Drop or paste a file, as the browser tells a page of it."""
    page.driver.execute_script(
        "const [name, text, kind, event] = arguments, data = new DataTransfer();"
        "const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));"
        "data.items.add(new File([bytes], name, { type: 'image/png' }));"
        "const given = { bubbles: true, cancelable: true, dataTransfer: data, clipboardData: data };"
        "document.body.dispatchEvent(new globalThis[kind](event, given));",
        name.name,
        base64.b64encode(name.read_bytes()).decode(),
        kind,
        event,
    )


@pytest.mark.parametrize(("kind", "event"), [("DragEvent", "drop"), ("ClipboardEvent", "paste")])
def test_a_picture_is_dropped_or_pasted(page, folder, bundle, kind, event):
    show(page, folder, "wide")
    put(page, "member", 0)
    finished(page)
    handed(page, folder / "small.png", kind, event)
    page.wait(f"document.getElementById('before').width === {SIZES['small'][1]}")
    finished(page)
    assert np.abs(shown(page) - expected(bundle, 0, SIZES["small"])).max() <= 1


def read(page, picture, places):
    """Size and values that the page takes of a picture, at these (column, row)."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG", compress_level=1)
    return page.driver.execute_async_script(
        "const [text, places, done] = arguments;"
        "const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));"
        "readPicture(new Blob([bytes])).then(({ width, height, data, cutFrom }) => {"
        "const pixel = ([x, y]) => [...data.slice(4 * (y * width + x), 4 * (y * width + x) + 4)];"
        "done([[width, height], cutFrom, places.map(pixel)]); });",
        base64.b64encode(file.getvalue()).decode(),
        places,
    )


def test_what_is_transparent_becomes_white(page):
    picture = np.zeros((2, 3, 4), np.uint8)
    picture[0, 0] = 10, 20, 30, 255
    size, cut, values = read(page, picture, [(0, 0), (1, 1)])
    assert (size, cut, values) == ([3, 2], None, [[10, 20, 30, 255], [255, 255, 255, 255]])


def test_of_what_is_too_large_the_middle_is_taken(page):
    picture = np.zeros((3400, 5000, 3), np.uint8)
    picture[1700:, 2500:] = 255
    (width, height), cut, _ = read(page, picture, [])
    assert re.findall(r"\d+", cut) == ["5000", "3400"] and 0.98 * 2**24 < width * height <= 2**24
    assert abs(width / height - 5000 / 3400) < 1e-3
    x, y = 2500 - math.floor((5000 - width) / 2), 1700 - math.floor((3400 - height) / 2)
    _, _, values = read(page, picture, [(x, y), (x - 1, y), (x, y - 1)])
    assert [value[0] for value in values] == [255, 0, 0]


def test_the_keyboard_moves_the_member_and_the_divider(page, folder):
    show(page, folder, "small")
    page.by_id("member").send_keys(Keys.HOME)
    assert page.text("after-label") == f"member 1 of {len(ARCHS)}"
    page.by_id("member").send_keys(Keys.ARROW_RIGHT)
    assert page.text("after-label") == f"member 2 of {len(ARCHS)}"
    at = "document.getElementById('compare').style.getPropertyValue('--at')"
    page.by_id("divider").send_keys(Keys.HOME)
    assert page.js(at) == "0%"
    page.by_id("divider").send_keys(Keys.ARROW_RIGHT)
    assert page.js(at) == "0.5%"
    finished(page)


def test_actual_pixels_scroll_below_the_divider(page, folder):
    show(page, folder, "wide")
    box = "document.getElementById(arguments[0]).getBoundingClientRect().width"
    seen, whole = page.js(box, "compare"), SCALE * SIZES["wide"][1]
    assert page.js(box, "sheet") == pytest.approx(seen) and seen < whole
    page.by_id("actual").click()
    assert page.js(box, "sheet") == pytest.approx(whole)
    put(page, "divider", 50)
    cut = "parseFloat(document.getElementById('compare').style.getPropertyValue('--cut'))"
    page.js("document.getElementById('scroll').scrollTo(0, 0)")
    page.wait(f"Math.abs({cut} - {seen / 2}) < 2")
    mouse = ActionChains(page.driver).move_to_element_with_offset(page.by_id("compare"), 200, 0)
    mouse.click_and_hold().move_by_offset(-60, 0).release().perform()
    page.wait(f"Math.abs({cut} - {seen / 2 + 60}) < 2")
    page.by_id("actual").click()
    assert page.js(box, "sheet") == pytest.approx(seen)


def test_the_download_is_what_is_shown(page, folder, tmp_path):
    show(page, folder, "small")
    where = {"behavior": "allow", "downloadPath": str(tmp_path)}
    page.driver.execute_cdp_cmd("Browser.setDownloadBehavior", where)
    page.by_id("save").click()
    end, file = time.monotonic() + 60, tmp_path / f"small_x{SCALE}.png"
    while not file.exists():
        assert time.monotonic() < end
        time.sleep(0.05)
    np.testing.assert_array_equal(np.asarray(Image.open(file).convert("RGB")), shown(page))


def test_what_is_no_picture_is_said_and_changes_nothing(page, folder):
    show(page, folder, "small")
    before = shown(page)
    page.by_id("file").send_keys(str(folder / "text.png"))
    page.wait("document.getElementById('note').textContent.includes('text.png is no picture')")
    np.testing.assert_array_equal(shown(page), before)


def play(page, times, rate):
    """Play the clip; members are believed to take these ms at rest."""
    page.js("arguments[0].forEach((ms, i) => { MODELS.members[i].ms = ms; })", times)
    if not page.by_id("adapt").is_selected():
        page.by_id("adapt").click()
    put(page, "rate", rate)
    page.by_id("play").click()


def test_the_clip_plays_and_the_member_gives_way_to_late_frames(page, folder):
    show(page, folder, "small")  # the clip takes its place
    page.js("(document.getElementById('rate').max = 1e6)")  # no machine is that fast
    play(page, [1e-6, 2e-6, 3e-6], 1e6)
    best = f"member {len(ARCHS)} of {len(ARCHS)}"
    page.wait("document.getElementById('before').width === 256")
    page.wait("document.getElementById('after-label').textContent.startsWith('member 1 of')")
    assert page.text("after-label") != best
    page.wait("/frames.s shown; .* late/.test(document.getElementById('clip-note').textContent)")
    page.by_id("play").click()
    page.wait("document.getElementById('play').textContent === 'Play'")
    play(page, [1e-3, 2e-3, 3e-3], 1)
    assert page.text("after-label") == best
    put(page, "member", 1)  # who takes the slider wants this member
    assert not page.by_id("adapt").is_selected()
    page.by_id("play").click()
    page.wait("document.getElementById('play').textContent === 'Play'")
    assert page.text("after-label") == f"member 2 of {len(ARCHS)}"


def test_a_clip_that_is_stopped_and_goes_on_at_once_runs_once(page):
    most = page.driver.execute_async_script(
        "const done = arguments[0], pause = (ms) => new Promise((go) => setTimeout(go, ms));"
        "let running = 0, most = 0;"
        "const upscale = async () => {"
        "running += 1; most = Math.max(most, running); await pause(5); running -= 1; };"
        "const rest = { choose() {}, index: () => 0, timed: () => [], ended() {} };"
        "const player = new Player([1, 2, 3], { upscale, ...rest });"
        "player.adapts = false; player.rate = 1000;"
        "(async () => { player.play(); player.stop(); player.play(); await pause(50);"
        "most = 0; while (!most) await pause(50); await player.stop(); done([most, running]); })();"
    )
    assert most == [1, 0]


def run_policy(page, loads, *, ms=(10, 20, 40), true_ms=None, deadline=50):
    """Members that ran, of a policy that believes these ms; a frame takes the true ones times its load."""
    return page.js(
        "(() => { const [times, takes, loads, deadline] = arguments;"
        "const policy = new RatePolicy(times.map((ms, index) => ({ ms, index, psnr_y: index })), deadline);"
        "return loads.map((load) => { const ran = policy.index; policy.next(load * takes[ran], deadline);"
        "return ran; }); })()",
        ms,
        true_ms or ms,
        loads,
        deadline,
    )


def test_the_policy_holds_the_rate(page):
    assert set(run_policy(page, [1] * 300)) == {2}
    assert set(run_policy(page, [1] * 50 + [5] + [1] * 50)) == {2}  # one slow frame is forgiven
    ran = run_policy(page, [1] * 10 + [2] * 40 + [1] * 200)
    assert ran[:12] == [2] * 12 and ran[12:50] == [1] * 38  # the second slow frame is believed
    assert ran[-1] == 2 and sum(a != b for a, b in itertools.pairwise(ran)) == 2
    assert run_policy(page, [6] * 60)[-1] == 0  # nothing is fast enough: the fastest


def test_a_member_that_fails_its_trials_is_tried_ever_more_seldom(page):
    ran = np.array(run_policy(page, [1] * 1500, true_ms=(10, 20, 60)))
    tried = np.flatnonzero((ran[1:] == 2) & (ran[:-1] != 2))
    assert 3 <= len(tried) <= 8
    assert (np.diff(tried, 2) > 0).all()  # the time between two of them grows
    assert (ran == 2).sum() < 20 and (ran == 0).sum() == 0


def test_members_that_are_slower_and_no_better_are_never_taken(page):
    told = page.js(
        "new RatePolicy([{ ms: 9, index: 0, psnr_y: 1 }, { ms: 5, index: 1, psnr_y: 2 },"
        " { ms: 20, index: 2, psnr_y: 3 }], 50).members.map((member) => member.index)"
    )
    assert told == [1, 2]


def test_nothing_leaves_the_page(page, folder):
    asked = page.requests()
    own = (folder / "out").as_uri()
    assert [url for url in asked if not url.startswith((own, "blob:null/", "data:"))] == []
    assert any(url.endswith("/models.js") for url in asked)


def test_the_browser_forbids_what_is_not_its_own(driver, opened):
    """The last one of the page: it leaves an error on the console."""
    refused = driver.execute_async_script(
        "const done = arguments[0]; fetch('https://example.org/').then(() => done(false), () => done(true));"
    )
    assert refused
    opened.errors()


def test_a_phone_shows_all_of_it(driver, folder):
    page = Page(driver, folder / "out" / "index.html").open(width=360, height=740, touch=True, dark=True)
    assert page.js("document.documentElement.scrollWidth") <= 360
    assert page.js("document.getElementById('compare').getBoundingClientRect().bottom") < 740


def test_without_a_network_a_page_of_the_cdn_says_so(driver, folder):
    driver.execute_cdp_cmd("Network.enable", {})
    offline = {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0}
    driver.execute_cdp_cmd("Network.emulateNetworkConditions", offline)
    try:
        driver.get(pathlib.Path(folder / "cdn" / "index.html").as_uri())
        page = Page(driver, folder / "cdn" / "index.html")
        page.wait("!document.getElementById('failure').hidden")
        assert "onnxruntime-web cannot be loaded from https://cdn.jsdelivr.net/" in page.text("failure")
    finally:
        back = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
        driver.execute_cdp_cmd("Network.emulateNetworkConditions", back)
        page.errors()
