"""Streams without a device."""

import math

import pytest

from dysr_jax.errors import InputError
from dysr_jax.runtime.policy.base import FixedPolicy, MemberTiming, Observation
from dysr_jax.runtime.policy.simulation import recorded_loads, score, simulate

TIMINGS = (MemberTiming("slow", 8.0, 31.0), MemberTiming("fast", 5.0, 30.0))


class Alternating:
    """The other member each time; keeps what it saw."""

    def start(self, timings, deadline_ms):
        return ((), timings), timings[0].name

    def __call__(self, state, seen):
        seens, (fast, slow) = state
        self.seens = (*seens, seen)
        return (self.seens, (fast, slow)), slow.name if seen.member == fast.name else fast.name


def test_by_hand():
    # Finished at 25, 33, 41, 49, 57, 65 and 73; at 25, those that came at 10 and 20 wait.
    found = simulate(FixedPolicy("slow"), TIMINGS, 10.0, [25 / 8, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0])
    assert [decision.queued for decision in found] == [2, 2, 2, 1, 1, 1, 1]
    assert [round(decision.behind_ms, 9) for decision in found] == [15, 13, 11, 9, 7, 5, 3]
    assert [decision.late for decision in found] == [True] + [False] * 6
    assert score(found) == (1, 7, 0, 31.0)


def test_a_frame_that_takes_its_whole_time_leaves_nothing_behind():
    found = simulate(FixedPolicy("slow"), TIMINGS, 0.8, [0.1] * 1000)
    assert {(d.queued, d.late) for d in found} == {(0, False)}
    assert max(decision.behind_ms for decision in found) < 1e-9


def test_what_the_policy_sees():
    policy = Alternating()
    found = simulate(policy, TIMINGS, 10.0, [1.0, 2.0, 1.0])
    assert policy.seens == (
        Observation(5.0, "fast", 10.0, 0),
        Observation(16.0, "slow", 10.0, 1),
        Observation(5.0, "fast", 10.0, 1),
    )
    assert [decision.member for decision in found] == ["fast", "slow", "fast"]
    assert score(found) == (1, 2, 2, pytest.approx(91 / 3))
    assert recorded_loads(TIMINGS, policy.seens) == [1.0, 2.0, 1.0]


@pytest.mark.parametrize("load", [0.0, -1.0, math.nan, math.inf])
def test_a_load_that_is_none(load):
    with pytest.raises(InputError, match="loads"):
        simulate(FixedPolicy("slow"), TIMINGS, 10.0, [1.0, load])


def test_what_cannot_be():
    with pytest.raises(InputError, match="member 'x'"):
        simulate(FixedPolicy("x"), TIMINGS, 10.0, [1.0])
    with pytest.raises(InputError, match="decisions is empty"):
        score([])
    with pytest.raises(InputError, match="member 'x': must be one of slow, fast"):
        recorded_loads(TIMINGS, [Observation(1.0, "x", 10.0)])
