"""The steady-rate experiment: four streams of the same frames beside the same load."""

import dataclasses
import json

import numpy as np
import pytest

from dysr_jax.bench import steady as module
from dysr_jax.bench.steady import SteadyOptions, SteadyResult, SteadyStream, make_case, moving_windows
from dysr_jax.cli import main
from dysr_jax.errors import InputError
from dysr_jax.runtime.policy.base import MemberTiming
from dysr_jax.runtime.trace import Trace


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
        assert row["frames"] == 40
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
