"""The rates: of a clock that only the calls move."""

import pytest

from dysr_jax.bench import frames
from dysr_jax.bench.frames import FrameCall, TimeBudget, device_fps, end_to_end


class Machine:
    """Dispatching takes no time; frames are made one after the other, each in so many seconds."""

    def __init__(self, *seconds):
        self.now, self.free, self.started, self.most = 0.0, 0.0, 0, 0
        self.seconds, self.waiting = seconds, []

    def start(self):
        self.free = max(self.free, self.now) + self.seconds[self.started % len(self.seconds)]
        self.started += 1
        self.waiting.append(self.free)
        self.most = max(self.most, len(self.waiting))
        return self.free

    def finish(self, ready):
        self.now = max(self.now, ready)
        self.waiting = [other for other in self.waiting if other > self.now]

    @property
    def call(self):
        return FrameCall(self.start, self.finish)


@pytest.fixture
def machine(monkeypatch):
    def make(*seconds):
        made = Machine(*seconds)
        monkeypatch.setattr(frames.time, "perf_counter", lambda: made.now)
        return made

    return make


@pytest.mark.parametrize(("in_flight", "most"), [(False, 1), (True, 5)])
def test_frames_in_flight_fill_a_sample(machine, in_flight, most):
    made = machine(0.01)
    assert device_fps(made.call, TimeBudget(), in_flight=in_flight) == pytest.approx(100)
    assert made.most == most


def test_the_median_round_counts(machine):
    made = machine(0.5, 0.01, 0.01, 0.01, 0.9, 0.01)  # the first is the warm-up
    assert device_fps(made.call, TimeBudget(rounds=5), in_flight=False) == pytest.approx(100)
    assert made.started == 6


@pytest.mark.parametrize(("seconds", "started"), [(0.001, 2), (1.5, 3), (60.0, 6)])
def test_the_time_is_up(machine, seconds, started):
    made = machine(1.0)
    device_fps(made.call, TimeBudget(rounds=5, seconds=seconds), in_flight=False)
    assert made.started == started


@pytest.mark.parametrize("depth", [1, 3])
def test_a_pipeline_holds_so_many_frames(machine, depth):
    made = machine(0.01)
    found = end_to_end(made.call, TimeBudget(seconds=1.0), depth=depth)
    assert made.most == depth
    assert found.fps == pytest.approx(100)
    assert found.p50_ms == pytest.approx(10)
    assert made.waiting == []


def test_quantiles_are_of_the_time_between_frames(machine):
    made = machine(*[0.01] * 49, 0.11)
    found = end_to_end(made.call, TimeBudget(seconds=12.0), depth=2)
    assert found.p50_ms == pytest.approx(10)
    assert found.p99_ms == pytest.approx(110)
    assert found.fps == pytest.approx(1 / 0.012, rel=0.01)


def test_slow_frames_are_few(machine):
    made = machine(20.0)
    found = end_to_end(made.call, TimeBudget(seconds=1.0), depth=1)
    assert made.started == 3
    assert found.fps == pytest.approx(0.05)
