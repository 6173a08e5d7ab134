"""Elastic width: an arch of each width against a plain network whose kernels were cut by hand."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from dysr_jax.aot.accounting import count_compilations
from dysr_jax.model.branches import BODY
from dysr_jax.model.space import SearchSpace, gene_counts
from dysr_jax.model.supernet import Supernet, init_params
from dysr_jax.model.upsamplers import UPSAMPLERS

SPACE = SearchSpace((tuple(BODY),), tuple(UPSAMPLERS), (4, 8), 2)
SMALL = SearchSpace((("id", "c5", "a2"),), tuple(UPSAMPLERS), (4, 8), 2)
LR = np.random.default_rng(0).random((1, 6, 5, 3), np.float32)
COTANGENT = np.random.default_rng(1).normal(size=(1, 12, 10, 3)).astype(np.float32)

HIDDEN = {
    "bq": {4: 1, 8: 2},
    "bh": {4: 2, 8: 4},
    "rq": {4: 1, 8: 2},
    "rh": {4: 2, 8: 4},
    "r1": {4: 4, 8: 8},
    "r2": {4: 8, 8: 16},
    "a1": {4: 4, 8: 8},
    "a2": {4: 8, 8: 16},
}
SQUEEZED = {4: 1, 8: 2}
"""Channels inside a branch and inside its gate, by the width of the trunk, counted by hand."""

CASES = [(name, ("u1", "u2")[i % 2], 4) for i, name in enumerate(BODY)]
CASES += [(name, "u2", 8) for name in ("s3", "c5", "bq", "r1", "a1", "v3", "sg")]
CASES += [("c3", up, w) for w in SPACE.widths for up in UPSAMPLERS if ("c3", up, w) not in CASES]
"""Every branch of a narrow trunk. The wide one's kernels are the whole ones: of each kind of branch one."""


def arch_of(body, upsampler, width):
    return SPACE.body[0].index(body), SPACE.upsamplers.index(upsampler), SPACE.widths.index(width)


def conv(x, kernel, bias=0.0, groups=1):
    layout = ("NHWC", "HWIO", "NHWC")
    y = lax.conv_general_dilated(
        x, kernel, (1, 1), "SAME", dimension_numbers=layout, feature_group_count=groups
    )
    return y + bias


def relu(x):
    return jnp.maximum(x, 0)


def separable(k, x, w, taps):
    y = conv(x, k["depthwise"][taps, taps, None, :w], groups=w)
    return x + relu(conv(y, k["pointwise"][None, None, :w, :w], k["pointwise_bias"][:w]))


def plain(k, x, w, taps):
    return x + relu(conv(x, k["conv"][taps, taps, :w, :w], k["conv_bias"][:w]))


def bottleneck(k, x, w, h):
    y = relu(conv(x, k["shrink"][None, None, :w, :h], k["shrink_bias"][:h]))
    y = relu(conv(y, k["map"][:, :, :h, :h], k["map_bias"][:h]))
    return x + conv(y, k["expand"][None, None, :h, :w], k["expand_bias"][:w])


def pair(k, x, w, h, s=0):
    y = relu(conv(x, k["pair_in"][:, :, :w, :h], k["pair_in_bias"][:h]))
    y = conv(y, k["pair_out"][:, :, :h, :w], k["pair_out_bias"][:w])
    if not s:
        return x + y
    gate = relu(y.mean((1, 2)) @ k["gate_in"][:w, :s] + k["gate_in_bias"][:s])
    gate = 1 / (1 + jnp.exp(-(gate @ k["gate_out"][:s, :w] + k["gate_out_bias"][:w])))
    return x + y * gate[:, None, None]


def stack(k, x, w, guided):
    y = relu(conv(x, k["stack0"][:, :, :w, :w], k["stack0_bias"][:w]))
    y = relu(conv(y, k["stack1"][:, :, :w, :w], k["stack1_bias"][:w]))
    y = conv(y, k["stack2"][:, :, :w, :w], k["stack2_bias"][:w])
    return (x + y) * (1 + y @ k["guide"][:w, :w] + k["guide_bias"][:w]) if guided else x + y


def body(name, k, x, w):
    kind, h = name[0], HIDDEN.get(name, {}).get(w)
    if name == "id":
        return x
    if name == "v3":
        return relu(x + conv(x, k["plain"][:, :, :w, :w], k["plain_bias"][:w]))
    if name in ("k3", "sg"):
        return stack(k, x, w, name == "sg")
    if kind in "sc":
        return (separable if kind == "s" else plain)(k, x, w, slice(1, 4) if name[1] == "3" else slice(0, 5))
    return bottleneck(k, x, w, h) if kind == "b" else pair(k, x, w, h, SQUEEZED[w] if kind == "a" else 0)


def network(p, lr, name, upsampler, w):
    """The arch of these names at width `w`, out of the kernels of width 8."""
    x = conv(lr - 0.5, p["head"]["kernel"].reshape(3, 3, 3, 8)[..., :w], p["head"]["bias"][:w])
    x, k = body(name, p["slot00"], x, w), p["upsampler"]
    if upsampler == "u2":
        x = relu(conv(x, k["hidden0"][:, :, :w, :w], k["hidden0_bias"][:w]))
    x = conv(x, k["subpixel"][:, :, :w], k["subpixel_bias"])
    pixels = x.reshape(1, 6, 5, 2, 2, 3).transpose(0, 1, 3, 2, 4, 5).reshape(1, 12, 10, 3)
    return pixels + lr.repeat(2, 1).repeat(2, 2)


@pytest.fixture(scope="module")
def params():
    """All of them random, and gates open: below zero they would be deaf to their input."""
    shapes = jax.eval_shape(lambda key: init_params(key, SPACE), jax.random.key(0))
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda s: 0.3 * rng.normal(size=s.shape).astype(np.float32), shapes)
    params["slot00"]["gate_in_bias"][:] = 2
    return params


def with_gradient(run):
    def both(params):
        out, pull = jax.vjp(run, params)
        return out, pull(COTANGENT)[0]

    return both


@pytest.fixture(scope="module")
def search(params):
    """Branches and width to output and gradient, by the search program."""
    net = Supernet(SPACE)

    @jax.jit
    def run(params, genes):
        return with_gradient(lambda p: net.apply({"params": p}, LR, genes))(params)

    return functools.cache(lambda *case: jax.device_get(run(params, np.array(arch_of(*case)))))


def assert_close(found, expected, tolerance):
    """Within a share of the largest value, and exactly zero where all is."""
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * np.abs(expected).max())


def test_the_cases_are_every_branch():
    for slot, names in enumerate(SPACE.slots):
        assert {case[slot] for case in CASES if case[2] == 4} == {*names}
    kinds = [{type(BODY[case[0]]) for case in CASES if case[2] == width} for width in SPACE.widths]
    assert kinds[0] - kinds[1] == {type(BODY["id"])}


@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(map(str, case)))
def test_an_arch_is_a_plain_network_of_its_width(params, search, case):
    """Its value and the gradient of all kernels: the static program, the search program, and by hand."""
    arch, net = arch_of(*case), Supernet(SPACE)

    @jax.jit
    def run(params):
        static = with_gradient(lambda p: net.apply({"params": p}, LR, arch))(params)
        return static, with_gradient(lambda p: network(p, LR, *case))(params)

    static, by_hand = jax.device_get(run(params))
    for out, gradient in (static, search(*case)):
        assert_close(out, by_hand[0], 1e-5)
        jax.tree.map(lambda a, b: assert_close(a, b, 1e-4), gradient, by_hand[1])


@pytest.mark.parametrize("name", BODY)
def test_widths_differ(search, name):
    """Before programs are compared: had both ignored the width, they would be equal as well."""
    narrow, wide = (search(name, "u1", width)[0] for width in SPACE.widths)
    assert np.abs(narrow - wide).max() > 0.01 * np.abs(wide).max()


def test_one_search_executable_serves_all_widths(params):
    run = jax.jit(Supernet(SPACE).apply)
    archs = np.indices(gene_counts(SPACE)).reshape(3, -1).T
    with count_compilations() as count:
        outs = {np.asarray(run({"params": params}, LR, arch)).tobytes() for arch in archs}
    assert count.value == 1
    assert len(outs) == len(archs) == 2 * 2 * len(BODY)


@pytest.fixture(scope="module")
def small(params):
    """The kernels of `SMALL`."""
    whole = jax.eval_shape(lambda key: init_params(key, SMALL), jax.random.key(0))
    return {slot: {name: params[slot][name] for name in kernels} for slot, kernels in whole.items()}


def test_archs_are_mapped_over(small):
    """A search program under `vmap` takes an arch per row, of any widths."""
    archs = np.array([(1, 0, 0), (2, 1, 1), (0, 0, 0)])
    found = jax.jit(jax.vmap(lambda arch: Supernet(SMALL).apply({"params": small}, LR, arch)))(archs)
    for out, case in zip(found, [("c5", "u1", 4), ("a2", "u2", 8), ("id", "u1", 4)], strict=True):
        assert_close(out, network(small, LR, *case), 1e-5)


def test_a_narrow_space_is_the_leading_channels_of_a_wide_one(params, search):
    """What is trained in an elastic space can be used where there is one width: kernels are cut, no more."""
    alone = SearchSpace(SPACE.body, SPACE.upsamplers, 4, 2)
    shapes = jax.eval_shape(lambda key: init_params(key, alone), jax.random.key(0))
    cut = jax.tree.map(lambda leaf, to: leaf[tuple(map(slice, to.shape))], params, shapes)
    for case in [("r2", "u1", 4), ("s5", "u2", 4)]:
        out = jax.jit(Supernet(alone).apply, static_argnums=2)({"params": cut}, LR, arch_of(*case)[:2])
        assert_close(out, search(*case)[0], 1e-5)


def test_no_dtype_is_promoted_implicitly(small, strict_dtypes):
    net = Supernet(SMALL, dtype=jnp.bfloat16)
    run = jax.grad(lambda p, arch: jnp.sum(net.apply({"params": p}, LR, arch)))
    for arch in (np.zeros(3, int), (2, 1, 0)):
        gradient = jax.eval_shape(functools.partial(run, arch=arch), small)
        assert {leaf.dtype for leaf in jax.tree.leaves(gradient)} == {jnp.dtype(jnp.float32)}
