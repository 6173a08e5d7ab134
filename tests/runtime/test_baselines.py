"""Ways to serve members: all give the same pixels, each takes the memory and compilations that it says."""

import dataclasses
import shutil

import jax
import numpy as np
import pytest
from jax.experimental.compilation_cache import compilation_cache

from dysr_jax.aot.compilations import count_compilations
from dysr_jax.aot.executables import ExecutableCache
from dysr_jax.bench.switch.reload import Shelf, write_shelf
from dysr_jax.bench.switch.servers import STRATEGIES
from dysr_jax.errors import InputError
from dysr_jax.model.sharing import ensemble_weight_bytes, union_weight_bytes
from dysr_jax.model.space import arch_parameters
from dysr_jax.runtime.bank import Bank

SHAPE = (6, 8)
NAMES = ["2id-u1", "s3-c3-u1", "2r1-u2"]
ORDER = [NAMES[2], NAMES[0], NAMES[1]]
RESIDENT = [name for name, kind in STRATEGIES.items() if not kind.loads]
RELOADING = [name for name, kind in STRATEGIES.items() if kind.loads]


@pytest.fixture(scope="module", autouse=True)
def _compiling():
    """XLA compiles all: what JAX takes from its own cache on the CPU cannot be serialised whole."""
    jax.config.update("jax_enable_compilation_cache", False)
    compilation_cache.reset_cache()
    yield
    jax.config.update("jax_enable_compilation_cache", True)
    compilation_cache.reset_cache()


@pytest.fixture(scope="module")
def shelf(three_members, tmp_path_factory):
    return write_shelf(tmp_path_factory.mktemp("shelf"), three_members, NAMES)


@pytest.fixture(scope="module")
def caches(tmp_path_factory):
    """A folder for executables, by strategy."""
    folder = tmp_path_factory.mktemp("caches")
    return {name: folder / name for name in STRATEGIES}


@pytest.fixture(scope="module")
def servers(shelf, caches):
    made = {}
    for name, kind in STRATEGIES.items():
        made[name] = kind(shelf, ExecutableCache(caches[name]))
        made[name].prepare(SHAPE)
    return made


@pytest.fixture(scope="module")
def frame():
    return np.random.default_rng(0).integers(0, 256, (*SHAPE, 3), np.uint8)


@pytest.fixture(scope="module")
def expected(three_members, frame):
    """By the bank over the whole bundle."""
    bank = Bank(three_members, cache=None)
    bank.prepare(SHAPE)
    return {name: bank(frame, name).astype(int) for name in NAMES}


def served(server, frame, member):
    server.switch(member)
    return np.asarray(server.dispatch(frame, member))


@pytest.mark.parametrize("name", STRATEGIES)
def test_all_give_the_pixels_of_the_bank(servers, frame, expected, name):
    for member in ORDER:
        others = [np.abs(expected[member] - expected[m]).max() for m in NAMES if m != member]
        assert min(others) > 5
        found = served(servers[name], frame, member)
        assert found.dtype == np.uint8
        assert np.abs(found - expected[member]).max() <= 1


@pytest.mark.parametrize("name", RESIDENT)
def test_what_is_resident_compiles_and_loads_nothing(servers, frame, name):
    with count_compilations() as compilations:
        outputs = {served(servers[name], frame, member).tobytes() for member in ORDER * 2}
    assert len(outputs) == len(NAMES)
    assert compilations.value == 0


@pytest.mark.parametrize("name", RELOADING)
def test_a_reload_compiles_or_loads_once_a_switch(servers, frame, name):
    server = servers[name]
    with count_compilations() as compilations:
        for member in ORDER[:2]:
            served(server, frame, member)
            np.asarray(server.dispatch(frame, member))
    assert compilations.value == 2


@pytest.mark.parametrize("name", RELOADING)
def test_a_reload_has_one_member(servers, frame, name):
    servers[name].switch(NAMES[0])
    with pytest.raises(InputError, match=f"^member {NAMES[1]!r}: allowed is the one"):
        servers[name].dispatch(frame, NAMES[1])


@pytest.mark.parametrize("name", [n for n, kind in STRATEGIES.items() if kind.cached])
def test_a_second_start_compiles_nothing(servers, shelf, caches, frame, expected, name):
    cache = ExecutableCache(caches[name])
    again = STRATEGIES[name](shelf, cache)
    again.prepare(SHAPE)
    assert cache.loaded > 0
    assert cache.compiled == 0
    for member in ORDER:
        assert np.abs(served(again, frame, member) - expected[member]).max() <= 1
    assert cache.compiled == 0


def test_members_in_one_program_are_one_executable(shelf, tmp_path):
    cache = ExecutableCache(tmp_path / "cache")
    STRATEGIES["lax_switch"](shelf, cache).prepare(SHAPE)
    assert (cache.compiled, len(list(cache.folder.iterdir()))) == (1, 1)


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


@pytest.mark.parametrize("name", STRATEGIES)
def test_memory_holds_code_a_frame_and_a_result(servers, name):
    memory = servers[name].memory()
    assert memory.executables > 0
    assert memory.workspace >= SHAPE[0] * SHAPE[1] * 3 * (1 + 4)
    assert memory.total == memory.weights + memory.executables + memory.workspace


@pytest.mark.parametrize("name", RELOADING)
def test_a_reload_reads_the_disk(shelf, caches, frame, tmp_path, name):
    """Another member's file of the same shapes in its place is what is served."""
    moved = Shelf(tmp_path / "shelf", shelf.members)
    shutil.copytree(shelf.folder, moved.folder)
    server = STRATEGIES[name](moved, ExecutableCache(caches[name]))
    server.prepare(SHAPE)
    before = served(server, frame, NAMES[0])
    content = bytearray(moved.file(NAMES[0]).read_bytes())
    content[-64:] = np.full(16, 0.5, np.float32).tobytes()
    moved.file(NAMES[0]).write_bytes(content)
    assert (served(server, frame, NAMES[0]) != before).any()


# The shelf


def test_a_shelf_holds_what_members_read(shelf, three_members):
    assert shelf.names == tuple(NAMES)
    for member in three_members.members:
        own = shelf.own(member.name)
        count = sum(leaf.size for leaf in jax.tree.leaves(own))
        assert count == arch_parameters(three_members.space, member.arch) == member.params
    jax.tree.map(np.testing.assert_array_equal, shelf.bundle().params, three_members.params)


def test_a_shelf_of_some_members_leaves_out_what_others_read(three_members, tmp_path):
    members = three_members.members[:2]
    some = write_shelf(tmp_path, three_members, [member.name for member in members])
    archs = [member.arch for member in members]
    size = sum(leaf.nbytes for leaf in jax.tree.leaves(some.bundle().params))
    assert size == union_weight_bytes(three_members.space, archs)
    assert size < sum(leaf.nbytes for leaf in jax.tree.leaves(three_members.params))
    assert some.members == dataclasses.replace(three_members, members=members, params={})


def test_a_shelf_of_a_member_that_is_not_there(three_members, tmp_path):
    with pytest.raises(InputError, match="'2c3-u1': the bundle has 2id-u1"):
        write_shelf(tmp_path, three_members, ["2c3-u1"])
