"""Frames per second beside PyTorch: its columns, and a run without it."""

import json
import sys

import frame_rivals
import jax
import numpy as np
import pytest

from dysr_jax.bundle.bundle import make_bundle, save_bundle
from dysr_jax.bundle.members import make_member
from dysr_jax.model.programs import make_supernet
from dysr_jax.model.space import uniform_space
from dysr_jax.model.supernet import init_params

SPACE = uniform_space(slots=2, widths=4, scale=2, branches=("id", "s3", "c3", "r1", "a1", "bh"))
ARCHS = [(0, 5, 0), (4, 1, 1)]
OURS = ("member", "output", "device_fps", "end_to_end_fps", "ratio", "p50_ms", "p99_ms")
THEIRS = ("torch_fps", "over_torch", "max_levels", "mean_levels")


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A bundle with noise on all weights: fresh ones hardly change a pixel."""
    shapes = jax.eval_shape(lambda: init_params(jax.random.key(0), SPACE))
    rng = np.random.default_rng(1)
    params = jax.tree.map(lambda leaf: 0.1 * rng.normal(size=leaf.shape).astype("f"), shapes)
    members = [make_member(SPACE, arch, 30.0 + i, 1.0 + i) for i, arch in enumerate(ARCHS)]
    net = make_supernet(SPACE, "float32")
    path = tmp_path_factory.mktemp("rivals") / "bundle"
    save_bundle(path, make_bundle(params, members, net=net, frame=(9, 16), bicubic_psnr_y=29.0), {})
    return path


@pytest.fixture
def run(saved, tmp_path, monkeypatch):
    def call():
        out = tmp_path / "fps.json"
        options = ["--bundle", saved, "--json", out, "--members", "fastest", "best"]
        options += ["--outputs", "36", "--rounds", "2", "--seconds", "0.05"]
        monkeypatch.setattr(sys, "argv", ["frame_rivals.py", *map(str, options)])
        frame_rivals.main()
        return json.loads(out.read_text())

    return call


def test_pytorch_makes_the_same_pixels(run, capsys):
    pytest.importorskip("torch")
    found = run()
    assert found["pytorch"] == "eager"
    assert [row["member"] for row in found["rows"]] == ["id-bh-u1", "a1-s3-u2"]
    for row in found["rows"]:
        assert tuple(row) == OURS + THEIRS
        assert row["over_torch"] == pytest.approx(row["device_fps"] / row["torch_fps"])
        assert row["max_levels"] <= 1
        assert row["mean_levels"] < 0.01
    assert "over_torch" in capsys.readouterr().out


def test_without_pytorch_its_columns_are_left_out(run, monkeypatch, capsys):
    monkeypatch.setattr(frame_rivals, "without_torch", lambda: "left out: torch is not installed")
    found = run()
    assert found["pytorch"] == "left out: torch is not installed"
    assert [tuple(row) for row in found["rows"]] == [OURS, OURS]
    assert "PyTorch: left out" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("mode", "backend", "expected"),
    [
        ("auto", "cpu", "eager"),
        ("auto", "gpu", "max-autotune"),
        ("reduce-overhead", "gpu", "reduce-overhead"),
    ],
)
def test_auto_compiles_on_a_gpu(monkeypatch, mode, backend, expected):
    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    assert frame_rivals.torch_mode(mode) == expected
