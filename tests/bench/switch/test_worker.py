"""What runs in the children, in this process: members at rest, a server and a stopwatch."""

import dataclasses

import pytest

from dysr_jax.bench.switch import worker
from dysr_jax.bench.switch.result import MemberAtRest
from dysr_jax.bench.switch.servers import STRATEGIES
from dysr_jax.bench.switch.worker import RestWorker, StrategyWorker
from dysr_jax.runtime.bank import Bank

NAMES = ["2id-u1", "s3-c3-u1", "2r1-u2"]


@pytest.fixture(scope="module")
def written(bundle, tmp_path_factory):
    """Times and store of two members, asked for in another order."""
    folder = tmp_path_factory.mktemp("written")
    timer = RestWorker(str(bundle), None, None, ("best", NAMES[1]))
    rest = timer.time_members(1e-3)
    return rest, timer.write_store(folder, [member.name for member in rest.members])


def test_members_are_timed_at_rest(written):
    rest, store = written
    assert [member.name for member in rest.members] == list(store.names) == NAMES[1:]
    assert min(member.rest_ms for member in rest.members) > 0
    assert (rest.frame, rest.scale, rest.fps) == ((6, 8), 2, 1e-3)
    assert rest.left_out == rest.strategies == ()


def test_members_that_are_too_slow_are_left_out(bundle, monkeypatch):
    times = dict(zip(NAMES, [1.0, 20.0, 41.0], strict=True))
    monkeypatch.setattr(worker, "undisturbed_ms", lambda calls, rounds: times)
    for fps in (25.0, 50.0):
        rest = RestWorker(str(bundle), None, None, ()).time_members(fps)
        assert rest.members == (MemberAtRest(NAMES[0], 1.0), MemberAtRest(NAMES[1], 20.0))
        assert rest.left_out == (MemberAtRest(NAMES[2], 41.0),)


def swap(monkeypatch, kind):
    """Serve `fused` by a bank of this kind."""
    strategy = dataclasses.replace(
        STRATEGIES["fused"], make=lambda store, cache: kind(store.load(), cache=cache)
    )
    monkeypatch.setitem(STRATEGIES, "fused", strategy)


def test_a_server_that_compiles_on_the_way_is_found_out(written, tmp_path, monkeypatch):
    class Forgetful(Bank):
        """Compiles at every frame, and does not say so."""

        def dispatch(self, frame, member):
            fresh = Bank(self.bundle, cache=None)
            fresh.prepare((6, 8), [member])
            return fresh.dispatch(frame, member)

    swap(monkeypatch, Forgetful)
    one = StrategyWorker("fused", written[1], (6, 8), tmp_path / "cache")
    one.ready()
    assert one.max_abs_diff() <= 1
    with pytest.raises(RuntimeError, match="programs were compiled or loaded meanwhile"):
        one.time_switches(NAMES[1:], 1)


def test_a_server_that_gives_other_pixels_is_found_out(written, tmp_path, monkeypatch):
    class Confused(Bank):
        """Serves another member."""

        def dispatch(self, frame, member):
            return super().dispatch(frame, NAMES[1])

    swap(monkeypatch, Confused)
    one = StrategyWorker("fused", written[1], (6, 8), tmp_path / "cache")
    one.ready()
    assert one.max_abs_diff() > 5


@pytest.mark.parametrize("name", ["fused", "reload_cached"])
def test_switches_are_timed_with_the_frames_after_them(written, tmp_path, name, compiling):
    one = StrategyWorker(name, written[1], (6, 8), tmp_path / "cache")
    one.is_up()
    one.ready()
    timings, compilations = one.time_switches([*NAMES[1:], NAMES[1]], 2)
    assert [timing.member for timing in timings] == [NAMES[2], NAMES[1]]
    assert all(0 < timing.host < timing.first and len(timing.steady) == 2 for timing in timings)
    assert compilations == (2 if name == "reload_cached" else 0)
    sizes = one.bytes()
    parts = [sizes[f"{kind}_bytes"] for kind in ("weight", "executable", "workspace")]
    assert sizes["device_bytes"] == sum(parts)
