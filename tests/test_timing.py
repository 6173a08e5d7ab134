"""Timing: how many calls make a sample, and what a sample is divided by."""

import jax
import pytest

from dysr_jax import timing


class Clock:
    """A clock that only the timed calls move."""

    def __init__(self):
        self.now = 0.0

    def call(self, seconds):
        def run():
            self.now += seconds
            return jax.numpy.zeros(())

        return run


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(timing.time, "perf_counter", lambda: clock.now)
    return clock


@pytest.mark.parametrize(("backend", "calls"), [("cpu", 1), ("gpu", 8)])
def test_an_accelerators_sample_is_many_calls_in_flight(clock, monkeypatch, backend, calls):
    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    seconds = 1.01 * timing.SAMPLE_SECONDS / 8
    assert timing._calls_per_sample(clock.call(seconds)) == calls


def test_a_call_that_is_slow_once_does_not_shorten_the_samples(clock, monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    spent = iter([3 * timing.SAMPLE_SECONDS])

    def call():
        return clock.call(next(spent, 1.01 * timing.SAMPLE_SECONDS / 8))()

    assert timing._calls_per_sample(call) == 8


def test_slow_rounds_and_single_spikes_are_left_out(clock):
    """Some rounds are slow for all calls, each by a factor of its own, and each call has a spike."""
    pace = [1.0, 3.0, 1.0, 1.5, 2.0, 1.0, 1.0, 2.5, 3.0]
    seconds = {"a": 1e-3, "b": 2e-3, "c": 5e-3}
    spikes = {"a": 1, "b": 4, "c": 7}
    turns = {name: iter(range(len(pace))) for name in seconds}

    def call(name):
        turn = next(turns[name])
        clock.call(seconds[name] * pace[turn] * (10.0 if turn == spikes[name] else 1.0))()

    calls = {name: (lambda name=name: call(name)) for name in seconds}
    measured = timing.undisturbed_ms(calls, rounds=len(pace), warmup=0)
    # Milliseconds in a round of median pace.
    assert measured == pytest.approx({"a": 1.5, "b": 3.0, "c": 7.5})


@pytest.mark.parametrize("backend", ["cpu", "gpu"])
def test_medians_are_milliseconds_a_call(clock, monkeypatch, backend):
    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    calls = {"fast": clock.call(1e-4), "slow": clock.call(3e-3)}
    measured = timing.median_ms(calls, rounds=3)
    assert measured == pytest.approx({"fast": 0.1, "slow": 3.0})


def test_samples_are_taken_in_turn():
    order = []
    calls = {name: (lambda name=name: order.append(name)) for name in "ab"}
    timing.samples_ms(calls, rounds=3, warmup=0)
    assert order == list("ababab")
