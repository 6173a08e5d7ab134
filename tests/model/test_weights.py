"""Weights as files: what is written comes back, in float32 whatever was stored."""

import jax
import numpy as np
import pytest
import safetensors.numpy

from dysr_jax.errors import InputError
from dysr_jax.model.space import uniform_space
from dysr_jax.model.supernet import init_params
from dysr_jax.model.weights import SUPERNET_FILE, params_from_bytes, params_to_bytes

SPACE = uniform_space(slots=2, widths=4, scale=2)


@pytest.fixture(scope="module")
def params():
    return init_params(jax.random.key(0), SPACE)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_round_trip(params, dtype):
    content = params_to_bytes(params, dtype)
    found = params_from_bytes(content)
    assert jax.tree.structure(found) == jax.tree.structure(params)
    for mine, theirs in zip(jax.tree.leaves(found), jax.tree.leaves(params), strict=True):
        assert mine.dtype == np.float32
        expected = np.asarray(theirs, dtype)  # NumPy's own rounding
        np.testing.assert_array_equal(mine, expected)
        np.testing.assert_allclose(mine, theirs, rtol=2**-11, atol=2**-24)
    # Another process of the same bytes writes the same file again.
    assert params_to_bytes(found, dtype) == content


def test_half_precision_is_half_the_file_and_rounds(params):
    half, whole = params_to_bytes(params, "float16"), params_to_bytes(params)
    weights = sum(leaf.size for leaf in jax.tree.leaves(params))
    assert abs(len(whole) - len(half) - 2 * weights) < 0.1 * weights
    first, second = (params_from_bytes(content)["head"]["kernel"] for content in (half, whole))
    assert (first != second).any()


def test_names_are_slot_and_kernel(params):
    stored = safetensors.numpy.load(params_to_bytes(params))
    assert "head/kernel" in stored
    assert "slot01/pair_in_bias" in stored
    assert len(stored) == len(jax.tree.leaves(params))


@pytest.mark.parametrize("content", [b"", b"\x00" * 40, b"text" * 20])
def test_what_is_no_safetensors_file_is_refused(content):
    with pytest.raises(InputError, match="it is no safetensors file"):
        params_from_bytes(content)


def test_a_run_leaves_the_whole_supernet(tiny_run, tiny):
    """More than its bundle, whose kernels are among them."""
    found = params_from_bytes((tiny_run.path / SUPERNET_FILE).read_bytes())
    fresh = init_params(jax.random.key(0), tiny.space.build())
    assert jax.tree.map(np.shape, found) == jax.tree.map(np.shape, fresh)
    for slot, kernels in tiny_run.bundle.params.items():
        for name, kernel in kernels.items():
            whole = np.asarray(found[slot][name])
            assert kernel.dtype == np.float32
            assert set(np.asarray(kernel).ravel()) <= set(whole.ravel())
