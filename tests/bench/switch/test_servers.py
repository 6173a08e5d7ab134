"""The servers of the switch experiment: each takes the memory and compilations that it says."""

import dataclasses
import shutil

import jax
import numpy as np
import pytest

from dysr_jax.aot.accounting import count_compilations
from dysr_jax.aot.executables import ExecutableCache
from dysr_jax.bench.switch.servers import STRATEGIES, Ensemble, LaxSwitch, Reload
from dysr_jax.bench.switch.weights_store import WeightsStore, write_weights_store
from dysr_jax.bundle.bundle import make_bundle, make_member
from dysr_jax.errors import InputError
from dysr_jax.model.programs import make_supernet
from dysr_jax.model.sharing import ensemble_weight_bytes, union_weight_bytes
from dysr_jax.model.space import arch_parameters, uniform_space

SHAPE = (6, 8)
NAMES = ["2id-u1", "s3-c3-u1", "2r1-u2"]
RELOADING = [name for name, strategy in STRATEGIES.items() if strategy.loads]


@pytest.fixture(scope="module")
def store(three_members, tmp_path_factory):
    return write_weights_store(tmp_path_factory.mktemp("store"), three_members, NAMES)


@pytest.fixture(scope="module")
def caches(tmp_path_factory):
    """A folder for executables, by strategy."""
    folder = tmp_path_factory.mktemp("caches")
    return {name: folder / name for name in STRATEGIES}


@pytest.fixture(scope="module")
def servers(store, caches, all_compiling):
    made = {}
    for name, strategy in STRATEGIES.items():
        made[name] = strategy.make(store, ExecutableCache(caches[name]))
        made[name].prepare(SHAPE)
    return made


@pytest.fixture(scope="module")
def frame():
    return np.random.default_rng(0).integers(0, 256, (*SHAPE, 3), np.uint8)


@pytest.mark.parametrize("name", RELOADING)
def test_a_reload_compiles_or_loads_once_a_switch(servers, frame, name):
    server = servers[name]
    server.switch(NAMES[1])
    with count_compilations() as compilations:
        for member in (NAMES[2], NAMES[0]):
            server.switch(member)
            server(frame, member)
            server(frame, member)
    assert compilations.value == 2


@pytest.mark.parametrize("name", RELOADING)
def test_a_reload_reads_the_member_that_is_asked_for(servers, frame, name):
    server = servers[name]
    server.switch(NAMES[0])
    with count_compilations() as compilations:
        outputs = [server(frame, member).tobytes() for member in (NAMES[0], NAMES[1], NAMES[0])]
    assert compilations.value == 2
    assert outputs[0] == outputs[2] != outputs[1]


@pytest.mark.parametrize("name", [n for n, strategy in STRATEGIES.items() if strategy.cached])
def test_a_second_start_compiles_nothing(servers, store, caches, frame, name):
    cache = ExecutableCache(caches[name])
    again = STRATEGIES[name].make(store, cache)
    again.prepare(SHAPE)
    assert cache.loaded > 0
    assert cache.compiled == 0
    for member in NAMES[::-1]:
        np.testing.assert_array_equal(again(frame, member), servers[name](frame, member))
    assert cache.compiled == 0


@pytest.mark.parametrize("make", [Ensemble, LaxSwitch, Reload])
def test_a_baseline_that_was_not_prepared_says_so(store, frame, tmp_path, make):
    with pytest.raises(InputError, match=r"^member '2id-u1' is not prepared for any frame$"):
        make(store, ExecutableCache(tmp_path))(frame, NAMES[0])


def test_members_in_one_program_are_one_executable(store, tmp_path, all_compiling):
    cache = ExecutableCache(tmp_path / "cache")
    STRATEGIES["lax_switch"].make(store, cache).prepare(SHAPE)
    assert (cache.compiled, len(list(cache.folder.iterdir()))) == (1, 1)


def test_members_of_several_widths_have_the_same_pixels(noisy_params, tmp_path, frame):
    space = uniform_space(slots=1, widths=(4, 8), scale=2, branches=("id", "c3"), upsamplers=("u1",))
    archs = [(1, 0, 0), (0, 0, 1), (1, 0, 1)]
    members = [make_member(space, arch, 30.0 + i, 1.0 + i) for i, arch in enumerate(archs)]
    net = make_supernet(space, "float32")
    bundle = make_bundle(noisy_params(space), members, net=net, frame=SHAPE, bicubic_psnr_y=29.0)
    names = [member.name for member in members]
    store, pixels = write_weights_store(tmp_path, bundle, names), {}
    for name, strategy in STRATEGIES.items():
        server = strategy.make(store, ExecutableCache(tmp_path / name))
        server.prepare(SHAPE)
        pixels[name] = np.stack([server(frame, member) for member in names]).astype(int)
    expected = pixels["fused"]
    assert all(np.abs(expected[i] - expected[i - 1]).max() > 1 for i in range(3))
    assert all(np.abs(found - expected).max() <= 1 for found in pixels.values())


def test_weights_that_are_resident(servers, three_members):
    space, archs = three_members.space, [member.arch for member in three_members.members]
    weights = {name: server.memory().weights for name, server in servers.items()}
    shared = union_weight_bytes(space, archs)
    largest = 4 * max(arch_parameters(space, arch) for arch in archs)
    ensemble = ensemble_weight_bytes(space, archs)
    assert largest < shared < ensemble
    assert weights == {
        **dict.fromkeys(("fused", "chained", "lax_switch"), shared),
        "ensemble": ensemble,
        **dict.fromkeys(("reload_cached", "reload_compiled"), largest),
    }


@pytest.mark.parametrize("name", RELOADING)
def test_a_reload_reads_the_disk(store, caches, frame, tmp_path, name):
    """Another member's file of the same shapes in its place is what is served."""
    moved = WeightsStore(tmp_path / "store", store.bundle)
    shutil.copytree(store.folder, moved.folder)
    server = STRATEGIES[name].make(moved, ExecutableCache(caches[name]))
    server.prepare(SHAPE)
    before = server(frame, NAMES[0])
    content = bytearray(moved.file(NAMES[0]).read_bytes())
    content[-64:] = np.full(16, 0.5, np.float32).tobytes()
    moved.file(NAMES[0]).write_bytes(content)
    server.switch(NAMES[0])
    assert (server(frame, NAMES[0]) != before).any()


# The store


def test_a_store_holds_what_members_read(store, three_members):
    assert store.names == tuple(NAMES)
    for member in three_members.members:
        own = store.load_own(member.name)
        count = sum(leaf.size for leaf in jax.tree.leaves(own))
        assert count == arch_parameters(three_members.space, member.arch) == member.parameters
    jax.tree.map(np.testing.assert_array_equal, store.load().params, three_members.params)


def test_a_store_of_some_members_leaves_out_what_others_read(three_members, tmp_path):
    members = three_members.members[:2]
    some = write_weights_store(tmp_path, three_members, [member.name for member in members])
    archs = [member.arch for member in members]
    space_size = sum(leaf.nbytes for leaf in jax.tree.leaves(some.load().params))
    assert space_size == union_weight_bytes(three_members.space, archs)
    assert space_size < sum(leaf.nbytes for leaf in jax.tree.leaves(three_members.params))
    assert some.bundle == dataclasses.replace(three_members, members=members, params={})


def test_a_store_of_a_member_that_is_not_there(three_members, tmp_path):
    with pytest.raises(InputError, match="'2c3-u1': the bundle has 2id-u1"):
        write_weights_store(tmp_path, three_members, ["2c3-u1"])
