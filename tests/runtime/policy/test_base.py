"""The interface of policies, the fixed one, and the check around any."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dysr_jax.errors import InputError
from dysr_jax.runtime.policy.base import FixedPolicy, Observation, Rung, checked, sort_rungs

RUNGS = (Rung("slow", 40.0, 30.0), Rung("fast", 5.0, 28.0), Rung("middle", 20.0, 31.0))
SEEN = Observation(10.0, "fast", 33.0)


class Answers:
    """A policy that answers what it is told to."""

    def __init__(self, first, later=None):
        self.first, self.later = first, later

    def start(self, rungs, deadline_ms):
        return self.first

    def __call__(self, state, observation):
        return self.later


def test_late_is_longer_than_the_deadline():
    assert Observation(33.1, "a", 33.0).late
    assert not Observation(33.0, "a", 33.0).late


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (("", 1.0, 30.0), "rung ''"),
        (("a", 0.0, 30.0), "rung 'a': frame_ms 0.0: allowed are finite values above 0"),
        (("a", math.nan, 30.0), "frame_ms nan"),
        (("a", math.inf, 30.0), "frame_ms inf"),
        (("a", 1.0, math.nan), "rung 'a': psnr_y nan: allowed are finite values"),
    ],
)
def test_a_rung_that_no_member_is(fields, message):
    with pytest.raises(InputError, match=message):
        Rung(*fields)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ((-1.0, "a", 33.0), "observation.frame_ms -1.0"),
        ((1.0, "a", 0.0), "observation.deadline_ms 0.0: allowed are finite values above 0"),
        ((1.0, "a", math.nan), "observation.deadline_ms nan"),
        ((1.0, "a", 33.0, -1), "observation.queued -1: allowed is 0 or more"),
    ],
)
def test_an_observation_that_no_frame_gives(fields, message):
    with pytest.raises(InputError, match=message):
        Observation(*fields)


@given(st.permutations(RUNGS))
def test_rungs_in_any_order(rungs):
    assert [rung.name for rung in sort_rungs(rungs)] == ["fast", "middle", "slow"]


def test_of_equal_times_the_worse_comes_first():
    rungs = [Rung("b", 5.0, 30.0), Rung("a", 5.0, 31.0), Rung("c", 5.0, 29.0)]
    assert [rung.name for rung in sort_rungs(rungs)] == ["c", "b", "a"]


def test_rungs_that_cannot_be_told_apart():
    with pytest.raises(InputError, match="rungs is empty"):
        sort_rungs([])
    with pytest.raises(InputError, match="rungs: a there more than once"):
        sort_rungs([Rung("a", 1.0, 30.0), Rung("b", 2.0, 31.0), Rung("a", 3.0, 32.0)])


@pytest.mark.parametrize(
    ("given_name", "expected"), [("slow", "slow"), ("fastest", "fast"), ("best", "middle")]
)
def test_the_fixed_policy_stays(given_name, expected):
    running = checked(FixedPolicy(given_name), RUNGS)
    state, member = running.start(33.0)
    for _ in range(3):
        assert member == expected
        state, member = running(state, Observation(500.0, expected, 33.0, 20))


def test_an_unknown_member_is_refused_at_the_start():
    with pytest.raises(InputError, match="FixedPolicy: member 'x': allowed are fast, middle, slow"):
        checked(FixedPolicy("x"), RUNGS).start(33.0)


def test_an_unknown_member_is_refused_later():
    running = checked(Answers((0, "fast"), (0, "x")), RUNGS)
    state, member = running.start(33.0)
    assert member == "fast"
    with pytest.raises(InputError, match="Answers: member 'x': allowed are fast, middle, slow"):
        running(state, SEEN)


@pytest.mark.parametrize("answer", [None, "fast", ("state", "fast", 3), ["state", "fast"]])
def test_an_answer_that_is_no_pair(answer):
    with pytest.raises(InputError, match=r"Answers returned .*: expected \(state, member\)"):
        checked(Answers(answer), RUNGS).start(33.0)


@pytest.mark.parametrize("deadline", [0.0, -1.0, math.nan, math.inf])
def test_a_deadline_that_is_none(deadline):
    with pytest.raises(InputError, match="deadline_ms"):
        checked(FixedPolicy("fast"), RUNGS).start(deadline)


@pytest.mark.parametrize("spelled", ["2id-u1", "id-id-u1", "1id-id-1u1"])
def test_members_are_named_however_they_are_spelled(spelled):
    rungs = [Rung("2id-u1", 1.0, 30.0), Rung("c3-id-u1", 2.0, 31.0)]

    class Own:
        def start(self, rungs, deadline_ms):
            return None, spelled

        def __call__(self, state, seen):
            return state, spelled

    for policy in (FixedPolicy(spelled), Own()):
        state, name = checked(policy, rungs).start(10.0)
        assert name == "2id-u1"
        assert checked(policy, rungs)(state, Observation(1.0, name, 10.0))[1] == "2id-u1"
