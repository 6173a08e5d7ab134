"""Blended branches of a user's own: with no `blend`, with an inherited one, of several gates in a slot."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dysr_jax.model.backend import XlaLayers
from dysr_jax.model.branches import BODY, Branch, ResidualPair, blend_branches
from dysr_jax.model.conv import conv2d
from dysr_jax.model.kernels import KernelSpec, union_specs
from dysr_jax.model.space import uniform_space
from dysr_jax.model.supernet import Supernet, init_params

WIDTH = 6
X = np.random.default_rng(0).normal(size=(4, 5, 4, WIDTH)).astype(np.float32)


class Shifted(Branch):
    """A branch with a kernel, and no `blend`."""

    def __init__(self, factor):
        self.factor = factor

    def reads(self, width, scale):
        return {"shift": KernelSpec((width,))}

    def __call__(self, kernels, x, layers):
        return self.factor * x + kernels["shift"]


class Halved(ResidualPair):
    """Computes something else than its base, and says nothing of `blend`."""

    def __call__(self, kernels, x, layers):
        return 0.5 * super().__call__(kernels, x, layers)


class Renamed(ResidualPair):
    """Reads kernels that its base's `blend` does not know."""

    def reads(self, width, scale):
        return {f"my_{name}": spec for name, spec in super().reads(width, scale).items()}

    def __call__(self, kernels, x, layers):
        return super().__call__({k.removeprefix("my_"): v for k, v in kernels.items()}, x, layers)


class Tripled(ResidualPair):
    """Brings its own of both."""

    def __call__(self, kernels, x, layers):
        return 3.0 * x

    @classmethod
    def blend(cls, branches, stored, x, chosen, scale, layers):
        return 3.0 * jnp.sum(chosen, 1)[:, None, None, None] * x


CASES = {
    "no blend": [Shifted(2.0), Shifted(-1.0), ResidualPair(1)],
    "inherited with another call": [ResidualPair(0.5), Halved(1), ResidualPair(1)],
    "inherited with other kernels": [Renamed(0.5), ResidualPair(1), Renamed(1)],
    "its own": [Tripled(1), ResidualPair(1), Shifted(2.0)],
    "gates of several widths": [
        ResidualPair(1, attention=True, reduction=6),
        ResidualPair(0.5, attention=True, reduction=2),
        ResidualPair(1, attention=True, reduction=3),
        ResidualPair(1),
    ],
}


def kernels_of(branches):
    """What a slot of these branches stores, all random."""
    rng = np.random.default_rng(1)
    specs = union_specs(branch.reads(WIDTH, 2) for branch in branches)
    kernels = {n: 0.4 * rng.normal(size=s.shape).astype("f") for n, s in specs.items()}
    if "gate_in_bias" in kernels:
        kernels["gate_in"] *= 0.1  # a gate of few units is deaf below zero
        kernels["gate_in_bias"] += 2
    return kernels


def leading(stored, specs):
    """The leading channels; no spatial part is cut here."""
    return {n: stored[n][tuple(map(slice, spec.shape))] for n, spec in specs.items()}


@pytest.mark.parametrize("name", CASES)
def test_blended_branches_are_each_image_s_own(name):
    branches = CASES[name]
    stored = kernels_of(branches)
    each = [b(leading(stored, b.reads(WIDTH, 2)), X, XlaLayers()) for b in branches]
    for first in range(len(branches)):
        for second in range(first):
            assert np.abs(each[first] - each[second]).max() > 0.05
    for shift in range(len(branches)):
        index = (np.arange(4) + shift) % len(branches)
        found = blend_branches(branches, stored, X, jnp.asarray(index), 2, XlaLayers())
        expected = np.stack([each[i][n] for n, i in enumerate(index)])
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_a_registered_branch_of_one_s_own_is_trained_blended(monkeypatch):
    """From the space to the gradient, without a word of blending in the branch."""
    monkeypatch.setitem(BODY, "mine", Shifted(2.0))
    space = uniform_space(slots=1, widths=4, scale=2, branches=("id", "mine"), upsamplers=("u1",))
    params = init_params(jax.random.key(0), space)
    params["upsampler"]["subpixel"] = params["upsampler"]["subpixel"] + 0.1
    lr = np.random.default_rng(2).random((2, 4, 4, 3), np.float32)

    def loss(params, arch):
        return jnp.sum(Supernet(space).apply({"params": params}, lr, arch) ** 2)

    blended = jax.grad(loss)(params, jnp.asarray([[1, 0], [1, 0]]))
    static = jax.grad(loss)(params, (1, 0))
    assert np.abs(static["slot00"]["shift"]).min() > 0.01
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), blended, static)


def test_what_another_image_takes_leaves_the_bits():
    """Conversely to the tests of equality: nothing of an image leaks into its neighbours."""
    branches = [*BODY.values()]
    stored = kernels_of(branches)
    run = jax.jit(lambda x, index: blend_branches(branches, stored, x, index, 2, XlaLayers()))
    mine = [run(X, np.array([5, other, other, other]))[0] for other in range(len(branches))]
    for found in mine[1:]:
        np.testing.assert_array_equal(found, mine[0])
    alien = run(np.concatenate([X[:1], 1 - X[1:]]), np.array([5, 1, 2, 3]))
    np.testing.assert_array_equal(alien[0], mine[0])
    assert (run(X, np.array([6, 0, 0, 0]))[0] != mine[0]).any()


def test_a_conv_of_the_centre_is_blended_too():
    """Kernels of two sizes in one class: the general `blend` cuts each branch's own."""
    branches = [BODY["c3"], BODY["c5"]]
    stored = kernels_of(branches)
    found = blend_branches(branches, stored, X, jnp.asarray([0, 1, 1, 0]), 2, XlaLayers())
    small = X + jax.nn.relu(conv2d(X, stored["conv"][1:4, 1:4]) + stored["conv_bias"])
    large = X + jax.nn.relu(conv2d(X, stored["conv"]) + stored["conv_bias"])
    expected = np.stack([small[0], large[1], large[2], small[3]])
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
