"""The steady-rate experiment: four streams of the same frames beside the same load."""

import dataclasses
import json

import numpy as np
import pytest

from dysr_jax.bench import steady as module
from dysr_jax.bench.steady import SteadyOptions, bench_steady, make_case, moving_windows
from dysr_jax.bench.steady_result import SteadyResult, SteadyStream
from dysr_jax.bundle.bundle import save_bundle
from dysr_jax.cli import main
from dysr_jax.errors import InputError
from dysr_jax.runtime.policy.base import MemberTiming
from dysr_jax.runtime.trace import FrameRecord, Trace
from dysr_jax.search.latency import load_table, save_table
from dysr_jax.search.load import Load, read_load


@pytest.mark.long
def test_all_four_streams_run_beside_the_load(tiny_run, tmp_path, capsys):
    options = ["--bundle", tiny_run.path / "bundle", "--json", tmp_path / "steady.json"]
    options += ["--frame", 60, 64, "--fps", 20, "--seconds", 2, "--frames", 5]
    options += ["--figures", tmp_path / "new" / "timelines"]
    assert main(["bench", "steady", *map(str, options)]) == 0
    result = json.loads((tmp_path / "steady.json").read_text())
    names = ["adaptive", "fixed largest", "fixed smallest", "adaptive, reloading"]
    assert [row["name"] for row in result["strategies"]] == names
    quality = result["member_psnr_y"]
    for row in result["strategies"]:
        assert row["frames"] + row["dropped"] == 40
        assert [count for _, count in row["load"]] == [0, 2, 0, 4, 1, 0, 0]
        assert min(quality.values()) - 1 < row["true_psnr_y"] < max(quality.values()) + 1
    for row, end in zip(result["strategies"][1:3], (-1, 0), strict=True):  # every frame 8 times
        assert row["true_psnr_y"] == pytest.approx(quality[result["members"][end]["name"]])
    members = {name: set(result["strategies"][i]["trace"]["member"]) for i, name in enumerate(names)}
    assert members["fixed smallest"] == {result["members"][0]["name"]}
    assert members["fixed largest"] == {result["members"][-1]["name"]}
    out = capsys.readouterr().out
    assert "PSNR-Y dB" in out
    assert f"adapting gains {100 * SteadyResult.from_json(result).gain:.0f} %" in out
    drawn = list((tmp_path / "new" / "timelines").iterdir())
    assert len(drawn) == 4
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in drawn)


@pytest.mark.long
def test_a_recorded_load_chooses_members_that_take_turns(tiny_run, tmp_path, capsys):
    """The loop: record a load, choose members for it from the same archive, send both through one load.

    The table is of another device, so that no member is left out for a time that was measured.
    """
    own, chosen, both = tmp_path / "own.json", tmp_path / "chosen", tmp_path / "both.json"
    table = load_table(tiny_run.path / "latency.json")
    save_table(tmp_path / "table.json", dataclasses.replace(table, key={**table.key, "device": "Phone 9"}))
    how = ["--frame", 24, 32, "--fps", 20, "--seconds", 1, "--frames", 5]
    against = ["--against", chosen / "bundle"]
    choice = ["--search.for-load", own, "--search.fps", 20, "--search.latency", tmp_path / "table.json"]
    for arguments in (
        ["bench", "steady", "--bundle", tiny_run.path / "bundle", "--json", own, *how],
        ["search", "--from", tiny_run.path, *choice, "--out", chosen],
        ["bench", "steady", "--bundle", tiny_run.path / "bundle", *against, "--json", both, *how],
    ):
        assert main([str(argument) for argument in arguments]) == 0
    result = SteadyResult.from_json(json.loads(both.read_text()))
    names = {member["name"] for member in json.loads((chosen / "pareto.json").read_text())["members"]}
    assert {member.name for member in result.against.members} <= names
    for one in (result, result.against):
        assert [len(each.trace.frames) + each.trace.dropped for each in one.strategies] == [20] * 4
    own_frames = result.adaptive.trace.frames
    assert len(read_load(str(both)).slowdown) == len(own_frames)  # of the first bundle's adaptive stream
    assert "\nadaptive, reloading, against  " in capsys.readouterr().out


@pytest.fixture
def saved(three_members, tmp_path):
    save_bundle(tmp_path / "bundle", three_members, {})
    return tmp_path / "bundle"


def test_two_bundles_take_turns(saved, monkeypatch):
    monkeypatch.setattr(module, "STRATEGIES", dict([*module.STRATEGIES.items()][:2]))
    monkeypatch.setattr(module, "LOAD", ((0.0, 0),))
    options, lines = SteadyOptions(frame=(24, 32), fps=20.0, seconds=0.5, frames=1), []
    result = bench_steady(saved, options, against=saved, log=lines.append)
    pairs = ["adaptive", "adaptive, against", "fixed largest", "fixed largest, against"]
    assert lines == [f"{name}: 0.5 s" for name in pairs]
    assert result.against.against is None
    assert result.against.member_psnr_y == result.member_psnr_y  # the same frames
    for one in (result, result.against):
        assert [stream.name for stream in one.strategies] == ["adaptive", "fixed largest"]
        for stream in one.strategies:
            assert len(stream.trace.frames) + stream.trace.dropped == 10
            made = [one.member_psnr_y[frame.member] for frame in stream.trace.frames]
            late = [frame.late for frame in stream.trace.frames]
            assert stream.true_psnr_y == pytest.approx(np.mean(made))
            assert stream.on_time_psnr_y == pytest.approx(sum(np.where(late, 0.0, made)) / 10)
    again = SteadyResult.from_json(json.loads(json.dumps(result.to_json())))
    for mine, theirs in ((again, result), (again.against, result.against)):
        assert mine.members == theirs.members and mine.member_psnr_y == theirs.member_psnr_y
        assert mine.adaptive.on_time_psnr_y == theirs.adaptive.on_time_psnr_y
        assert mine.slowdowns == pytest.approx(theirs.slowdowns, rel=1e-4)


def test_another_scale_takes_no_turns(saved):
    with pytest.raises(InputError, match=r"against '.*bundle': must be for x4, got x2"):
        bench_steady(None, against=saved, log=lambda line: None)


def test_the_worth_under_a_load_by_hand():
    """At 50 frames per second members of 4, 9 and 19 ms at rest; 20, 10 and 5 ms at rest are on time."""
    quality = {"small": 30.0, "middle": 31.0, "large": 33.0}
    members = tuple(map(MemberTiming, quality, (4.0, 9.0, 19.0), (1.0, 2.0, 3.0)))
    frames = [
        FrameRecord(number, 0.0, 0.0, 0.0, ms, name, False, 0)
        for number, (ms, name) in enumerate([(2.0, "small"), (9.0, "middle"), (38.0, "large")])
    ]
    stream = SteadyStream("adaptive", Trace(50.0, True, quality, frames))
    result = SteadyResult("a device", (8, 8), 50.0, members, quality, (), (stream,))
    assert result.slowdowns == [0.5, 1.0, 2.0]
    load = Load(np.array([1.0, 2.0, 4.0]), np.array([0.5, 0.25, 0.25]))
    assert result.expected_psnr_y(load) == pytest.approx(33 / 2 + 31 / 4 + 30 / 4)


def test_frames_wander_once_around():
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    frames = moving_windows(image, (12, 16), 8)
    assert {frame.shape for frame in frames} == {(12, 16, 3)}
    assert len({frame.tobytes() for frame in frames}) == 8
    with pytest.raises(InputError, match="must fit into the image"):
        moving_windows(image, (12, 31), 8)


def test_the_gain_is_a_share_of_the_way():
    quality = {"small": 27.0, "middle": 27.9, "large": 28.0}
    members = tuple(MemberTiming(name, 10.0, psnr_y) for name, psnr_y in quality.items())
    stream = SteadyStream("adaptive", Trace(30.0, True, quality, []), [], 27.6)
    result = SteadyResult("a device", (8, 8), 30.0, members, quality, (), (stream,))
    assert result.gain == pytest.approx(0.6)
    assert SteadyResult.from_json(json.loads(json.dumps(result.to_json()))) == result


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("fps", 0.0),
        ("fps", 2000.0),
        ("fps", float("nan")),
        ("seconds", 0.01),
        ("seconds", float("inf")),
        ("frames", 0),
        ("frame", (0, 4)),
        ("source", "nowhere"),
        ("frame", (9000, 9000)),
    ],
)
def test_options_that_cannot_be_are_named(three_members, option, value):
    options = dataclasses.replace(SteadyOptions(), **{option: value})
    with pytest.raises(InputError, match=option if option != "frame" else "frame") as error:
        make_case(three_members, options)
    assert "\n" not in str(error.value)


def test_a_rate_that_no_two_members_hold_is_refused(three_members, monkeypatch):
    timings = [MemberTiming("quick", 10.0, 30.0), MemberTiming("slow", 40.0, 31.0)]
    monkeypatch.setattr(module, "measure_timings", lambda *_, **__: timings)
    options = SteadyOptions(frame=(8, 8), fps=30.0, frames=1)
    with pytest.raises(InputError, match=r"1 members .* 70% .* 10\.0 ms; two are needed"):
        make_case(three_members, options)


def test_a_folder_for_figures_that_cannot_be_made_is_one_line(tmp_path, capsys):
    (tmp_path / "file").touch()
    assert main(["bench", "steady", "--figures", str(tmp_path / "file" / "below")]) == 2
    assert capsys.readouterr().err.startswith("dysr: error: figures ")
