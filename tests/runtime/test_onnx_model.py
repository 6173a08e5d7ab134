"""Networks of others: what fits stands beside the members, what does not says what it lacks."""

import jax
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from PIL import Image

from dysr_jax.aot.onnx_graph import picture_model
from dysr_jax.apps.evaluation import evaluate_set
from dysr_jax.bench.fps import bench_fps
from dysr_jax.cli import main
from dysr_jax.data.benchmarks import find_benchmark_set
from dysr_jax.errors import InputError
from dysr_jax.report.bench_tables import bench_table
from dysr_jax.runtime.onnx_bank import OnnxBank
from dysr_jax.runtime.onnx_model import OnnxModel, open_rivals

FLOAT = TensorProto.FLOAT
FRAME = np.random.default_rng(3).integers(0, 256, (26, 30, 3), np.uint8)


def write(
    path, *, given=(1, 3, "h", "w"), kinds=(FLOAT, FLOAT), opset=17, gain=None, nodes=None, more=(), out=None
):
    """A model that repeats pixels twice, times `gain`."""
    sides = helper.make_tensor("sides", FLOAT, [4], [1, 1, 2, 2])
    if nodes is None:
        nodes = [helper.make_node("Resize", ["x", "", "sides"], ["y"], mode="nearest")]
    if gain is not None:
        nodes = [*nodes, helper.make_node("Mul", ["y", "gain"], ["z"])]
    last = nodes[-1].output[0]
    values = [helper.make_tensor_value_info("x", kinds[0], given), *more]
    made = helper.make_tensor_value_info(last, kinds[1], out or [1, 3, "r", "c"])
    ends = {"last": 2, "first": -9, "channels": 1, "back": -1}
    sides = [sides, *(helper.make_tensor(n, TensorProto.INT64, [1], [v]) for n, v in ends.items())]
    numbers = sides if gain is None else [*sides, helper.make_tensor("gain", kinds[0], [], [gain])]
    graph = helper.make_graph(nodes, "g", values, [made], numbers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    onnx.save(model, str(path))
    return path


def test_its_pixels_come_as_they_are(tmp_path):
    model = OnnxModel(write(tmp_path / "repeat.onnx"))
    assert (model.name, model.scale, model.size) == ("repeat.onnx", 2, None)
    np.testing.assert_array_equal(model(FRAME), FRAME.repeat(2, 0).repeat(2, 1))


def test_a_member_comes_back_as_a_rival(three_members, tmp_path):
    server = OnnxBank(three_members)
    server.prepare(FRAME.shape[:2], ["best"])
    for precision in ("float32", "float16"):
        path = tmp_path / f"{precision}.onnx"
        model = picture_model(three_members.space, three_members.params, (3, 3, 1), precision=precision)
        onnx.save(model, str(path))
        made = OnnxModel(path)(FRAME).astype(int)
        assert np.abs(made - server(FRAME, "best")).max() <= 1


def test_a_size_that_it_does_not_take(tmp_path):
    model = OnnxModel(write(tmp_path / "fixed.onnx", given=(1, 3, 26, 30)))
    assert model(FRAME).shape == (52, 60, 3)
    with pytest.raises(InputError, match=r"it takes frames of 26x30 only, not of 25x30$"):
        model(FRAME[:25])


DEFECTS = {
    "its input 'x' must be [1, 3, height, width], got [1, 1, 'h', 'w']": {"given": (1, 1, "h", "w")},
    "its input 'x' must be [1, 3, height, width], got [4, 3, 'h', 'w']": {"given": (4, 3, "h", "w")},
    "its input 'x' must be [1, 3, height, width], got [3]": {"given": (3,)},
    "its input 'x' must be float32 or float16": {"kinds": (TensorProto.DOUBLE, TensorProto.DOUBLE)},
    "its opset must be at least 11, got 10": {
        "opset": 10,
        "nodes": [helper.make_node("Identity", ["x"], ["y"])],
    },
    "must have one input and one output, an image each, got 2 and 1": {
        "more": [helper.make_tensor_value_info("noise", FLOAT, [1])]
    },
    "its output must be an image of 1 to 8 times the sides": {
        "nodes": [helper.make_node("GlobalAveragePool", ["x"], ["y"])]
    },
    "its pixels must be RGB in [0, 1]: of colour [200, 128, 56] it makes [255, 255, 255]": {"gain": 9.0},
    "its pixels must be RGB in [0, 1]: of colour [200, 128, 56] it makes [56, 128, 200]": {
        "nodes": [
            helper.make_node("Slice", ["x", "last", "first", "channels", "back"], ["b"]),
            helper.make_node("Resize", ["b", "", "sides"], ["y"], mode="nearest"),
        ]
    },
}


@pytest.mark.parametrize("problem", DEFECTS)
def test_what_a_file_lacks_is_said(tmp_path, problem):
    path = write(tmp_path / "other.onnx", **DEFECTS[problem])
    with pytest.raises(InputError) as error:
        OnnxModel(path)
    assert str(error.value).startswith(f"rival {str(path)!r}: {problem}")


def test_no_model_at_all(tmp_path):
    path = tmp_path / "text.onnx"
    with pytest.raises(InputError, match=r"must be an ONNX file that exists$"):
        OnnxModel(path)
    path.write_text("not a model")
    with pytest.raises(InputError, match=r"cannot be read as an ONNX model \(.+\)$"):
        OnnxModel(path)


def test_two_files_of_one_name_are_refused(tmp_path):
    (tmp_path / "other").mkdir()
    paths = [write(tmp_path / "a.onnx"), write(tmp_path / "other" / "a.onnx")]
    with pytest.raises(InputError, match=r"other/a.onnx': must have another name than the other rivals"):
        open_rivals(paths, 2)
    with pytest.raises(InputError, match=r"its scale must be that of the members, 3, got 2$"):
        open_rivals(paths[:1], 3)


def test_a_set_is_not_scored_at_another_scale(three_members, tmp_path):
    (tmp_path / "images").mkdir()
    Image.fromarray(FRAME.repeat(2, 0).repeat(2, 1)).save(tmp_path / "images" / "a.png")
    nodes = [helper.make_node("Identity", ["x"], ["y"])]
    rival = OnnxModel(write(tmp_path / "same.onnx", nodes=nodes))
    with pytest.raises(InputError, match=r"its scale must be that of the members, 2, got 1$"):
        evaluate_set(three_members, find_benchmark_set(tmp_path / "images", 2), rivals=[rival])


def test_on_a_gpu_a_rival_needs_a_provider(tmp_path, monkeypatch):
    path = write(tmp_path / "a.onnx")
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    with pytest.raises(InputError, match=r"must be run on a CPU or with backend onnxruntime, this is gpu$"):
        open_rivals([path], 2)
    assert open_rivals([path], 2, "onnxruntime:cpu")[0].scale == 2
    assert open_rivals([], 2) == []


def test_beside_the_members(three_members, tmp_path):
    rival = str(write(tmp_path / "repeat.onnx"))
    found = bench_fps(three_members, outputs=(18,), rounds=2, seconds=0.05, rivals=(rival, "onnxruntime"))
    assert [row.rival for row in found.rivals] == ["repeat.onnx", "onnxruntime"] * 3
    assert [row.max_abs_diff is None for row in found.rivals] == [True, False] * 3
    assert "None" not in bench_table(found)


def test_scores_of_a_rival(tmp_path, capsys):
    (tmp_path / "images").mkdir()
    Image.fromarray(FRAME).save(tmp_path / "images" / "a.png")
    rival, folder = str(write(tmp_path / "repeat.onnx")), str(tmp_path / "images")
    how = ["eval", folder, "--scale", "2", "--members", "fastest"]
    assert main([*how, "--rival", rival]) == 0
    assert "repeat.onnx" in capsys.readouterr().out
    how[3] = "4"
    assert main([*how, "--rivals", rival]) == 2
    assert "its scale must be that of the members, 4, got 2" in capsys.readouterr().err
