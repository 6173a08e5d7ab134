"""The steady-rate experiment: four streams of the same frames beside the same load."""

import importlib.util
import json
import pathlib
import sys

import numpy as np
import pytest

from dysr_jax.errors import InputError

PATH = pathlib.Path(__file__).parents[2] / "experiments" / "steady_fps.py"


@pytest.fixture(scope="module")
def module():
    spec = importlib.util.spec_from_file_location("steady_fps", PATH)
    found = importlib.util.module_from_spec(spec)
    sys.modules["steady_fps"] = found  # dataclasses look their module up
    spec.loader.exec_module(found)
    yield found
    del sys.modules["steady_fps"]


def test_all_four_streams_run_beside_the_load(module, tiny_run, tmp_path, monkeypatch, capsys):
    options = ["--bundle", tiny_run.path / "bundle", "--out", tmp_path, "--frame", 60, 64]
    options += ["--fps", 20, "--seconds", 2, "--frames", 5]
    monkeypatch.setattr(sys, "argv", ["steady_fps.py", *map(str, options)])
    module.main()
    result = json.loads((tmp_path / "steady_fps.json").read_text())
    names = ["adaptive", "fixed largest", "fixed smallest", "adaptive, reloading"]
    assert [row["name"] for row in result["strategies"]] == names
    quality = result["member_psnr_y"]
    for row in result["strategies"]:
        assert row["frames"] == 40
        assert [count for _, count in row["load"]] == [0, 2, 0, 4, 1, 0, 0]
        assert min(quality.values()) - 1 < row["true_psnr_y"] < max(quality.values()) + 1
    for row, end in zip(result["strategies"][1:3], (-1, 0), strict=True):  # every frame 8 times
        assert row["true_psnr_y"] == pytest.approx(quality[result["members"][end]["name"]])
    members = {
        name: set(result["strategies"][i]["trace"]["member"]) for i, name in enumerate(names)
    }
    assert members["fixed smallest"] == {result["members"][0]["name"]}
    assert members["fixed largest"] == {result["members"][-1]["name"]}
    assert "PSNR-Y dB" in capsys.readouterr().out


def test_frames_wander_once_around(module):
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    frames = module.wander(image, (12, 16), 8)
    assert {frame.shape for frame in frames} == {(12, 16, 3)}
    assert len({frame.tobytes() for frame in frames}) == 8
    with pytest.raises(InputError, match="do not fit"):
        module.wander(image, (12, 31), 8)


def test_the_gain_is_a_share_of_the_way(module):
    result = {
        "members": [{"name": "small"}, {"name": "middle"}, {"name": "large"}],
        "member_psnr_y": {"small": 27.0, "middle": 27.9, "large": 28.0},
        "strategies": [{"name": "adaptive", "true_psnr_y": 27.6}],
    }
    assert module.gain(result) == pytest.approx(0.6)
