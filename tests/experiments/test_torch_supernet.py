"""The PyTorch baseline computes what the evaluator does, so that their rates are of the same work."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dysr_jax import parallel
from dysr_jax.model.branches import BODY, Branch
from dysr_jax.model.programs import make_supernet
from dysr_jax.model.space import largest_arch, smallest_arch, to_archs, uniform_space
from dysr_jax.model.supernet import init_params
from dysr_jax.search.evaluator import Evaluator
from dysr_jax.search.population import Patches

pytest.importorskip("torch")
module = pytest.importorskip("baselines.torch_supernet")


@pytest.fixture(scope="module")
def params(full_space):
    # Fresh weights hardly change the output; with noise in all of them archs differ by decibels.
    shapes = jax.eval_shape(lambda: init_params(jax.random.key(0), full_space))
    rng = np.random.default_rng(1)
    return jax.tree.map(lambda leaf: 0.2 * rng.normal(size=leaf.shape).astype("f"), shapes)


@pytest.fixture(scope="module")
def patches():
    """Five patches of two images: their shares are not equal. Rows and columns are told apart."""
    rng = np.random.default_rng(0)
    lr = rng.integers(0, 256, (5, 10, 14, 3), np.uint8)
    hr = lr.repeat(2, 1).repeat(2, 2)
    image = jnp.asarray([0, 0, 1, 1, 1], jnp.int32)
    return Patches(lr=jnp.asarray(lr), hr=jnp.asarray(hr), image=image)


@pytest.fixture(scope="module")
def genes(full_space):
    """Each branch of each slot once at least, beside the cheapest of the others."""
    ends = [smallest_arch(full_space), largest_arch(full_space)]
    ones = [
        (*ends[0][:slot], index, *ends[0][slot + 1 :])
        for slot, names in enumerate(full_space.slots)
        for index in range(len(names))
    ]
    return np.array(sorted({*ends, *ones}), np.int32)


def test_equals_the_evaluator(full_space, params, patches, genes):
    offered = {name for names in full_space.slots for name in names}
    assert {*BODY, "u1", "u2"} <= offered
    for slot, names in enumerate(full_space.slots):
        assert {*genes[:, slot].tolist()} == {*range(len(names))}
    evaluate = Evaluator(make_supernet(full_space, "float32"), patches, parallel.device_mesh(1))
    expected = evaluate(params, genes)
    assert len(np.unique(expected.round(4))) == len(genes)
    assert np.ptp(expected) > 0.5
    found = module.TorchSupernet(full_space, params, patches, device="cpu", dtype="float32")
    np.testing.assert_allclose(found(to_archs(full_space, genes)), expected, rtol=0, atol=1e-3)


def test_equals_the_evaluator_at_every_width(patches, noisy_params):
    space = uniform_space(slots=2, widths=(3, 8), scale=2, branches=("id", "s5", "r2", "a1"))
    params = noisy_params(space)
    ends = [end(space, width) for end in (smallest_arch, largest_arch) for width in space.widths]
    genes = np.array([*ends, (1, 2, 0, 0), (1, 2, 0, 1), (3, 1, 1, 0)], np.int32)
    expected = Evaluator(make_supernet(space, "float32"), patches, parallel.device_mesh(1))(params, genes)
    assert len(np.unique(expected.round(4))) == len(genes)
    found = module.TorchSupernet(space, params, patches, device="cpu", dtype="float32")
    np.testing.assert_allclose(found(to_archs(space, genes)), expected, rtol=0, atol=1e-3)


class Halved(Branch):
    """A branch of a user's own."""

    def reads(self, width, scale):
        return {}

    def __call__(self, kernels, x, layers):
        return 0.5 * x


def test_a_branch_that_it_does_not_know(monkeypatch, patches):
    monkeypatch.setitem(BODY, "halved", Halved())
    space = uniform_space(slots=1, widths=4, scale=2, branches=("id", "halved"), upsamplers=("u1",))
    params = init_params(jax.random.key(0), space)
    with pytest.raises(TypeError, match=r"^the PyTorch baseline has no branch Halved$"):
        module.TorchSupernet(space, params, patches, device="cpu", dtype="float32")
