"""The candidates: what they compute, by plain convolutions; what a space, tiles and training ask of them."""

import functools
import pathlib
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from dysr_jax.apps.tiles import receptive_radius
from dysr_jax.model.backend import layer_backend
from dysr_jax.model.branches import BODY
from dysr_jax.model.masked import run_masked
from dysr_jax.model.names import parse_arch
from dysr_jax.model.space import SearchSpace
from dysr_jax.model.supernet import Supernet, init_params, run_branch
from dysr_jax.model.upsamplers import UPSAMPLERS
from dysr_jax.user_modules import import_user_module

ROOT = pathlib.Path(__file__).parents[2]
WIDTHS = (4, 8)
LR = np.random.default_rng(0).random((2, 6, 5, 3), np.float32)


@pytest.fixture(scope="module")
def space(candidates):
    return SearchSpace((tuple(candidates.CANDIDATES),), tuple(candidates.UPSAMPLER_CANDIDATES), WIDTHS, 2)


@pytest.fixture(scope="module")
def params(space):
    """Every weight random: fresh ones have zero biases and an upsampler that is almost silent."""
    shapes = jax.eval_shape(lambda: init_params(jax.random.key(0), space))
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda s: 0.3 * rng.normal(size=s.shape).astype(np.float32), shapes)


def conv(x, kernel, groups=1):
    """The oracle's one layer: a pointwise is a 1x1, a depthwise has as many groups as channels."""
    return lax.conv_general_dilated(
        x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"), feature_group_count=groups
    )


def relu(x):
    return np.maximum(x, 0)


def swift(k, x, c):
    y = relu(conv(x, k["swift0"][:, :, :c, :c]) + k["swift0_bias"][:c])
    y = relu(conv(y, k["swift1"][:, :, :c, :c]) + k["swift1_bias"][:c])
    y = conv(y, k["swift2"][:, :, :c, :c]) + k["swift2_bias"][:c]
    return (x + y) * (1 / (1 + np.exp(-y)) - 0.5)


def fused(k, x, c):
    y = relu(conv(x, k["fused"][:, :, :c, :c]) + k["fused_bias"][:c])
    return x + y @ k["fused_out"][:c, :c] + k["fused_out_bias"][:c]


def partial(k, x, c):
    """As one dense convolution: the pointwise kernel in the centre, the other one in a corner of channels."""
    kernel = np.zeros((3, 3, c, c), np.float32)
    kernel[:, :, : c // 2, : c // 2] = k["lead"][:, :, : c // 2, : c // 2]
    kernel[1, 1] += k["all"][:c, :c]
    return x + relu(conv(x, kernel) + k["all_bias"][:c])


def inverted(k, x, c):
    y = relu(x @ k["mixed"][:c, :c] + k["mixed_bias"][:c])
    y = relu(conv(y, k["spread"][:, :, None, :c], c) + k["spread_bias"][:c])
    return x + y @ k["merged"][:c, :c] + k["merged_bias"][:c]


def broad(k, x, c, middle):
    y = conv(x, k["broad"][middle, middle, None, :c], c)
    y = relu(y @ k["broad_in"][:c, :c] + k["broad_in_bias"][:c])
    return x + y @ k["broad_out"][:c, :c] + k["broad_out_bias"][:c]


def direct(k, x, c):
    return x @ k["direct"][:c] + k["direct_bias"]


ORACLES = {
    "sp": swift,
    "f1": fused,
    "p3": partial,
    "i1": inverted,
    "n5": lambda k, x, c: broad(k, x, c, slice(1, 6)),
    "n7": lambda k, x, c: broad(k, x, c, slice(0, 7)),
    "u0": direct,
    "ud": lambda k, x, c: direct(k, conv(x, k["around"][:, :, None, :c], c), c),
}
"""What each computes from the whole kernels of its slot on `[N, H, W, c]`."""

RADII = {"sp": 3, "f1": 1, "p3": 1, "i1": 1, "n5": 2, "n7": 3, "u0": 0, "ud": 1}


def found(candidates, name):
    return {**candidates.CANDIDATES, **candidates.UPSAMPLER_CANDIDATES}[name]


def slot_of(name):
    return "upsampler" if name in UPSAMPLERS else "slot00"


def test_importing_registers(candidates, monkeypatch):
    """As `--register` does it, in the folder of the repository; a name that is taken stays."""
    assert ORACLES.keys() == RADII.keys() == candidates.CANDIDATES.keys() | candidates.UPSAMPLER_CANDIDATES
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(BODY, "sp")
    monkeypatch.delitem(UPSAMPLERS, "ud")
    module = import_user_module("experiments.branch_candidates", "register")
    assert BODY["sp"] is module.CANDIDATES["sp"]
    assert UPSAMPLERS["ud"] is module.UPSAMPLER_CANDIDATES["ud"]
    assert BODY["n7"] is candidates.CANDIDATES["n7"]
    del sys.modules["experiments.branch_candidates"]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ORACLES)
def test_a_candidate_computes_what_it_says(candidates, space, params, name, width):
    x = np.random.default_rng(1).normal(size=(2, 8, 9, width)).astype(np.float32)
    stored = params[slot_of(name)]
    run = jax.jit(lambda stored, x: run_branch(Supernet(space), found(candidates, name), stored, x))
    np.testing.assert_allclose(run(stored, x), ORACLES[name](stored, x, width), rtol=1e-4, atol=1e-4)


def test_a_space_of_many_widths_takes_them(space):
    """What each reads at a width is a part of what it reads at the next, or the space would be refused."""
    SearchSpace(space.body, space.upsamplers, (1, 2, 3, 6, 8, 17, 48, 64), 2)


@pytest.mark.long
def test_the_static_program_equals_the_search_program(space, params):
    """Each candidate, with an upsampler and a width in turn."""

    def run(params, lr, arch):
        return Supernet(space).apply({"params": params}, lr, arch)

    search, static = jax.jit(run), jax.jit(run, static_argnums=2)
    outs = set()
    for i in range(len(space.slots[0])):
        arch = (i, i % 2, i // 2 % 2)
        out = np.asarray(search(params, LR, np.array(arch)))
        np.testing.assert_allclose(out, static(params, LR, arch), rtol=0, atol=1e-5 * np.abs(out).max())
        outs.add(out.tobytes())
    assert len(outs) == len(space.slots[0])


def test_no_dtype_is_promoted_implicitly(space, params, strict_dtypes):
    net = Supernet(space, dtype=jnp.bfloat16)
    out = jax.eval_shape(lambda p, arch: net.apply({"params": p}, LR, arch), params, np.zeros(3, int))
    assert out.dtype == jnp.float32


@pytest.mark.parametrize("name", ORACLES)
def test_images_of_two_widths_go_through_the_widest(candidates, space, params, name):
    """What training with `archs` patch does: each image gets what its own width gives."""
    branch, stored, net = found(candidates, name), params[slot_of(name)], Supernet(space)
    x = np.random.default_rng(1).normal(size=(2, 8, 9, 8)).astype(np.float32)
    x[0, ..., 4:] = 0
    index, last = jnp.array([0, 1]), name in UPSAMPLERS
    run = functools.partial(run_masked, net, [branch], stored, chosen=0 * index, width=index, upsampler=last)
    masked = jax.jit(run)(x)
    np.testing.assert_allclose(masked[1:], run_branch(net, branch, stored, x[1:]), rtol=1e-5, atol=1e-5)
    narrow = run_branch(net, branch, stored, x[:1, ..., :4])
    np.testing.assert_allclose(masked[:1, ..., : narrow.shape[-1]], narrow, rtol=1e-5, atol=1e-5)
    assert name in UPSAMPLERS or not np.any(masked[0, ..., 4:])


@pytest.mark.parametrize(("name", "radius"), RADII.items())
def test_a_candidate_says_how_far_it_sees(candidates, name, radius):
    """By the gradient of an output pixel: what it depends on, and no more."""
    branch, layers, rng = found(candidates, name), layer_backend("xla"), np.random.default_rng(0)
    kernels = {
        k: rng.uniform(0, 0.1, spec.shape).astype(np.float32) for k, spec in branch.reads(4, 2).items()
    }
    x = rng.random((1, 11, 11, 4), np.float32)  # no relu closes
    seen = jax.jit(jax.grad(lambda x: jnp.sum(branch(kernels, x, layers)[0, 5, 5] ** 2)))(x)
    reach = np.abs(np.argwhere(np.abs(seen[0]).sum(-1)) - 5).max()
    assert reach == branch.radius(4, 2) == radius


def test_tiles_overlap_by_the_radius_of_an_arch(candidates):
    """Three pixels for each `n7`, one for the head, and one for an upsampler with a depthwise."""
    space = SearchSpace((("n7", "id"),) * 2, ("u0", "ud"), 4, 2)
    radii = {"2n7-u0": 7, "2n7-ud": 8, "n7-id-u0": 4}
    assert {name: receptive_radius(space, parse_arch(space, name)) for name in radii} == radii
