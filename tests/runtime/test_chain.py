"""The chain: the fused programs' pixels for any arch, a compilation a distinct stage, none for a switch."""

import concurrent.futures
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dysr_jax.aot.accounting import Memory, count_compilations
from dysr_jax.aot.executables import ExecutableCache
from dysr_jax.bundle.bundle import make_bundle, make_member
from dysr_jax.errors import InputError
from dysr_jax.model.branches import BODY, Identity
from dysr_jax.model.programs import branch_part, compile_static, frame_program, head_part, make_supernet
from dysr_jax.model.space import gene_counts, space_size, uniform_space
from dysr_jax.model.supernet import arch_params, init_params
from dysr_jax.model.upsamplers import UPSAMPLERS
from dysr_jax.runtime.chain import Chain

SPACE = uniform_space(slots=2, widths=4, scale=2)  # every registered branch in both slots
NET = make_supernet(SPACE, "float32")
SHAPE = (6, 8)
ALL = tuple(tuple(range(number)) for number in gene_counts(SPACE))
STAGES = (len(BODY) - 1) + len(UPSAMPLERS) + 1
"""Distinct ones where both slots store the same shapes: identity has none, the head has one."""

archs = st.tuples(*(st.integers(0, number - 1) for number in gene_counts(SPACE)))


def arch(*names):
    return tuple(space.index(name) for space, name in zip(SPACE.slots, names, strict=True))


def bundle_of(params, chosen):
    members = [make_member(SPACE, a, 30.0 + i, 1.0 + i) for i, a in enumerate(chosen)]
    return make_bundle(params, members, net=NET, frame=SHAPE, bicubic_psnr_y=29.0)


def random_params(space):
    """Of a whole supernet, in NumPy: no draw is compiled. Archs differ by many levels."""
    shapes = jax.eval_shape(lambda key: init_params(key, space), jax.random.key(0))
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda s: 0.3 * rng.normal(size=s.shape).astype(np.float32), shapes)
    for stored in params.values():
        for name in ("shrink_bias", "map_bias"):  # a narrow bottleneck whose channels are below zero is deaf
            if name in stored:
                stored[name][:] = 1
    return params


@pytest.fixture(scope="module")
def params():
    return jax.device_put(random_params(SPACE))


@pytest.fixture(scope="module")
def bundle(params):
    """Of two members: one keeps the 5x5 kernel in slot 0, the other the 3x3 in slot 1."""
    return bundle_of(params, [arch("c5", "id", "u1"), arch("id", "c3", "u1")])


@pytest.fixture(scope="module")
def chain(bundle, params):
    whole = Chain(bundle, params)
    whole.prepare(SHAPE)
    return whole


@pytest.fixture(scope="module")
def small(bundle):
    """Over the bundle's own weights."""
    small = Chain(bundle)
    small.prepare(SHAPE)
    return small


@pytest.fixture(scope="module")
def fused(params, frame):
    """All archs by one executable, the search program's: the branches in one program."""
    search = jax.jit(frame_program(NET)).lower(params, frame[None], np.zeros(3, np.int32)).compile()
    return lambda a: np.asarray(search(params, frame[None], np.array(a, np.int32)))[0]


def assert_same(found, expected):
    """The same but for rounding: a level in a few pixels."""
    assert found.dtype == expected.dtype == np.uint8
    off = np.abs(found.astype(int) - expected)
    assert off.max() <= 1
    assert np.mean(off > 0) <= 0.01


@given(archs)
@settings(max_examples=100)
def test_any_arch_has_the_fused_program_s_pixels(chain, fused, frame, drawn):
    assert_same(chain(frame, drawn), fused(drawn))


@pytest.mark.parametrize("slot", range(3))
def test_every_gene_counts(chain, fused, frame, slot):
    base = arch("c3", "s3", "u1")
    outputs = []
    for index in ALL[slot]:
        changed = (*base[:slot], index, *base[slot + 1 :])
        outputs.append(chain(frame, changed))
        assert_same(outputs[-1], fused(changed))
    for one, other in itertools.combinations(outputs, 2):
        assert np.abs(one.astype(int) - other).max() > 1


@pytest.mark.parametrize("names", [("id", "id", "u1"), ("a2", "s5", "u2")])
def test_an_arch_has_its_own_executable_s_pixels(chain, params, frame, names):
    chosen = arch(*names)
    own = compile_static(NET, chosen, params, SHAPE)
    assert_same(chain(frame, chosen), np.asarray(own(arch_params(params, SPACE, chosen), frame)))


def test_a_stage_is_compiled_once_and_a_switch_compiles_nothing(bundle, params, frame):
    fresh = Chain(bundle, params, cache=None)
    with count_compilations() as compilations:
        fresh.prepare(SHAPE)
    assert compilations.value == fresh.count == STAGES
    assert fresh.servable == space_size(SPACE) == 2 * len(BODY) ** 2
    with count_compilations() as compilations:
        fresh.prepare(SHAPE)
        outputs = {fresh(frame, a).tobytes() for a in itertools.product(*ALL)}
    assert compilations.value == 0
    assert len(outputs) == space_size(SPACE)


def test_a_second_start_compiles_nothing(bundle, params, frame, cache):
    first, second = cache, ExecutableCache()
    for there in (first, second):
        chain = Chain(bundle, cache=there)
        chain.prepare(SHAPE)
        found = chain(frame, arch("c5", "c3", "u1"))
    assert (first.loaded, first.compiled) == (0, chain.count)
    assert (second.loaded, second.compiled) == (chain.count, 0)
    own = compile_static(NET, arch("c5", "c3", "u1"), params, SHAPE)
    read = arch_params(params, SPACE, arch("c5", "c3", "u1"))
    assert_same(found, np.asarray(own(read, frame)))


def test_memory(bundle, params, chain, small, frame):
    held, whole = small.memory(), chain.memory()
    assert held.weights == sum(leaf.nbytes for leaf in jax.tree.leaves(bundle.params))
    assert whole.weights == sum(leaf.nbytes for leaf in jax.tree.leaves(params))
    assert 0 < held.executables < whole.executables
    # The trunk and the frame go in, the result comes out.
    trunk, upscaled = 4 * 4 * 6 * 8, 4 * frame.size
    assert trunk + frame.size + upscaled <= held.workspace < 100 * trunk
    assert Chain(bundle).memory() == Memory(weights=held.weights, executables=0, workspace=0)


def test_output_on_the_host(bundle, small, frame):
    chosen = arch("c5", "c3", "u1")
    host = Chain(bundle, output="host")
    host.prepare(SHAPE)
    np.testing.assert_array_equal(host(frame, chosen), small(frame, chosen))


def test_a_batch_has_a_frame(bundle):
    with pytest.raises(InputError, match="batch 0: must be at least 1 frame"):
        Chain(bundle).prepare(SHAPE, batch=0)


def test_batches(bundle, frame):
    fresh = Chain(bundle)
    fresh.prepare(SHAPE)
    stages = fresh.count
    fresh.prepare(SHAPE, batch=1)
    assert fresh.count == stages + 2  # the trunk's shape stays: head and upsampler are new
    fresh.prepare(SHAPE, batch=2)
    assert fresh.count == 2 * stages + 2
    chosen, frames = arch("c5", "c3", "u1"), np.stack([frame, frame[::-1]])
    expected = np.stack([fresh(one, chosen) for one in frames])
    assert_same(fresh(frames, chosen), expected)
    assert_same(fresh(frames[:1], chosen), expected[:1])


def test_what_compacted_weights_hold_is_served(small, chain, frame):
    # The 3x3 kernel is the centre of the 5x5 one; the other way round there is nothing to cut.
    held = ((0, *arch("c3", "c5", "u1")[:2]), arch("id", "c3", "u1")[:2], (0,))
    assert small.branches == tuple(tuple((index, 4) for index in slot) for slot in held)
    assert small.servable == 6
    assert small.count == 3 + 2  # slot 0: c3, c5; slot 1: c3 of a smaller kernel
    for chosen in itertools.product(*held):
        assert_same(small(frame, chosen), chain(frame, chosen))


def test_a_branch_that_was_not_kept_is_refused(small, frame):
    for chosen, says in [
        (arch("c3", "c5", "u1"), r"slot 1: the weights of branch 'c5' were not kept"),
        (arch("c3", "c3", "u2"), r"slot 2: the weights of branch 'u2' were not kept"),
        ((0, 99, 0), f"slot 1 takes 0 to {len(BODY) - 1}, not 99"),
        ((-1, -1, -1), f"slot 0 takes 0 to {len(BODY) - 1}, not -1"),
        ((0, 0), "has 2 indices"),
        (None, "a tuple of ints"),
    ]:
        with pytest.raises(InputError, match=says):
            small.dispatch(frame, chosen)
    assert small(frame, arch("c3", "c3", "u1")).shape == (12, 16, 3)


def test_a_shape_that_was_not_prepared_is_refused(bundle, small, frame):
    with pytest.raises(InputError, match=r"not prepared for a frame of 6x7; ready are 6x8$"):
        small(frame[:, :7], (0, 0, 0))
    with pytest.raises(InputError, match=r"not prepared for a frame of 2x6x8"):
        small(np.stack([frame, frame]), (0, 0, 0))
    with pytest.raises(InputError, match="ready are none"):
        Chain(bundle)(frame, (0, 0, 0))


@pytest.mark.parametrize(
    ("shape", "dtype"), [((6, 8), np.uint8), ((6, 8, 4), np.uint8), ((6, 8, 3), np.float32)]
)
def test_only_uint8_rgb_frames_are_taken(small, shape, dtype):
    with pytest.raises(InputError, match=r"frame of .*: must be \[H, W, 3\] uint8, or \[N, H, W, 3\]"):
        small(np.zeros(shape, dtype), (0, 0, 0))


def test_weights_of_another_space_are_refused(bundle):
    wide = random_params(uniform_space(slots=2, widths=5, scale=2))
    with pytest.raises(InputError, match="params: the head's weights are not"):
        Chain(bundle, wide)


@pytest.mark.parametrize("kind", [list, np.array, jnp.array])
def test_other_sequences_of_ints_name_an_arch_too(small, frame, kind):
    chosen = arch("c3", "c3", "u1")
    small(frame, arch("c5", "id", "u1"))
    np.testing.assert_array_equal(small(frame, kind(chosen)), small(frame, chosen))


def test_changed_names_the_slots_that_differ(chain):
    old, new = arch("c5", "r1", "u1"), arch("c3", "r1", "u2")
    assert chain.changed(old, new) == (0, 2)
    assert chain.changed(old, old) == ()
    with pytest.raises(InputError, match="has 2 indices"):
        chain.changed(old, new[:2])


def test_the_frame_stays_the_caller_s(small, frame):
    there = jax.device_put(frame)
    chosen = arch("c5", "c3", "u1")
    found = small.dispatch(there, chosen)
    assert isinstance(found, jax.Array)
    np.testing.assert_array_equal(np.asarray(found), small(frame, chosen))
    np.testing.assert_array_equal(np.asarray(there), frame)


def test_threads_may_run_different_archs(chain, frame):
    drawn = [(i % 13, (5 * i) % 13, i % 2) for i in range(26)]
    expected = [chain(frame, a) for a in drawn]
    with concurrent.futures.ThreadPoolExecutor(4) as threads:
        for _ in range(4):
            found = list(threads.map(lambda a: chain(frame, a), drawn))
            np.testing.assert_array_equal(found, expected)


def test_the_trunk_takes_the_place_of_the_one_before(params):
    part = branch_part(NET, params, 0, arch("r1", "id", "u1")[0], 4, (*SHAPE, 3))
    x = jnp.ones((1, *SHAPE, 4))
    out = part.lower().compile()(part.kernels, x)
    assert x.is_deleted()
    assert out.shape == (1, *SHAPE, 4)


def test_the_trunk_is_of_the_compute_dtype(params, strict_dtypes):
    net = make_supernet(SPACE, "bfloat16")
    x, frames = head_part(net, params, (*SHAPE, 3), 4).lower().out_info
    assert (x.dtype, x.shape, frames.dtype) == (jnp.bfloat16, (1, *SHAPE, 4), jnp.uint8)
    for slot, indices in enumerate(ALL):
        for index in indices:
            part = branch_part(net, params, slot, index, 4, (*SHAPE, 3))
            if part is None:
                continue
            out = part.lower().out_info
            assert out.dtype == (jnp.uint8 if slot == 2 else jnp.bfloat16)


def test_a_branch_without_weights_runs_unless_it_is_identity(monkeypatch, frame):
    class Flip(Identity):
        """Reads nothing, but computes."""

        def __call__(self, kernels, x, layers):
            return -x

    monkeypatch.setitem(BODY, "flip", Flip())
    space = uniform_space(slots=1, widths=4, scale=2, branches=("id", "flip"), upsamplers=("u1",))
    params = random_params(space)
    net = make_supernet(space, "float32")
    bundle = make_bundle(
        params, [make_member(space, (0, 0), 30.0, 1.0)], net=net, frame=SHAPE, bicubic_psnr_y=29.0
    )
    chain = Chain(bundle)
    chain.prepare(SHAPE)
    assert (chain.count, chain.servable) == (3, 2)
    for chosen in [(0, 0), (1, 0)]:
        expected = jax.jit(frame_program(net), static_argnums=2)(params, frame[None], chosen)
        assert_same(chain(frame, chosen), np.asarray(expected)[0])
    assert np.abs(chain(frame, (0, 0)).astype(int) - chain(frame, (1, 0))).max() > 1
