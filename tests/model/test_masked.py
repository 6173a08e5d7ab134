"""Families of branches that run as the widest of them; who is in one, and who cannot be."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dysr_jax.errors import InputError
from dysr_jax.model.backend import XlaLayers
from dysr_jax.model.branches import BODY, Branch, Conv, ResidualPair, layer_specs
from dysr_jax.model.kernels import Kernels, cut_kernels, union_specs
from dysr_jax.model.masked import branch_families, run_masked
from dysr_jax.model.space import uniform_space
from dysr_jax.model.supernet import Supernet

NAMES = ("id", "rh", "c3", "a1", "r1", "bq", "c5", "bh", "a2", "s3", "k3", "v3", "sg")
WIDTHS = (3, 6)


class Scaled(ResidualPair):
    """A pair whose instances differ in more than channels, and which says nothing of it."""

    def __init__(self, factor):
        super().__init__(1)
        self.factor = factor

    def __call__(self, kernels, x, layers):
        return self.factor * super().__call__(kernels, x, layers)


class Mirrored(Branch):
    """Does not hand on its kernel as it got it."""

    nested = True

    def reads(self, width, scale):
        return layer_specs("own", (3, 3, width, width), 1.0)

    def __call__(self, kernels, x, layers):
        y = jax.nn.relu(layers.conv2d(x, kernels["own"]) + kernels["own_bias"])
        return layers.conv2d(y, kernels["own"][::-1])


def test_families_differ_in_channels_only():
    families = branch_families([BODY[name] for name in NAMES], 8, 2)
    found = [[NAMES[index] for index in family] for family in families]
    assert found == [
        ["id"],
        ["rh", "r1"],
        ["c3"],
        ["a1", "a2"],
        ["bq", "bh"],
        ["c5"],
        ["s3"],
        ["k3"],
        ["v3"],
        ["sg"],
    ]


def test_a_subclass_has_to_say_it_itself():
    assert branch_families([Scaled(1.0), Scaled(2.0), ResidualPair(1), ResidualPair(2)], 8, 2) == [
        [0],
        [1],
        [2, 3],
    ]


def stored_of(branches) -> Kernels:
    rng = np.random.default_rng(0)
    whole = union_specs(branch.reads(WIDTHS[-1], 2) for branch in branches)
    shapes = {name: spec.shape for name, spec in whole.items()}
    return {name: jnp.asarray(rng.normal(size=shape), jnp.float32) for name, shape in shapes.items()}


class Leading(Branch):
    """Adds to half of its channels what a wide one adds to more: no masked wide one."""

    def reads(self, width, scale):
        return layer_specs("lead", (3, 3, width // 2, width // 2), 1.0)

    def __call__(self, kernels, x, layers):
        half = kernels["lead"].shape[-1]
        y = layers.conv2d(x[..., :half], kernels["lead"]) + kernels["lead_bias"]
        return x + jnp.pad(y, [(0, 0)] * 3 + [(0, x.shape[-1] - half)])


@pytest.mark.parametrize(
    "branch", [Scaled(2.0), Conv(3), Leading()], ids=lambda branch: type(branch).__name__
)
def test_an_image_goes_through_at_its_own_width(branch):
    net = Supernet(uniform_space(slots=1, widths=WIDTHS, scale=2, branches=("id",)))
    stored, width = stored_of([branch]), np.array([0, 1, 0])
    x = np.random.default_rng(1).normal(size=(3, 5, 4, 6)).astype(np.float32)
    x[width == 0, ..., 3:] = 0
    out = run_masked(net, [branch], stored, jnp.asarray(x), jnp.zeros(3, jnp.int32), jnp.asarray(width))
    for i, index in enumerate(width):
        channels = WIDTHS[index]
        kernels = cut_kernels(stored, branch.reads(channels, 2))
        expected = branch(kernels, jnp.asarray(x[i : i + 1, ..., :channels]), XlaLayers())
        np.testing.assert_allclose(out[i : i + 1, ..., :channels], expected, rtol=0, atol=1e-4)
        assert not np.asarray(out[i, ..., channels:]).any()


def test_no_branch_of_a_family_has_to_be_the_widest_in_all():
    """Of two gates one has more hidden channels, the other more in the squeeze."""
    branches = [ResidualPair(2, attention=True, reduction=6), ResidualPair(1, attention=True, reduction=2)]
    net = Supernet(uniform_space(slots=1, widths=6, scale=2, branches=("id",)))
    stored, chosen = stored_of(branches), np.array([0, 1])
    x = jnp.asarray(np.random.default_rng(1).normal(size=(2, 5, 4, 6)), jnp.float32)
    out = run_masked(net, branches, stored, x, jnp.asarray(chosen), jnp.zeros(2, jnp.int32))
    for i, branch in enumerate(branches):
        expected = branch(cut_kernels(stored, branch.reads(6, 2)), x[i : i + 1], XlaLayers())
        np.testing.assert_allclose(out[i : i + 1], expected, rtol=1e-4, atol=1e-4)


def test_a_branch_that_changes_its_kernels_is_refused():
    net = Supernet(uniform_space(slots=1, widths=WIDTHS, scale=2, branches=("id",)))
    x, index = jnp.ones((2, 4, 4, 6)), jnp.zeros(2, jnp.int32)
    with pytest.raises(InputError, match="must hand its kernels to the layers as it got them"):
        run_masked(net, [Mirrored()], stored_of([Mirrored()]), x, index, index)
