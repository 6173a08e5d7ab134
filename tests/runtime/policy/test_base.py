"""The interface of policies, the fixed one, and the check around any."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dysr_jax.errors import InputError
from dysr_jax.runtime.policy.base import CheckedPolicy, FixedPolicy, MemberTiming, Observation, sort_timings

TIMINGS = (
    MemberTiming("slow", 40.0, 30.0),
    MemberTiming("fast", 5.0, 28.0),
    MemberTiming("middle", 20.0, 31.0),
)
SEEN = Observation(10.0, "fast", 33.0)


class Answers:
    """A policy that answers what it is told to."""

    def __init__(self, first, later=None):
        self.first, self.later = first, later

    def start(self, timings, deadline_ms):
        return self.first

    def __call__(self, state, observation):
        return self.later


def test_late_is_longer_than_the_deadline():
    assert Observation(33.1, "a", 33.0).late
    assert not Observation(33.0, "a", 33.0).late


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (("", 1.0, 30.0), "timing ''"),
        (("a", 0.0, 30.0), "timing 'a': frame_ms 0.0: must be finite and above 0"),
        (("a", math.nan, 30.0), "frame_ms nan"),
        (("a", math.inf, 30.0), "frame_ms inf"),
        (("a", 1.0, math.nan), "timing 'a': psnr_y nan: must be finite"),
    ],
)
def test_a_rung_that_no_member_is(fields, message):
    with pytest.raises(InputError, match=message):
        MemberTiming(*fields)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ((-1.0, "a", 33.0), "observation.frame_ms -1.0"),
        ((1.0, "a", 0.0), "observation.deadline_ms 0.0: must be finite and above 0"),
        ((1.0, "a", math.nan), "observation.deadline_ms nan"),
        ((1.0, "a", 33.0, -1), "observation.queued -1: must be at least 0"),
    ],
)
def test_an_observation_that_no_frame_gives(fields, message):
    with pytest.raises(InputError, match=message):
        Observation(*fields)


@given(st.permutations(TIMINGS))
def test_timings_in_any_order(timings):
    assert [timing.name for timing in sort_timings(timings)] == ["fast", "middle", "slow"]


def test_of_equal_times_the_worse_comes_first():
    timings = [MemberTiming("b", 5.0, 30.0), MemberTiming("a", 5.0, 31.0), MemberTiming("c", 5.0, 29.0)]
    assert [timing.name for timing in sort_timings(timings)] == ["c", "b", "a"]


def test_rungs_that_cannot_be_told_apart():
    with pytest.raises(InputError, match="timings is empty"):
        sort_timings([])
    with pytest.raises(InputError, match="timings: a there more than once"):
        sort_timings(
            [MemberTiming("a", 1.0, 30.0), MemberTiming("b", 2.0, 31.0), MemberTiming("a", 3.0, 32.0)]
        )


@pytest.mark.parametrize(
    ("given_name", "expected"), [("slow", "slow"), ("fastest", "fast"), ("best", "middle")]
)
def test_the_fixed_policy_stays(given_name, expected):
    running = CheckedPolicy(FixedPolicy(given_name), TIMINGS)
    state, member = running.start(33.0)
    for _ in range(3):
        assert member == expected
        state, member = running(state, Observation(500.0, expected, 33.0, 20))


def test_an_unknown_member_is_refused_at_the_start():
    with pytest.raises(InputError, match="FixedPolicy: member 'x': must be one of fast, middle, slow"):
        CheckedPolicy(FixedPolicy("x"), TIMINGS).start(33.0)


def test_an_unknown_member_is_refused_later():
    running = CheckedPolicy(Answers((0, "fast"), (0, "x")), TIMINGS)
    state, member = running.start(33.0)
    assert member == "fast"
    with pytest.raises(InputError, match="Answers: member 'x': must be one of fast, middle, slow"):
        running(state, SEEN)


@pytest.mark.parametrize("answer", [None, "fast", ("state", "fast", 3), ["state", "fast"]])
def test_an_answer_that_is_no_pair(answer):
    with pytest.raises(InputError, match=r"Answers returned .*: must be \(state, member\)"):
        CheckedPolicy(Answers(answer), TIMINGS).start(33.0)


@pytest.mark.parametrize("deadline", [0.0, -1.0, math.nan, math.inf])
def test_a_deadline_that_is_none(deadline):
    with pytest.raises(InputError, match="deadline_ms"):
        CheckedPolicy(FixedPolicy("fast"), TIMINGS).start(deadline)


@pytest.mark.parametrize("spelled", ["2id-u1", "id-id-u1", "1id-id-1u1"])
def test_members_are_named_however_they_are_spelled(spelled):
    timings = [MemberTiming("2id-u1", 1.0, 30.0), MemberTiming("c3-id-u1", 2.0, 31.0)]

    class Own:
        def start(self, timings, deadline_ms):
            return None, spelled

        def __call__(self, state, seen):
            return state, spelled

    for policy in (FixedPolicy(spelled), Own()):
        state, name = CheckedPolicy(policy, timings).start(10.0)
        assert name == "2id-u1"
        assert CheckedPolicy(policy, timings)(state, Observation(1.0, name, 10.0))[1] == "2id-u1"
