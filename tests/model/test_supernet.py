"""The two programs of the supernet over one pytree: equal for every branch, compiled as promised."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from dysr_jax.aot.accounting import count_compilations
from dysr_jax.errors import InputError
from dysr_jax.model.branches import BODY
from dysr_jax.model.space import gene_counts, uniform_space
from dysr_jax.model.supernet import Supernet, init_params, slot_name
from dysr_jax.model.upsamplers import UPSAMPLERS, pixel_shuffle

BRANCHES = [*((0, name) for name in BODY), *((1, name) for name in BODY), *((2, name) for name in UPSAMPLERS)]
"""Slot and branch, for each of `full_space`."""

LR = np.random.default_rng(0).random((2, 6, 5, 3), np.float32)
COTANGENT = np.random.default_rng(1).normal(size=(2, 12, 10, 3)).astype(np.float32)
SOME_ARCHS = [(0, 8, 0), (5, 2, 1)]


def names_with(slot, name):
    """Archs of a slot's branches that differ in nothing else."""
    others = ("s5", "c3", "u1")
    return (*others[:slot], name, *others[slot + 1 :])


def names_through(slot, name):
    """One of as many archs as branches that between them hold every branch of every slot."""
    body, upsamplers = list(BODY), list(UPSAMPLERS)
    shift = 4  # no slot pairs a branch with itself
    index = upsamplers.index(name) if slot == 2 else body.index(name) - shift * slot
    index %= len(body)
    return body[index], body[(index + shift) % len(body)], upsamplers[index % len(upsamplers)]


def arch_of(space, names):
    return tuple(slot.index(name) for slot, name in zip(space.slots, names, strict=True))


def random_params(space, seed=0):
    """Every weight random: fresh ones have zero biases and an upsampler that is almost silent."""
    shapes = jax.eval_shape(lambda key: init_params(key, space), jax.random.key(0))
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda s: 0.3 * rng.normal(size=s.shape).astype(np.float32), shapes)


def values_and_gradients(net):
    """`(params, lr, arch) -> (output, gradient of the parameters)`, not yet compiled."""

    def run(params, lr, arch):
        out, pull = jax.vjp(lambda p: net.apply({"params": p}, lr, arch), params)
        return out, pull(COTANGENT)[0]

    return run


@pytest.fixture(scope="module")
def params(full_space):
    params = random_params(full_space)
    for slot in ("slot00", "slot01"):
        # Of width 4, a gate has one hidden unit and a bottleneck one or two: below zero they would be deaf.
        for name in ("gate_in_bias", "shrink_bias", "map_bias"):
            params[slot][name][:] = 2
    return params


@pytest.fixture(scope="module")
def static(full_space, params):
    """Branch names to output and gradient, by the static program."""
    run = jax.jit(values_and_gradients(Supernet(full_space)), static_argnums=2)
    return functools.cache(lambda names: jax.device_get(run(params, LR, arch_of(full_space, names))))


@pytest.fixture(scope="module")
def search(full_space, params):
    """Branch names to output and gradient, by the search program."""
    run = jax.jit(values_and_gradients(Supernet(full_space)))

    def evaluate(names):
        return jax.device_get(run(params, LR, np.array(arch_of(full_space, names))))

    return functools.cache(evaluate)


def test_the_cases_are_every_branch_of_every_slot(full_space):
    named = [(slot, name) for slot, names in enumerate(full_space.slots) for name in names]
    assert named == BRANCHES
    assert all(names_through(slot, name)[slot] == name for slot, name in BRANCHES)
    assert len({names_through(slot, name) for slot, name in BRANCHES}) == len(BODY)


@pytest.mark.parametrize("slot", range(3))
def test_the_branches_of_a_slot_give_different_outputs(search, slot):
    """Before two programs are compared: had both ignored the arch, they would be equal as well."""
    outs = {name: search(names_with(s, name))[0] for s, name in BRANCHES if s == slot}
    for one, other in itertools.combinations(outs, 2):
        apart = np.abs(outs[one] - outs[other]).max() / np.abs(outs[one]).max()
        assert apart > 0.01, (one, other)


@pytest.mark.parametrize(("slot", "name"), BRANCHES)
def test_the_static_program_equals_the_search_program(full_space, static, search, slot, name):
    names = names_through(slot, name)
    (out, gradient), (search_out, search_gradient) = static(names), search(names)
    # float32: the two compile to different fusions, so last digits differ.
    assert_close(out, search_out, 1e-5)
    assert jax.tree.structure(gradient) == jax.tree.structure(search_gradient)
    for place in ("head", slot_name(full_space, slot)):
        for kernel, found in gradient[place].items():
            assert_close(found, search_gradient[place][kernel], 1e-4, kernel)


@pytest.mark.parametrize("shape", [(2,), (4,), (1, 3)])
def test_a_traced_arch_has_an_entry_per_gene(full_space, params, shape):
    with pytest.raises(AssertionError, match="shape"):
        Supernet(full_space).apply({"params": params}, LR, jnp.zeros(shape, jnp.int32))


def assert_close(found, expected, tolerance, name=""):
    """Within a share of the largest value: gradients of one kernel span orders of magnitude."""
    limit = tolerance * np.abs(expected).max()
    np.testing.assert_allclose(found, expected, rtol=0, atol=limit, err_msg=name)


@pytest.mark.parametrize(("slot", "name"), BRANCHES)
def test_the_gradient_reaches_only_what_the_branch_reads(full_space, search, slot, name):
    branch = full_space.branches(slot)[full_space.slots[slot].index(name)]
    reads = branch.reads(full_space.width, full_space.scale)
    _, gradients = search(names_with(slot, name))
    for kernel, gradient in gradients[slot_name(full_space, slot)].items():
        read = np.zeros(gradient.shape, bool)
        if kernel in reads:
            read[shared_part(gradient.shape, reads[kernel].shape)] = True
        assert (gradient[~read] == 0).all(), kernel
        assert not read.any() or np.abs(gradient[read]).max() > 1e-3, kernel


def shared_part(full, part):
    """Written out for the shapes there are: the middle 3 of 5 rows and columns, the first channels."""
    middle = [slice(1, 4) if n == 5 and m == 3 else slice(m) for n, m in zip(full, part, strict=True)]
    return tuple(middle)


def conv(x, kernel, bias=None, groups=1):
    """The oracle: Flax's own layer."""
    layer = nn.Conv(kernel.shape[-1], kernel.shape[:2], feature_group_count=groups, use_bias=bias is not None)
    weights = {"kernel": kernel} | ({} if bias is None else {"bias": bias})
    return layer.apply({"params": weights}, x)


def separable(k, x, middle):
    y = conv(x, k["depthwise"][middle, middle, None, :], groups=x.shape[-1])
    return x + nn.relu(conv(y, k["pointwise"][None, None], k["pointwise_bias"]))


def pair(k, x, hidden, attention=False):
    y = nn.relu(conv(x, k["pair_in"][..., :hidden], k["pair_in_bias"][:hidden]))
    y = conv(y, k["pair_out"][:, :, :hidden], k["pair_out_bias"])
    if not attention:
        return x + y
    gate = y.mean((1, 2))
    gate = nn.relu(gate @ k["gate_in"] + k["gate_in_bias"])
    gate = nn.sigmoid(gate @ k["gate_out"] + k["gate_out_bias"])
    return x + y * gate[:, None, None, :]


def bottleneck(k, x, hidden):
    y = nn.relu(conv(x, k["shrink"][None, None, :, :hidden], k["shrink_bias"][:hidden]))
    y = nn.relu(conv(y, k["map"][:, :, :hidden, :hidden], k["map_bias"][:hidden]))
    return x + conv(y, k["expand"][None, None, :hidden], k["expand_bias"])


def stack(k, x):
    y = nn.relu(conv(x, k["stack0"], k["stack0_bias"]))
    y = nn.relu(conv(y, k["stack1"], k["stack1_bias"]))
    return conv(y, k["stack2"], k["stack2_bias"])


def guided(k, x):
    y = stack(k, x)
    return (x + y) * (1 + y @ k["guide"] + k["guide_bias"])


ORACLES = {
    "id": lambda k, x: x,
    "s3": lambda k, x: separable(k, x, slice(1, 4)),
    "s5": lambda k, x: separable(k, x, slice(0, 5)),
    "c3": lambda k, x: x + nn.relu(conv(x, k["conv"][1:4, 1:4], k["conv_bias"])),
    "c5": lambda k, x: x + nn.relu(conv(x, k["conv"], k["conv_bias"])),
    "bq": lambda k, x: bottleneck(k, x, 1),
    "bh": lambda k, x: bottleneck(k, x, 2),
    "rq": lambda k, x: pair(k, x, 1),
    "rh": lambda k, x: pair(k, x, 2),
    "r1": lambda k, x: pair(k, x, 4),
    "r2": lambda k, x: pair(k, x, 8),
    "a1": lambda k, x: pair(k, x, 4, attention=True),
    "a2": lambda k, x: pair(k, x, 8, attention=True),
    "v3": lambda k, x: nn.relu(x + conv(x, k["plain"], k["plain_bias"])),
    "k3": lambda k, x: x + stack(k, x),
    "sg": guided,
    "u1": lambda k, x: conv(x, k["subpixel"], k["subpixel_bias"]),
    "u2": lambda k, x: ORACLES["u1"](k, nn.relu(conv(x, k["hidden0"], k["hidden0_bias"]))),
}
"""What each branch computes from the whole kernels of its slot (width 4), in Flax's layers."""


@pytest.mark.parametrize(("slot", "name"), [(s, n) for s, n in BRANCHES if s != 1])
def test_an_arch_computes_what_its_branches_say(params, search, slot, name):
    names = names_with(slot, name)
    x = conv(LR - 0.5, params["head"]["kernel"].reshape(3, 3, 3, 4), params["head"]["bias"])
    for place, branch in zip(("slot00", "slot01", "upsampler"), names, strict=True):
        x = ORACLES[branch](params[place], x)
    expected = shuffle_by_loops(np.asarray(x), 2) + enlarge(LR, 2)
    assert_close(search(names)[0], expected, 1e-5)


def test_one_search_executable_serves_all_archs(full_space, params):
    search = jax.jit(Supernet(full_space).apply)
    archs = list(itertools.product(*map(range, gene_counts(full_space))))
    with count_compilations() as count:
        outs = [np.asarray(search({"params": params}, LR, np.array(arch))) for arch in archs]
    assert count.value == 1
    assert len({out.tobytes() for out in outs}) == len(archs) == 2 * len(BODY) ** 2


def test_n_archs_compile_n_static_programs(full_space, params):
    static = jax.jit(Supernet(full_space).apply, static_argnums=2)
    archs = [arch_of(full_space, names_with(0, name)) for name in ("id", "s3", "c3", "r1")]
    with count_compilations() as count:
        for done, arch in enumerate(archs, start=1):
            static({"params": params}, LR, arch)
            assert count.value == done
        for arch in archs:
            static({"params": params}, LR, arch)
        assert count.value == len(archs)


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("frames", [(1, 1, 1), (2, 5, 8), (3, 9, 2)])
def test_output_shapes(scale, frames):
    space = uniform_space(slots=2, widths=4, scale=scale)
    n, height, width = frames
    lr, params = np.ones((*frames, 3), np.float32), random_params(space)
    search = jax.eval_shape(Supernet(space).apply, {"params": params}, lr, np.array((0, 0, 0)))
    outs = [jax.eval_shape(static_program(space, arch), params, lr) for arch in SOME_ARCHS]
    for out in [search, *outs]:
        assert out.shape == (n, scale * height, scale * width, 3)
        assert out.dtype == jnp.float32


def static_program(space, arch, dtype=jnp.float32):
    return lambda params, lr: Supernet(space, dtype=dtype).apply({"params": params}, lr, arch)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_no_dtype_is_promoted_implicitly(full_space, params, dtype, strict_dtypes):
    with pytest.raises(ValueError, match="promotion"):
        jnp.ones(2, jnp.float32) + jnp.ones(2, jnp.bfloat16)
    run = values_and_gradients(Supernet(full_space, dtype=dtype))
    # Tracing is where promotion happens, and these programs trace every branch.
    out, gradient = jax.eval_shape(run, params, LR, np.zeros(3, int))
    assert out.dtype == jnp.float32
    assert {leaf.dtype for leaf in jax.tree.leaves(gradient)} == {jnp.dtype(jnp.float32)}
    for arch in SOME_ARCHS:
        assert jax.eval_shape(static_program(full_space, arch, dtype), params, LR).dtype == "float32"


def test_bfloat16_stays_close_to_float32(full_space, params, search):
    half = jax.jit(Supernet(full_space, dtype=jnp.bfloat16).apply)
    skip = enlarge(LR, 2)
    for slot, name in BRANCHES:
        expected, _ = search(names_with(slot, name))
        arch = np.array(arch_of(full_space, names_with(slot, name)))
        out = half({"params": params}, LR, arch)
        error = np.abs(out - expected).max() / np.abs(expected - skip).max()
        # 8 bits of mantissa: below 1e-4 it would have been computed in float32.
        assert 1e-4 < error < 0.03, (slot, name)


def shuffle_by_loops(x, scale):
    """Depth to space, one value at a time: channel (row * scale + column) * 3 + colour."""
    n, h, w, _ = x.shape
    out = np.full((n, h * scale, w * scale, 3), np.nan, x.dtype)
    for i, y, z, row, column, colour in np.ndindex(n, h, w, scale, scale, 3):
        value = x[i, y, z, (row * scale + column) * 3 + colour]
        out[i, y * scale + row, z * scale + column, colour] = value
    return out


def enlarge(lr, scale):
    """Nearest neighbour."""
    return lr.repeat(scale, 1).repeat(scale, 2)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_pixel_shuffle_by_loops(scale):
    x = np.random.default_rng(0).random((2, 3, 5, 3 * scale**2), np.float32)
    np.testing.assert_array_equal(pixel_shuffle(x, scale), shuffle_by_loops(x, scale))


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_a_silent_upsampler_leaves_the_nearest_neighbour(scale):
    space = uniform_space(slots=1, widths=4, scale=scale, branches=("c3",))
    params = random_params(space)
    silent = params | {"upsampler": jax.tree.map(np.zeros_like, params["upsampler"])}
    search = jax.jit(Supernet(space).apply)
    expected = enlarge(LR, scale)
    for upsampler in range(2):
        arch = np.array((0, upsampler))
        assert np.abs(search({"params": params}, LR, arch) - expected).max() > 0.1
        np.testing.assert_array_equal(search({"params": silent}, LR, arch), expected)


def test_an_arch_of_another_space_is_refused(full_space, params):
    over = len(BODY)
    says_over = f"slot 1 takes 0 to {over - 1}, not {over}"
    for arch, says in [((0, 0), "has 2 indices"), ((0, over, 0), says_over)]:
        with pytest.raises(InputError, match=says):
            Supernet(full_space).apply({"params": params}, LR, arch)


def test_frames_have_three_channels(full_space, params):
    with pytest.raises(AssertionError, match="shape"):
        Supernet(full_space).apply({"params": params}, LR[..., :1], (0, 0, 0))
