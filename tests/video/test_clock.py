"""Times from time stamps."""

import itertools
from fractions import Fraction
from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from dysr_jax.video.decode import Clock

STAMPS = st.lists(st.none() | st.integers(-1000, 1000), min_size=1, max_size=30)


def times(stamps, tick=Fraction(1, 100), start=Fraction(0)) -> tuple[Clock, list[Fraction]]:
    clock = Clock(Fraction(25), tick, start)
    return clock, [clock(SimpleNamespace(pts=stamp, duration=0)) for stamp in stamps]


@given(STAMPS)
def test_times_always_increase(stamps):
    _, found = times(stamps)
    assert all(before < after for before, after in itertools.pairwise(found))


@given(st.sets(st.integers(0, 1000), min_size=1).map(sorted), st.integers(0, 50))
def test_stamps_that_increase_are_kept(stamps, start):
    clock, found = times(stamps, start=Fraction(start, 100))
    assert found == [Fraction(stamp - start, 100) for stamp in stamps]
    assert clock.repaired == 0


def test_one_wrong_stamp_does_not_move_those_after_it():
    clock, found = times([0, 4, 4, 12, 16])
    assert found == [Fraction(n, 100) for n in (0, 4, 5, 12, 16)]
    assert clock.repaired == 1


def test_a_frame_without_a_stamp_follows_at_the_rate():
    assert times([None, None, 8, None])[1] == [Fraction(n, 25) for n in range(4)]
