"""One list of statements that every server fulfils: bank, chain, serving, and what they are compared with."""

import jax
import numpy as np
import pytest

from dysr_jax.aot.accounting import count_compilations
from dysr_jax.aot.executables import ExecutableCache
from dysr_jax.bench.switch.servers import STRATEGIES, find_strategy
from dysr_jax.bench.switch.weights_store import write_weights_store
from dysr_jax.errors import InputError
from dysr_jax.runtime.bank import Bank
from dysr_jax.runtime.measuring import measure_switching
from dysr_jax.runtime.server import Server, Subgraph, resolve, resolve_all, resolver
from dysr_jax.runtime.serving import Serving

SHAPE = (6, 8)
NAMES = ["2id-u1", "s3-c3-u1", "2r1-u2"]
SPELLED = {"2id-u1": ("id-1id-u1", "fastest"), "s3-c3-u1": ("1s3-c3-1u1",), "2r1-u2": ("r1-r1-u2", "best")}
LOADING = [name for name, strategy in STRATEGIES.items() if strategy.loads]
EVERY = [*STRATEGIES, "serving", "onnxruntime"]
RESIDENT = [name for name in EVERY if name not in LOADING]


@pytest.fixture(scope="module")
def make(three_members, tmp_path_factory, all_compiling):
    """`name -> server`, not prepared, with a cache of its own on disk."""
    store = write_weights_store(tmp_path_factory.mktemp("store"), three_members, NAMES)

    def made(name):
        cache = ExecutableCache(tmp_path_factory.mktemp("executables"))
        if name == "serving":
            return Serving(store.load(), cache=cache)
        return find_strategy(name).make(store, cache)

    return made


@pytest.fixture(scope="module")
def servers(make):
    servers = {name: make(name) for name in EVERY}
    for server in servers.values():
        server.prepare(SHAPE)
    return servers


@pytest.fixture(scope="module")
def expected(three_members, frame):
    """By a bank over the whole bundle."""
    bank = Bank(three_members, cache=None)
    bank.prepare(SHAPE)
    return {name: bank(frame, name).astype(int) for name in NAMES}


@pytest.fixture(params=EVERY)
def server(servers, request):
    return servers[request.param]


def test_all_give_equal_pixels_for_equal_members(server, frame, expected):
    for name in NAMES[::-1]:
        others = [np.abs(expected[name] - expected[other]).max() for other in NAMES if other != name]
        assert min(others) > 5
        found = server(frame, name)
        assert (found.shape, found.dtype) == ((12, 16, 3), np.uint8)
        assert np.abs(found - expected[name]).max() <= 1


def test_a_name_in_any_spelling_and_an_arch_mean_the_same_member(server, frame):
    for member in server.bundle.members:
        found = server(frame, member.name)
        for same in (*SPELLED[member.name], member.arch, list(member.arch), np.array(member.arch)):
            np.testing.assert_array_equal(server(frame, same), found)


def test_what_is_dispatched_may_be_fetched_later(server, frame):
    started = server.dispatch(jax.device_put(frame), NAMES[1])
    np.testing.assert_array_equal(np.asarray(started), server(frame, NAMES[1]))


@pytest.mark.parametrize(
    ("member", "message"),
    [
        ("2zz-u1", "^member '2zz-u1': the bundle has 2id-u1, .*name its ends$"),
        ((0, 99, 0), r"^arch \(0, 99, 0\): slot 1 takes 0 to 3, not 99$"),
        ((0, 0), r"^arch \(0, 0\) has 2 indices"),
        (None, "^arch None: .*a tuple of ints"),
    ],
)
def test_an_unknown_member_is_refused_in_one_line(server, frame, member, message):
    for ask in (lambda: server.dispatch(frame, member), lambda: server.prepare(SHAPE, [member])):
        with pytest.raises(InputError, match=message) as error:
            ask()
        assert "\n" not in str(error.value)


def test_members_are_a_list(server):
    with pytest.raises(InputError, match=r"^members 'best': must be a list of names$"):
        server.prepare(SHAPE, "best")


def test_memory_is_weights_executables_and_workspace(server):
    memory = server.memory()
    assert min(memory.weights, memory.executables) > 0
    assert memory.workspace >= SHAPE[0] * SHAPE[1] * 3 * (1 + 4)
    assert memory.total == memory.weights + memory.executables + memory.workspace


@pytest.mark.parametrize("name", EVERY)
def test_prepare_compiles_and_a_switch_compiles_nothing(make, frame, name):
    server = make(name)
    with count_compilations() as compilations:
        server.prepare(SHAPE)
    assert (compilations.value > 0) == (name != "onnxruntime")
    if name in RESIDENT:
        with count_compilations() as compilations:
            outputs = {server(frame, member).tobytes() for member in NAMES * 2}
        assert compilations.value == 0
        assert len(outputs) == len(NAMES)


@pytest.mark.parametrize("name", RESIDENT)
def test_switching_can_be_measured(servers, frame, name):
    report = measure_switching(servers[name], frame, rounds=1, steady_frames=1)
    assert list(report.steady_ms) == NAMES
    assert (report.switches, report.compilations) == (3, 0)


def test_a_runtime_of_ones_own_is_a_server(three_members, frame):
    class Repeat(Server):
        """Repeats pixels."""

        def __init__(self, bundle):
            self.bundle, self._resolve = bundle, resolver(bundle)

        def prepare(self, shape, members=None, *, warm_up=True):
            resolve_all(self.bundle, members)

        def dispatch(self, frame, member):
            self._resolve(member)
            return frame.repeat(2, 0).repeat(2, 1)

        def memory(self):
            raise NotImplementedError

    assert measure_switching(Repeat(three_members), frame, rounds=1).switches == 3
    with pytest.raises(InputError, match="member '2zz-u1'"):
        Repeat(three_members)(frame, "2zz-u1")


def test_what_a_member_resolves_to(three_members):
    best = Subgraph("2r1-u2", (3, 3, 1))
    for member in ("best", "r1-1r1-u2", (3, 3, 1), np.array([3, 3, 1])):
        assert resolve(three_members, member) == best
    assert resolve(three_members, "2c3-u1") == Subgraph("2c3-u1", (2, 2, 0))  # no member
    with pytest.raises(InputError, match=r"^member '2c3-u1': the bundle has 2id-u1"):
        resolve(three_members, (2, 2, 0), members_only=True)
    assert resolve_all(three_members, ["best", (3, 3, 1), "fastest"]) == [best, Subgraph("2id-u1", (0, 0, 0))]
    assert [found.name for found in resolve_all(three_members, None)] == NAMES
