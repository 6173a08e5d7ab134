"""Weights that were cut and cast ahead of time: the same pixels, nothing converted, parts shared."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cast_weights import CastWeights

from dysr_jax.aot.accounting import count_compilations
from dysr_jax.errors import InputError
from dysr_jax.model.names import parse_arch
from dysr_jax.model.programs import compile_static, make_supernet
from dysr_jax.model.sharing import compact_params, kept_branches
from dysr_jax.model.space import uniform_space
from dysr_jax.model.supernet import arch_params, init_params

SPACE = uniform_space(slots=2, widths=4, scale=2)
NAMES = ["rq-c3-u1", "a2-c5-u2", "id-s3-u1"]
ARCHS = [parse_arch(SPACE, name) for name in NAMES]


@pytest.fixture(scope="module")
def params():
    shapes = jax.eval_shape(lambda: init_params(jax.random.key(0), SPACE))
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda s: 0.1 * rng.normal(size=s.shape).astype("f"), shapes)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_same_pixels(params, dtype):
    net, arch = make_supernet(SPACE, dtype), ARCHS[0]
    frame = np.random.default_rng(1).integers(0, 256, (6, 5, 3), np.uint8)
    stored = arch_params(params, SPACE, arch)
    expected = compile_static(net, arch, params, (6, 5))(stored, frame)
    resident = CastWeights(net, params)
    read = resident.read(arch)
    assert stored["slot00"]["pair_in"].shape != read["slot00"]["pair_in"].shape
    compiled = compile_static(resident.net(arch), arch, read, (6, 5))
    np.testing.assert_array_equal(compiled(read, frame), expected)


@pytest.mark.parametrize("arch", ARCHS)
def test_what_an_arch_reads_and_no_more(params, arch):
    found = CastWeights(make_supernet(SPACE, "bfloat16"), params).read(arch)
    expected = jax.tree.map(lambda x: x.astype(jnp.bfloat16), compact_params(params, SPACE, [arch]))
    jax.tree.map(np.testing.assert_array_equal, found, expected)
    assert {leaf.dtype for leaf in jax.tree.leaves(found)} == {jnp.dtype(jnp.bfloat16)}


def test_archs_share_what_they_cut_alike(params):
    resident = CastWeights(make_supernet(SPACE, "bfloat16"), params)
    with count_compilations() as compilations:
        first, last = resident.read(ARCHS[0]), resident.read(ARCHS[2])
    assert compilations.value == 0
    assert first["upsampler"]["subpixel"] is last["upsampler"]["subpixel"]
    assert first["head"]["kernel"] is last["head"]["kernel"]
    leaves = {id(leaf): leaf.nbytes for leaf in jax.tree.leaves([first, last])}
    assert resident.nbytes == sum(leaves.values())


def test_a_branch_that_was_not_kept(params):
    kept = kept_branches(SPACE, ARCHS[:1])
    small = compact_params(params, SPACE, ARCHS[:1])
    resident = CastWeights(make_supernet(SPACE, "float32", kept), small)
    resident.read(ARCHS[0])
    with pytest.raises(InputError, match=r"were not kept$"):
        resident.read(ARCHS[2])
