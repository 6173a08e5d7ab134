"""The form of a program is chosen once, is right, and is what runs; without a measurement it is the first."""

import json

import jax
import numpy as np
import pytest

from dysr_jax.aot import executables, tuning
from dysr_jax.aot.executables import NOTE_SUFFIX, ExecutableCache
from dysr_jax.aot.static import static_executable, tune_static
from dysr_jax.aot.tuning import Choice, choose_form, noted_name, offered_forms
from dysr_jax.compiling import WITHOUT_YNN, exact_options
from dysr_jax.model.programs import compile_static, make_supernet
from dysr_jax.model.space import arch_mult_adds, uniform_space
from dysr_jax.model.supernet import arch_params, init_params

SPACE = uniform_space(slots=2, widths=8, scale=2, branches=("id", "c3", "bh", "a1"))
NET = make_supernet(SPACE, "float32")
ARCH, ATTENTION, SHAPE = (2, 1, 0), (3, 1, 0), (64, 12)

pytestmark = pytest.mark.skipif(not exact_options(), reason="this XLA knows no options to choose from")


@pytest.fixture(scope="module")
def params():
    shapes = jax.eval_shape(lambda: init_params(jax.random.key(0), SPACE))
    rng = np.random.default_rng(1)
    return jax.tree.map(lambda leaf: 0.2 * rng.normal(size=leaf.shape).astype("f"), shapes)


@pytest.fixture
def small(monkeypatch):
    """Frames of tests count as large."""
    monkeypatch.setattr(tuning, "SMALLEST_BYTES", 1)
    monkeypatch.setattr(tuning, "_BAND_ROWS", 16)


@pytest.fixture
def fastest(monkeypatch):
    """Measures nothing: bands are fastest. How often it was asked."""
    asked = []

    def measured(calls, rounds, warmup=2):
        asked.append(list(calls))
        return {name: 1.0 if name == "bands" else 2.0 for name in calls}

    monkeypatch.setattr(tuning, "undisturbed_ms", measured)
    return asked


def test_offered(small):
    assert list(offered_forms(NET, ARCH, SHAPE)) == ["whole", "whole, dots", "bands", "bands, dots"]
    assert list(offered_forms(NET, ATTENTION, SHAPE)) == ["whole", "whole, dots"]
    assert list(offered_forms(NET, ARCH, (8, 12))) == ["whole", "whole, dots"]  # one band
    assert offered_forms(NET, ARCH, SHAPE)["whole"] == (exact_options(), None)


def test_small_frames_have_one_form(params, tmp_path):
    cache = ExecutableCache(tmp_path)
    assert tune_static(NET, ARCH, params, SHAPE, cache=cache) == (exact_options(), None)
    assert not list(tmp_path.iterdir())


def test_an_option_unknown_to_this_xla(small, monkeypatch):
    monkeypatch.setattr(tuning, "exact_options", dict)
    assert list(offered_forms(NET, ARCH, SHAPE)) == ["whole"]


def test_accelerators_have_one_form(small, monkeypatch):
    monkeypatch.setattr(tuning, "default_device", lambda: type("Device", (), {"platform": "gpu"}))
    assert list(offered_forms(NET, ARCH, SHAPE)) == ["whole"]


def test_measured_once_and_found_again(small, fastest, params, tmp_path, compiling):
    first = tune_static(NET, ARCH, params, SHAPE, cache=ExecutableCache(tmp_path))
    assert first.bands is not None
    assert fastest == [["whole", "whole, dots", "bands", "bands, dots"]]
    again = ExecutableCache(tmp_path)
    assert tune_static(NET, ARCH, params, SHAPE, cache=again) == first
    assert len(fastest) == 1
    run = static_executable(NET, ARCH, params, SHAPE, cache=again)
    assert (again.loaded, again.compiled) == (1, 0)  # by its form, compiled when it was measured
    assert " while(" in run.compiled.as_text()
    frame = np.random.default_rng(0).integers(0, 256, (*SHAPE, 3), np.uint8)
    read = arch_params(params, SPACE, ARCH)
    expected = np.asarray(compile_static(NET, ARCH, params, SHAPE)(read, frame)).astype(int)
    assert np.abs(np.asarray(run(read, frame)) - expected).max() <= 1
    tune_static(NET, ARCH, params, SHAPE, batch=2, cache=again)
    assert len(fastest) == 2  # another program


def test_without_a_cache_nothing_is_measured(small, fastest, params):
    assert tune_static(NET, ARCH, params, SHAPE, cache=None) == (exact_options(), None)
    assert " while(" not in static_executable(NET, ARCH, params, SHAPE).compiled.as_text()
    assert not fastest


@pytest.mark.parametrize("damage", [b"", b"{}", "flip"])
def test_a_damaged_choice_is_measured_again(small, fastest, params, tmp_path, damage):
    tune_static(NET, ARCH, params, SHAPE, cache=ExecutableCache(tmp_path))
    (note,) = tmp_path.glob(f"*{NOTE_SUFFIX}")
    whole = note.read_bytes()
    note.write_bytes(whole.replace(b'bands", "ms', b'whole", "ms') if damage == "flip" else damage)
    assert note.read_bytes() != whole
    assert tune_static(NET, ARCH, params, SHAPE, cache=ExecutableCache(tmp_path)).bands is not None
    assert len(fastest) == 2
    assert note.read_bytes() == whole


def test_a_choice_of_another_version_is_unknown(small, fastest, params, tmp_path, monkeypatch):
    tune_static(NET, ARCH, params, SHAPE, cache=ExecutableCache(tmp_path))
    monkeypatch.setattr(executables, "environment", lambda device: {"versions": "others"})
    tune_static(NET, ARCH, params, SHAPE, cache=ExecutableCache(tmp_path))
    assert len(fastest) == 2


def right(read, frame):
    """A program of `choose_form`: doubles rows and columns."""
    return frame.repeat(2, 0).repeat(2, 1)


class Drifting:
    """Other numbers at each call, a level apart at most."""

    def __init__(self):
        self.calls = 0

    def __call__(self, read, frame):
        self.calls += 1
        out = right(read, frame).copy()
        out[0, 0, 0] ^= self.calls % 2
        return out


def one_pixel(read, frame):
    out = right(read, frame).copy()
    out[-1, -1, -1] ^= 2
    return out


def one_level(read, frame):
    return right(read, frame) ^ 1


def rounded(read, frame):
    out = right(read, frame).copy()
    out[0, 0, 0] ^= 1
    return out


def failing(read, frame):
    raise RuntimeError("no such kernel")


@pytest.mark.parametrize(
    ("other", "chosen"),
    [
        (right, "other"),
        (rounded, "other"),
        (one_pixel, "first"),
        (one_level, "first"),
        (Drifting(), "first"),
        (failing, "first"),
        (lambda read, frame: right(read, frame)[:-1], "first"),
        (lambda read, frame: right(read, frame).astype(np.float32), "first"),
    ],
)
def test_only_what_is_right_is_chosen(other, chosen, monkeypatch):
    def measured(calls, rounds, warmup):
        return {name: 1.0 if name == "other" else 2.0 for name in calls}

    monkeypatch.setattr(tuning, "undisturbed_ms", measured)
    makers = {"first": lambda: right, "other": lambda: other}
    assert choose_form(makers, None, (20, 30, 3)).name == chosen


def test_what_cannot_be_compiled_is_left_out(monkeypatch):
    def unknown():
        raise jax.errors.JaxRuntimeError("No such compile option")

    monkeypatch.setattr(tuning, "undisturbed_ms", lambda calls, rounds, warmup: dict.fromkeys(calls, 1.0))
    assert choose_form({"first": lambda: right, "other": unknown}, None, (8, 8, 3)).name == "first"


def test_a_gain_within_the_noise_changes_nothing(monkeypatch):
    monkeypatch.setattr(tuning, "undisturbed_ms", lambda *_, **__: {"first": 1.0, "other": 0.98})
    assert choose_form({"first": lambda: right, "other": lambda: right}, None, (8, 8, 3)).name == "first"


def test_slow_programs_are_not_measured(small, params, tmp_path, monkeypatch):
    """Nor is anything noted: the machine may be busy."""
    monkeypatch.setattr(tuning, "SLOWEST_S", 0.0)
    monkeypatch.setattr(tuning, "undisturbed_ms", lambda *_, **__: pytest.fail("it was measured"))
    assert choose_form({"first": lambda: right, "other": lambda: failing}, None, (8, 8, 3)) is None
    assert tune_static(NET, ARCH, params, SHAPE, cache=ExecutableCache(tmp_path)).bands is None
    assert not list(tmp_path.glob(f"*{NOTE_SUFFIX}"))


def test_programs_bound_by_arithmetic_have_one_form(small, monkeypatch):
    monkeypatch.setattr(tuning, "MOST_MULT_ADDS", arch_mult_adds(SPACE, ARCH, (2, 2)) / 8)
    assert len(offered_forms(NET, ARCH, SHAPE)) == 4
    monkeypatch.setattr(tuning, "MOST_MULT_ADDS", (arch_mult_adds(SPACE, ARCH, (2, 2)) - 1) / 8)
    assert list(offered_forms(NET, ARCH, SHAPE)) == ["whole"]


def test_notes():
    choice = Choice("bands", {"whole": 2.0, "bands": 1.0})
    assert noted_name(choice.to_text()) == "bands"
    assert json.loads(choice.to_text())["ms"] == choice.ms
    assert noted_name("[]") == noted_name("no JSON") == ""


def test_options_of_the_library_are_those_that_are_else_off(small):
    assert offered_forms(NET, ARCH, SHAPE)["whole, dots"].options.keys() == WITHOUT_YNN.keys()
