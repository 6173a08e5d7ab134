"""The chain over members of several widths: static programs' pixels, and a switch of the width."""

import itertools

import jax
import numpy as np
import pytest

from dysr_jax.aot.accounting import count_compilations
from dysr_jax.aot.executables import ExecutableCache
from dysr_jax.bundle.bundle import load_bundle, make_bundle, make_member, save_bundle
from dysr_jax.errors import InputError
from dysr_jax.model.names import parse_arch
from dysr_jax.model.programs import compile_static, make_supernet
from dysr_jax.model.space import space_size, uniform_space
from dysr_jax.model.supernet import arch_params
from dysr_jax.runtime.bank import Bank
from dysr_jax.runtime.chain import Chain

SPACE = uniform_space(slots=2, widths=(4, 6, 8), scale=2, branches=("id", "s3", "c3", "c5", "r1"))
NET = make_supernet(SPACE, "float32")
SHAPE = (6, 8)
MEMBERS = ("w4-id-c5-u1", "w6-c3-id-u1", "w6-r1-c3-u2")


@pytest.fixture(scope="module")
def params(noisy_params):
    return noisy_params(SPACE, 0.2)


@pytest.fixture(scope="module")
def bundle(params):
    archs = [parse_arch(SPACE, name) for name in MEMBERS]
    members = [make_member(SPACE, arch, 30.0 + i, 1.0 + i) for i, arch in enumerate(archs)]
    return make_bundle(params, members, net=NET, frame=SHAPE, bicubic_psnr_y=29.0)


@pytest.fixture(scope="module")
def chain(bundle):
    chain = Chain(bundle)
    chain.prepare(SHAPE)
    return chain


@pytest.fixture(scope="module")
def static(params, frame):
    """Pixels of an arch's own program over the whole supernet."""

    def run(name):
        arch = parse_arch(SPACE, name)
        own = compile_static(NET, arch, params, SHAPE)
        return np.asarray(own(arch_params(params, SPACE, arch), frame))

    return run


def assert_same(found, expected):
    """The same but for rounding: a level in a few pixels."""
    off = np.abs(found.astype(int) - expected)
    assert off.max() <= 1
    assert np.mean(off > 0) <= 0.01


def test_members_and_what_they_hold_are_the_static_programs(chain, static, frame):
    # Not members: another width of a kept branch, and a mix of two members' slots.
    names = (*MEMBERS, "w4-c3-c3-u2", "w6-r1-id-u1", "w4-r1-c5-u1", "w6-c3-c5-u1")
    expected = {name: static(name) for name in names}
    for one, other in itertools.combinations(expected.values(), 2):
        assert np.abs(one.astype(int) - other).max() > 1
    for name in (*names, *reversed(names)):
        assert_same(chain(frame, name), expected[name])


def test_the_bank_serves_them_too(bundle, chain, frame, static):
    bank = Bank(bundle)
    bank.prepare(SHAPE, (*MEMBERS, "w4-r1-c3-u1"))
    for name in (*MEMBERS, "w4-r1-c3-u1"):
        assert_same(bank(frame, name), static(name))
        assert_same(bank(frame, name), chain(frame, name))


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("w8-id-c3-u1", "slot 0: the weights of branch 'id' at 8 channels were not kept"),
        ("w6-s3-id-u1", "slot 0: the weights of branch 's3' at 6 channels were not kept"),
        ("w8-c3-id-u1", "slot 0: the weights of branch 'c3' at 8 channels were not kept"),
    ],
)
def test_what_was_not_kept_is_refused(bundle, chain, frame, name, says):
    before = chain(frame, MEMBERS[0])
    with pytest.raises(InputError, match=says):
        chain.dispatch(frame, name)
    np.testing.assert_array_equal(chain(frame, MEMBERS[0]), before)
    with pytest.raises(InputError, match="were not kept"):
        Bank(bundle).prepare(SHAPE, [name])


def test_what_can_be_served_is_counted(chain, bundle):
    index = SPACE.body[0].index
    # w6's 3x3 beside w4's 5x5 in a slot are stored as a 5x5 of 6.
    assert chain.branches[1] == ((0, 6), (index("c3"), 6), (index("c5"), 6))
    assert chain.branches[2] == ((0, 6), (1, 6))
    assert chain.servable == 2 * (3 * 3 * 2)
    served = 0
    for arch in itertools.product(*map(range, (5, 5, 2, 3))):
        try:
            arch_params(bundle.params, SPACE, arch)
            served += 1
        except InputError:
            pass
    assert served == chain.servable


def test_a_whole_supernet_serves_every_arch(bundle, params, frame):
    whole = Chain(bundle, params)
    with count_compilations() as compilations:
        whole.prepare(SHAPE)
    # Of each width: the head, four branches beside identity in slots of the same shapes, two upsamplers.
    assert whole.count == 3 * (1 + 4 + 2)
    assert compilations.value <= whole.count
    assert whole.servable == space_size(SPACE) == 5 * 5 * 2 * 3
    with count_compilations() as compilations:
        outputs = {whole(frame, arch).tobytes() for arch in itertools.product(*map(range, (5, 5, 2, 3)))}
    assert compilations.value == 0
    assert len(outputs) == whole.servable
    assert whole.memory().weights == sum(leaf.nbytes for leaf in jax.tree.leaves(params))


def test_executables_on_disk_are_of_their_width(bundle, chain, frame, cache):
    """A head reads the same weights and frames whatever the width: the files differ by it."""
    again = ExecutableCache()
    for there in (cache, again):
        fresh = Chain(bundle, cache=there)
        fresh.prepare(SHAPE)
        for name in MEMBERS:
            assert_same(fresh(frame, name), chain(frame, name))
    assert (cache.loaded, cache.compiled) == (0, chain.count)
    assert (again.loaded, again.compiled) == (chain.count, 0)


def test_changed_names_all_slots_of_another_width(chain):
    archs = [parse_arch(SPACE, name) for name in ("w4-c3-id-u1", "w4-c3-c3-u1", "w6-c3-id-u1")]
    assert chain.changed(archs[0], archs[0]) == ()
    assert chain.changed(archs[0], archs[1]) == (1,)
    assert chain.changed(archs[0], archs[2]) == (0, 1, 2)
    with pytest.raises(InputError, match="has 3 indices; the space has 3 slots and a width"):
        chain.changed(archs[0], archs[0][:3])


def test_a_bundle_from_disk(bundle, chain, frame, tmp_path):
    save_bundle(tmp_path / "bundle", bundle, {})
    loaded = load_bundle(tmp_path / "bundle")
    assert loaded == bundle
    again = Chain(loaded)
    again.prepare(SHAPE, batch=2)
    frames = np.stack([frame, frame[::-1]])
    for name in MEMBERS:
        assert_same(again(frames, name), np.stack([chain(one, name) for one in frames]))
