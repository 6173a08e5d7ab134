"""The switch experiment: what is walked and measured, and what becomes of a child that ends."""

import collections
import itertools
import json
import math
import multiprocessing
import os
import signal
import tempfile

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

import dysr_jax.commands.bench
from dysr_jax.bench.switch import bench as switch
from dysr_jax.bench.switch import comparison
from dysr_jax.bench.switch.bench import bench_switch, walk
from dysr_jax.bench.switch.result import MemberAtRest, SwitchResult
from dysr_jax.bench.switch.worker import Child, ChildError
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


# The whole experiment, once


@pytest.fixture(scope="module")
def left(bundle, tmp_path_factory):
    """Two strategies that finish, though one hears of Ctrl-C, and one whose process is killed."""
    folder, call, asked = tmp_path_factory.mktemp("temporary"), Child.call, []

    def told(child, method, *given):
        asked.append(method)
        if method == "max_abs_diff" and asked.count("max_abs_diff") == 2:
            os.kill(child.process.pid, signal.SIGKILL)
        if method == "time_switches":
            os.kill(child.process.pid, signal.SIGINT)
        return call(child, method, *given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Child, "call", told)
        patch.setattr(comparison, "TURN_SWITCHES", TURN)
        patch.setattr(tempfile, "tempdir", str(folder))
        result = bench_switch(
            bundle,
            frame=FRAME,
            strategies=("fused", "ensemble", "reload_compiled"),
            switches=SWITCHES,
            steady=STEADY,
            fps=10.0,
        )
    assert asked[:6] == ["time_members", "write_store", *3 * ["is_up"], "ready"]  # a clock runs alone
    assert asked.count("time_switches") == 2 * math.ceil(SWITCHES / TURN)
    assert list(folder.iterdir()) == []
    assert multiprocessing.active_children() == []
    return result


@pytest.mark.long
def test_what_was_measured(left):
    assert (left.frame, left.scale, left.dtype) == (FRAME, 2, "float32")
    assert [member.name for member in left.members] == NAMES
    assert left.left_out == ()
    assert SwitchResult.from_json(json.loads(json.dumps(left.to_json()))) == left


@pytest.mark.long
def test_a_killed_child_is_told_and_the_others_go_on(left):
    assert [row.name for row in left.strategies] == ["fused", "ensemble", "reload_compiled"]
    reason = "its process was killed (out of memory?)"
    assert left.failures == {"ensemble": reason}
    assert left.to_json()["strategies"][1] == {"name": "ensemble", "failed": reason}
    assert f"ensemble: failed, {reason}" in switch_tables(left).splitlines()
    assert list(left.finished) == ["fused", "reload_compiled"]
    for row in left.finished.values():
        assert row.switches == sum(member.switches for member in row.members) == SWITCHES
        assert row.steady_frames == SWITCHES * STEADY
        assert row.max_abs_diff <= 1
        assert 0 < row.steady_ms_p50 <= row.steady_ms_p99
        assert 0 < row.switch_ms_p50 <= row.switch_ms_p99
        assert row.rss_bytes > row.rss_before_bytes > 1e7
        parts = (row.weight_bytes, row.executable_bytes, row.workspace_bytes)
        assert min(parts) > 0
        assert row.device_bytes == sum(parts)
    fused, reload = left.finished.values()
    assert fused.own_workspace_bytes >= fused.workspace_bytes
    assert reload.own_workspace_bytes is None  # one model at a time


@pytest.mark.long
def test_only_a_reload_compiles_while_it_is_timed(left):
    fused, reload = left.finished.values()
    assert (fused.compilations, reload.compilations) == (0, SWITCHES)
    assert reload.host_us > 100 * fused.host_us
    assert reload.switch_ms_p50 > reload.steady_ms_p99
    assert fused.weight_bytes > reload.weight_bytes


@pytest.mark.long
def test_only_what_has_a_cache_starts_from_it(left):
    fused, reload = left.finished.values()
    assert 0 < fused.ready_warm_s < fused.ready_s
    assert reload.ready_s > 0
    assert reload.ready_warm_s is None


def test_ctrl_c_leaves_nothing(bundle, tmp_path, monkeypatch):
    def interrupted(child, *_):
        assert child.process.is_alive()
        raise KeyboardInterrupt

    monkeypatch.setattr(Child, "call", interrupted)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(KeyboardInterrupt):
        bench_switch(bundle)
    assert list(tmp_path.iterdir()) == []
    assert multiprocessing.active_children() == []


# What cannot be, and what is asked


class Answers:
    """A child that answers, or raises."""

    def __init__(self, answer):
        self.answer = answer

    def call(self, method, fps):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def rest(held, left_out):
    members = [tuple(MemberAtRest(name, ms) for name, ms in each.items()) for each in (held, left_out)]
    return SwitchResult("a toaster", (6, 8), 2, "float32", 51.0, *members)


def test_two_members_have_to_hold_the_frame_rate():
    good = rest({"a": 1.0, "b": 19.0}, {"c": 41.0})
    assert switch._time_members(Answers(good), None, 51.0) is good
    with pytest.raises(InputError, match=r"fps 51: of frames of 6x8 .* 1.0, 20.0 ms; must be"):
        switch._time_members(Answers(rest({"a": 1.0}, {"c": 41.0, "b": 20.0})), None, 51.0)
    with pytest.raises(InputError, match="one has nothing to switch to"):
        switch._time_members(Answers(rest({"a": 1.0}, {})), None, 51.0)


def test_members_that_cannot_run_are_told_in_one_line():
    broken = Answers(ChildError("RESOURCE_EXHAUSTED: 5 TB"))
    with pytest.raises(InputError, match=r"^frame 6x8: the members cannot run \(RESOURCE_EXH"):
        switch._time_members(broken, (6, 8), 30.0)
    with pytest.raises(InputError, match=r"^frame of the bundle: "):
        switch._time_members(broken, None, 30.0)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"strategies": ("fused", "magic")}, "^strategies 'magic': must be out of fused, chained, lax"),
        ({"strategies": ()}, r"^strategies \(\): must be some of fused"),
        ({"switches": 0}, "^switches 0: must be at least 1$"),
        ({"steady": 0}, "^steady 0: must be at least 1$"),
        ({"fps": 0.0}, "^fps 0.0: must be finite and above 0$"),
        ({"fps": math.nan}, "^fps nan: must be finite and above 0$"),
        ({"frame": (8, 0)}, r"^frame \(8, 0\): must be at least one row and one column$"),
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
        return SwitchResult.from_json(result)

    monkeypatch.setattr(dysr_jax.commands.bench, "bench_switch", bench)
    path = tmp_path / "switch.json"
    options = ["--bundle", "b", "--frame", "6", "8", "--members", "a", "c", "--switches", "9"]
    more = ["--steady", "3", "--fps", "5", "--strategies", "fused", "--json", str(path), "--backend", "xla"]
    assert main(["bench", "switch", *options, *more]) == 0
    assert asked == [
        (
            ("b",),
            {
                **{"scale": None, "frame": (6, 8), "members": ("a", "c")},
                **{"strategies": ("fused",), "switches": 9, "steady": 3, "fps": 5.0},
                **{"backend": "xla", "progress": True},
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
