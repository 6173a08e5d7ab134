"""Rivals compute the same frames over the same weights; what cannot be asked for is refused."""

import jax
import numpy as np
import pytest

from dysr_jax.bench import fps, rivals
from dysr_jax.bench.fps import bench_fps
from dysr_jax.bench.rivals import RIVALS, can_import, choose_rivals, rival_call
from dysr_jax.bundle.bundle import make_bundle, make_member
from dysr_jax.errors import InputError
from dysr_jax.model.programs import compile_static, make_supernet
from dysr_jax.model.space import uniform_space
from dysr_jax.model.supernet import arch_params, init_params
from dysr_jax.report.bench_tables import bench_table

SPACE = uniform_space(slots=4, widths=4, scale=2, branches=("id", "s3", "c3", "rh", "bh", "a1"))
ARCHS = (1, 2, 3, 4, 1), (0, 4, 5, 0, 0)


def make(*archs):
    """Members with noise on all weights, so that each of them shows."""
    shapes = jax.eval_shape(lambda: init_params(jax.random.key(0), SPACE))
    rng = np.random.default_rng(1)
    params = jax.tree.map(lambda leaf: 0.25 * rng.normal(size=leaf.shape).astype("f"), shapes)
    members = [make_member(SPACE, arch, 30.0 + i, 1.0 + i) for i, arch in enumerate(archs)]
    net = make_supernet(SPACE, "float32")
    return make_bundle(params, members, net=net, frame=(9, 16), bicubic_psnr_y=29.0)


@pytest.fixture(scope="module")
def bundle():
    return make(*ARCHS)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("member", [0, 1])
@pytest.mark.parametrize("name", RIVALS)
def test_a_rival_makes_the_same_frame(bundle, name, member):
    if not can_import(name):
        pytest.skip(f"{name} is not installed")
    member, frame = bundle.members[member], np.random.default_rng(2).integers(0, 256, (9, 16, 3), np.uint8)
    read = arch_params(bundle.params, SPACE, member.arch)
    expected = np.asarray(compile_static(bundle.net, member.arch, read, (9, 16))(read, frame)).astype(int)
    made = rival_call(name, bundle, member, (9, 16))(frame)
    assert (made.shape, made.dtype) == (expected.shape, np.uint8)
    assert np.abs(made - expected).max() <= 1
    assert np.mean(made != expected) < 1e-2
    assert np.ptp(expected) > 100


def fake(name, bundle, member, shape):
    read = arch_params(bundle.params, bundle.space, member.arch)
    run = compile_static(bundle.net, member.arch, read, shape)
    return lambda frame: np.asarray(run(read, frame)) ^ (2 if name == "wrong" else 0)


def test_a_row_for_each_rival(bundle, monkeypatch):
    monkeypatch.setattr(fps, "choose_rivals", lambda asked: tuple(asked))
    monkeypatch.setattr(fps, "rival_call", fake)
    asked = {"rivals": ("right", "wrong"), "outputs": (18,), "rounds": 2, "seconds": 0.05}
    found = bench_fps(bundle, **asked)
    assert [row.rival for row in found.rivals] == ["right", "wrong"] * 2
    assert [row.max_abs_diff for row in found.rivals] == [0, 2, 0, 2]
    for row in found.rivals:
        assert row.ratio == pytest.approx(row.ours_ms / row.rival_ms)
        assert row.best_ratio >= row.ratio
    assert "wrong" in bench_table(found)
    assert not bench_fps(bundle, **{**asked, "rivals": ()}).rivals


def test_which_are_measured(monkeypatch):
    monkeypatch.setattr(rivals, "can_import", lambda name: name != "torch")
    assert choose_rivals(()) == ()
    assert choose_rivals(("all",)) == ("onnxruntime", "openvino")
    assert choose_rivals(("openvino",)) == ("openvino",)
    with pytest.raises(InputError, match=r"^rivals 'torch': must be importable, .*\(pip install torch\)$"):
        choose_rivals(("openvino", "torch"))
    with pytest.raises(
        InputError, match=r"^rivals 'tvm': must be all, onnxruntime, openvino, torch, or a file MODEL.onnx$"
    ):
        choose_rivals(("tvm",))
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert choose_rivals(()) == ()
    with pytest.raises(InputError, match=r"^rivals 'openvino': must be measured on a CPU, this is gpu$"):
        choose_rivals(("openvino",))
