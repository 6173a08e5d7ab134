"""The switch experiment: what is walked, timed and counted, and what becomes of a child that ends."""

import collections
import itertools
import json
import math
import multiprocessing
import os
import signal
import tempfile
import threading

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

import dysr_jax.commands.bench
from dysr_jax.bench.switch import bench as switch
from dysr_jax.bench.switch import process as children
from dysr_jax.bench.switch import turns as lanes
from dysr_jax.bench.switch import worker as contestant
from dysr_jax.bench.switch.bench import bench_switch, walk
from dysr_jax.bench.switch.process import Child, ChildError
from dysr_jax.bench.switch.servers import STRATEGIES, Fused
from dysr_jax.bench.switch.turns import missed, times_row
from dysr_jax.bench.switch.worker import Contestant, Rest, Stage, Taken
from dysr_jax.bundle.bundle import save_bundle
from dysr_jax.cli import main
from dysr_jax.errors import InputError
from dysr_jax.report.bench_tables import switch_tables

NAMES = ["2id-u1", "s3-c3-u1", "2r1-u2"]
FRAME = (8, 10)
SWITCHES, STEADY, TURN = 7, 2, 4


# The walk


@hypothesis.given(st.integers(2, 7), st.integers(1, 150), st.integers(0, 9))
def test_a_walk_makes_every_ordered_pair_equally_often(members, switches, seed):
    path = walk(np.random.default_rng(seed), members, switches)
    assert len(path) == switches + 1
    pairs = list(itertools.permutations(range(members), 2))
    made = collections.Counter(itertools.pairwise(path))
    assert set(made) <= set(pairs)
    counts = [made[pair] for pair in pairs]
    assert max(counts) - min(counts) <= 1
    assert path == walk(np.random.default_rng(seed), members, switches)


def test_walks_differ_by_seed():
    walks = {tuple(walk(np.random.default_rng(seed), 5, 40)) for seed in range(5)}
    assert len(walks) == 5


# Rows


@pytest.mark.parametrize(("ms", "frames"), [(1, 0), (20, 0), (40, 0), (41, 1), (80, 1), (81, 2), (1000, 24)])
def test_frames_that_a_slow_frame_leaves_out(ms, frames):
    assert missed(ms / 1e3, 1 / 25) == frames


def test_a_row_of_planted_times():
    """Member b is slow, but its first frames are no slower than its steady ones."""
    a = [Taken("a", 1e-6, 0.010, [0.010, 0.012]), Taken("a", 2e-6, 0.048, [0.011, 0.010])]
    b = [Taken("b", 3e-6, 0.090, [0.100, 0.100])]
    row = times_row([*a, *b], ["a", "b", "c"], 25.0)
    steady_a = np.percentile([10, 12, 11, 10], 99)
    ratios = [10 / steady_a, 48 / steady_a, 0.9]
    members = row.pop("members")
    assert row == pytest.approx(
        {
            "steady_ms_p50": np.median([10, 12, 11, 10, 100, 100]),
            "steady_ms_p99": np.percentile([10, 12, 11, 10, 100, 100], 99),
            "switch_ms_p50": 48,
            "switch_ms_p99": np.percentile([10, 48, 90], 99),
            "switch_over_steady_p99": np.percentile(ratios, 99),
            "within_steady_p99": 2 / 3,
            "host_us": 2,
            "host_us_p99": np.percentile([1, 2, 3], 99),
            "missed_frames": 1 + 2 + 2 * 2,
            "missed_after_switch": 1 + 2,
            "switches": 3,
            "steady_frames": 6,
        }
    )
    assert [(m["name"], m["switches"], m["steady_frames"]) for m in members] == [("a", 2, 4), ("b", 1, 2)]
    assert members[0]["switch_ms_p50"] == pytest.approx(29)
    assert members[0]["steady_ms_p99"] == pytest.approx(steady_a)


# The whole experiment, once


@pytest.fixture(scope="module")
def bundle(three_members, tmp_path_factory):
    path = tmp_path_factory.mktemp("switch") / "bundle"
    save_bundle(path, three_members, {})
    return path


@pytest.fixture(scope="module")
def left(bundle, tmp_path_factory):
    """Two strategies that finish, though one hears of Ctrl-C, and one whose process is killed."""
    folder, ask, asked = tmp_path_factory.mktemp("temporary"), Child.ask, []

    def told(child, method, *given):
        asked.append(method)
        if method == "levels_off" and asked.count("levels_off") == 2:
            os.kill(child.process.pid, signal.SIGKILL)
        if method == "turn":
            os.kill(child.process.pid, signal.SIGINT)
        return ask(child, method, *given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Child, "ask", told)
        patch.setattr(lanes, "TURN", TURN)
        patch.setattr(tempfile, "tempdir", str(folder))
        result = bench_switch(
            bundle,
            frame=FRAME,
            strategies=("fused", "ensemble", "reload_compiled"),
            switches=SWITCHES,
            steady=STEADY,
            fps=10.0,
        )
    assert asked[:6] == ["rest", "lay_out", *3 * ["is_up"], "ready"]  # a clock runs alone
    assert asked.count("turn") == 2 * math.ceil(SWITCHES / TURN)
    assert list(folder.iterdir()) == []
    assert multiprocessing.active_children() == []
    return result


@pytest.mark.long
def test_what_was_measured(left):
    assert set(left) == {*("device", "frame", "scale", "dtype", "fps", "members", "left_out", "strategies")}
    assert (left["frame"], left["scale"], left["dtype"]) == ([8, 10], 2, "float32")
    assert [member["name"] for member in left["members"]] == NAMES
    assert left["left_out"] == []
    assert json.loads(json.dumps(left)) == left


@pytest.mark.long
def test_a_killed_child_is_told_and_the_others_go_on(left):
    rows = {row["name"]: row for row in left["strategies"]}
    assert list(rows) == ["fused", "ensemble", "reload_compiled"]
    reason = "its process was killed (out of memory?)"
    assert rows.pop("ensemble") == {"name": "ensemble", "failed": reason}
    assert f"ensemble: failed, {reason}" in switch_tables(left).splitlines()
    for row in rows.values():
        assert row["switches"] == sum(member["switches"] for member in row["members"]) == SWITCHES
        assert row["steady_frames"] == SWITCHES * STEADY
        assert row["levels_off"] <= 1
        for kind in ("steady_ms", "switch_ms"):
            assert 0 < row[f"{kind}_p50"] <= row[f"{kind}_p99"]
        assert row["rss_bytes"] > row["rss_before_bytes"] > 1e7
        parts = (row["weight_bytes"], row["executable_bytes"], row["workspace_bytes"])
        assert min(parts) > 0
        assert row["device_bytes"] == sum(parts)


@pytest.mark.long
def test_only_a_reload_compiles_while_it_is_timed(left):
    fused, _, reload = left["strategies"]
    assert (fused["compilations"], reload["compilations"]) == (0, SWITCHES)
    assert reload["host_us"] > 100 * fused["host_us"]
    assert reload["switch_ms_p50"] > reload["steady_ms_p99"]
    assert fused["weight_bytes"] > reload["weight_bytes"]


@pytest.mark.long
def test_only_what_has_a_cache_starts_from_it(left):
    fused, _, reload = left["strategies"]
    assert 0 < fused["ready_warm_s"] < fused["ready_s"]
    assert reload["ready_s"] > 0
    assert reload["ready_warm_s"] is None


def test_ctrl_c_leaves_nothing(bundle, tmp_path, monkeypatch):
    def interrupted(child, *_):
        assert child.process.is_alive()
        raise KeyboardInterrupt

    monkeypatch.setattr(Child, "ask", interrupted)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(KeyboardInterrupt):
        bench_switch(bundle)
    assert list(tmp_path.iterdir()) == []
    assert multiprocessing.active_children() == []


# Children


@pytest.fixture
def answered(monkeypatch):
    """What a child that makes an object answers, in a thread of this process."""
    monkeypatch.setattr(children, "_settle", lambda: None)
    started = []

    def make(kind, *given):
        here, there = multiprocessing.Pipe()
        thread = threading.Thread(target=children._answer, args=(there, kind, given))
        thread.start()
        started.append((here, thread))
        child = Child.__new__(Child)
        child._connection = here
        return child, thread

    yield make
    for connection, thread in started:
        connection.close()
        thread.join(5)
        assert not thread.is_alive()


class Obliging:
    """Does what it is asked."""

    def __init__(self, start):
        self.value = start

    def add(self, more):
        self.value += more
        return self.value

    def refuse(self):
        raise InputError("value 3: allowed is 4")

    def fail(self):
        raise FileNotFoundError("no such\nfile")

    def fail_mutely(self):
        raise MemoryError


def test_a_child_keeps_its_object(answered):
    child, _ = answered(Obliging, 3)
    assert [child.ask("add", 2), child.ask("add", 4)] == [5, 9]


@pytest.mark.parametrize(
    ("method", "kind", "message"),
    [
        ("refuse", InputError, "^value 3: allowed is 4$"),
        ("fail", ChildError, "^FileNotFoundError: no such$"),
        ("fail_mutely", ChildError, "^MemoryError$"),
        ("fly", ChildError, "^AttributeError: 'Obliging' object has no attribute 'fly'"),
    ],
)
def test_what_a_child_raises(answered, method, kind, message):
    child, thread = answered(Obliging, 3)
    with pytest.raises(kind, match=message):
        child.ask(method)
    thread.join(5)
    assert not thread.is_alive()


def test_a_child_that_cannot_be_made(answered):
    child, _ = answered(Obliging)
    with pytest.raises(ChildError, match="TypeError"):
        child.ask("add", 1)


@pytest.mark.parametrize(("code", "words"), [(-11, "signal 11"), (3, "exit code 3"), (-9, "killed")])
def test_how_a_process_ended(code, words):
    assert words in children._end(code)


# Contestants and the stage, in this process


@pytest.fixture(scope="module")
def laid_out(bundle, tmp_path_factory):
    """Stage, times and shelf of two members, asked for in another order."""
    folder = tmp_path_factory.mktemp("laid_out")
    stage = Stage(str(bundle), None, None, ("best", NAMES[1]))
    rest = stage.rest()
    return rest, stage.lay_out(folder, list(rest.frame_ms))


def test_members_are_timed_at_rest(laid_out):
    rest, shelf = laid_out
    assert list(rest.frame_ms) == list(shelf.names) == NAMES[1:]
    assert min(rest.frame_ms.values()) > 0
    assert (rest.frame, rest.scale) == ((6, 8), 2)


def test_a_server_that_compiles_on_the_way_is_found_out(laid_out, tmp_path, monkeypatch):
    class Forgetful(Fused):
        """Compiles at every switch, and does not say so."""

        def switch(self, member):
            self.__init__(laid_out[1], contestant.ExecutableCache(tmp_path / "other"))
            self.prepare((6, 8))

    monkeypatch.setitem(STRATEGIES, "fused", Forgetful)
    one = Contestant("fused", laid_out[1], (6, 8), tmp_path / "cache")
    one.ready()
    assert one.levels_off() <= 1
    with pytest.raises(RuntimeError, match="programs were compiled or loaded meanwhile"):
        one.turn(NAMES[1:], 1)


def test_a_server_that_gives_other_pixels_is_found_out(laid_out, tmp_path, monkeypatch):
    class Confused(Fused):
        """Serves another member."""

        def dispatch(self, frame, member):
            return super().dispatch(frame, NAMES[1])

    monkeypatch.setitem(STRATEGIES, "fused", Confused)
    one = Contestant("fused", laid_out[1], (6, 8), tmp_path / "cache")
    one.ready()
    assert one.levels_off() > 5


# What cannot be, and what is asked


REST = Rest("a toaster", "float32", (6, 8), 2, {"a": 1.0, "b": 20.0, "c": 41.0})


def test_members_that_are_too_slow_are_left_out():
    assert switch._fitting(REST, 25.0) == ["a", "b"]
    assert switch._fitting(REST, 50.0) == ["a", "b"]
    with pytest.raises(InputError, match=r"fps 51: of frames of 6x8 .* 1.0, 20.0 ms; allowed is"):
        switch._fitting(REST, 51.0)
    with pytest.raises(InputError, match="one has nothing to switch to"):
        switch._fitting(REST._replace(frame_ms={"a": 1.0}), 1.0)


def test_a_stage_that_fails_is_told_in_one_line():
    class Broken:
        def ask(self, method):
            raise ChildError("RESOURCE_EXHAUSTED: 5 TB")

    with pytest.raises(InputError, match=r"^frame 6x8: the members cannot run \(RESOURCE_EXH"):
        switch._rest(Broken(), (6, 8))
    with pytest.raises(InputError, match=r"^frame of the bundle: "):
        switch._rest(Broken(), None)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"strategies": ("fused", "magic")}, "^strategies 'magic': allowed are fused, chained, lax"),
        ({"strategies": ()}, "^strategies is empty: allowed are fused"),
        ({"switches": 0}, "^switches 0: allowed is 1 or more$"),
        ({"steady": 0}, "^steady 0: allowed is 1 or more$"),
        ({"fps": 0.0}, "^fps 0.0: allowed is above 0$"),
        ({"fps": math.nan}, "^fps nan: allowed is above 0$"),
        ({"frame": (8, 0)}, "^frame 8x0: allowed is 1x1 or more$"),
    ],
)
def test_what_cannot_be_measured(asked, message, monkeypatch):
    monkeypatch.setattr(switch, "Child", lambda *_: pytest.fail("it went on"))
    with pytest.raises(InputError, match=message):
        bench_switch(**asked)


def test_the_command_does_what_is_asked_and_reports_it(monkeypatch, tmp_path, capsys):
    asked = []
    result = {
        **{"device": "a toaster", "dtype": "float32", "frame": [6, 8], "scale": 2, "fps": 5.0},
        "members": [{"name": "a", "rest_ms": 1.0}],
        "left_out": [{"name": "c", "rest_ms": 41.0}],
        "strategies": [{"name": "fused", "failed": "it melted"}],
    }

    def bench(*given, **options):
        asked.append((given, options))
        return result

    monkeypatch.setattr(dysr_jax.commands.bench, "bench_switch", bench)
    path = tmp_path / "switch.json"
    options = ["--bundle", "b", "--frame", "6", "8", "--members", "a", "c", "--switches", "9"]
    more = ["--steady", "3", "--fps", "5", "--strategies", "fused", "--json", str(path)]
    assert main(["bench", "switch", *options, *more]) == 0
    assert asked == [
        (
            ("b",),
            {
                **{"scale": None, "frame": (6, 8), "members": ("a", "c")},
                **{"strategies": ("fused",), "switches": 9, "steady": 3, "fps": 5.0},
                "progress": True,
            },
        )
    ]
    assert json.loads(path.read_text()) == result
    assert capsys.readouterr().out.splitlines() == [
        "a toaster, float32; 8x6 -> 16x12 at 5 fps",
        "members (ms at rest): a (1.0)",
        "left out, slower than a period: c (41.0)",
        "fused: failed, it melted",
    ]
