"""The PyTorch module of a sub-graph, and what happens where it cannot be compiled."""

import jax
import numpy as np
import pytest

from dysr_jax.model.branches import BODY, Branch
from dysr_jax.model.names import parse_arch
from dysr_jax.model.programs import compile_static, make_supernet
from dysr_jax.model.sharing import compact_params
from dysr_jax.model.space import uniform_space
from dysr_jax.model.supernet import arch_params, init_params

torch = pytest.importorskip("torch")
frames = pytest.importorskip("baselines.torch_frames")


@pytest.fixture(scope="module")
def params(full_space):
    shapes = jax.eval_shape(lambda: init_params(jax.random.key(0), full_space))
    rng = np.random.default_rng(1)
    return jax.tree.map(lambda leaf: 0.1 * rng.normal(size=leaf.shape).astype("f"), shapes)


@pytest.fixture(scope="module")
def frame():
    return np.random.default_rng(0).integers(0, 256, (9, 14, 3), np.uint8)


def module_of(space, params, name, **options):
    arch = parse_arch(space, name)
    return frames.FrameModule(space, params, arch, **({"device": "cpu", "dtype": "float32"} | options))


def test_the_pixels_of_the_static_program(full_space, params, frame):
    """Rows, columns and colours are told apart; other branches are held equal by the supernet's tests."""
    arch = parse_arch(full_space, "s5-a2-u2")
    read = arch_params(params, full_space, arch)
    net = make_supernet(full_space, "float32")
    expected = np.asarray(compile_static(net, arch, params, frame.shape[:2])(read, frame))
    served = frames.serve(module_of(full_space, params, "s5-a2-u2"), frame, "eager", "cpu")
    found = served.frames.pixels()
    assert served.how == "eager"
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    assert expected.std() > 20
    assert np.abs(found.astype(int) - expected).max() <= 1
    assert not np.array_equal(found, frame.repeat(2, 0).repeat(2, 1))


def test_compacted_weights_give_the_same(full_space, params, frame):
    arch = parse_arch(full_space, "rq-c3-u1")
    small = compact_params(params, full_space, [arch])
    outputs = [
        frames.serve(module_of(full_space, p, "rq-c3-u1"), frame, "eager", "cpu").frames.pixels()
        for p in (params, small)
    ]
    np.testing.assert_array_equal(*outputs)


def test_weights_are_buffers_in_the_compute_dtype(full_space, params):
    """CUDA graphs copy what is no buffer at every frame."""
    module = module_of(full_space, params, "r1-id-u1", dtype="bfloat16")
    sizes = [buffer.numel() for buffer in module.buffers()]
    width = full_space.width
    pair, subpixel = 2 * (9 * width * width + width), 9 * width * 12 + 12
    assert sum(sizes) == 28 * width + pair + subpixel
    assert {buffer.dtype for buffer in module.buffers()} == {torch.bfloat16}


def test_it_is_compiled_as_asked_and_warm(full_space, params, frame, monkeypatch):
    asked, called = [], []

    def compile(module, **options):
        asked.append(options)
        return lambda x: (called.append(x.shape), module(x))[1]

    monkeypatch.setattr(torch, "compile", compile)
    monkeypatch.setattr(torch.compiler, "reset", lambda: None)  # imports the compiler
    module = module_of(full_space, params, "2id-u1")
    served = frames.serve(module, frame, "reduce-overhead", "cpu")
    assert served.how == "reduce-overhead"
    assert asked == [{"mode": "reduce-overhead", "dynamic": False}]
    assert len(called) == 3
    assert served.frames.pixels().shape == (18, 28, 3)


def test_eager_where_it_cannot_be_compiled(full_space, params, frame, monkeypatch):
    def compile(module, **options):
        raise RuntimeError("no compiler\nat all")

    monkeypatch.setattr(torch, "compile", compile)
    monkeypatch.setattr(torch.compiler, "reset", lambda: None)  # imports the compiler
    served = frames.serve(module_of(full_space, params, "2id-u1"), frame, "max-autotune", "cpu")
    assert served.how == "eager: torch.compile failed (no compiler)"
    assert served.frames.pixels().shape == (18, 28, 3)


class Halved(Branch):
    """A branch of a user's own."""

    def reads(self, width, scale):
        return {}

    def __call__(self, kernels, x, layers):
        return 0.5 * x


def test_a_branch_that_pytorch_does_not_know(monkeypatch):
    monkeypatch.setitem(BODY, "halved", Halved())
    space = uniform_space(slots=1, widths=4, scale=2, branches=("halved",), upsamplers=("u1",))
    params = init_params(jax.random.key(0), space)
    with pytest.raises(TypeError, match=r"has no branch Halved$"):
        module_of(space, params, "halved-u1")
