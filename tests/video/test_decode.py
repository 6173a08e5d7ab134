"""Time stamps of frames, and times from them."""

import itertools
from fractions import Fraction
from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from dysr_jax.video.decode import Clock, Stamps, drop_early_stamps

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


def test_one_frame_far_ahead_follows_at_the_rate():
    frames = [SimpleNamespace(pts=n) for n in (0, 4, 5000, 12, 16, 5000, 5004)]
    found = [frame.pts for frame in drop_early_stamps(frames, 100)]
    assert found == [0, 4, None, 12, 16, 5000, 5004]


def test_presentation_that_goes_back_gives_way_to_decoding():
    stamps = Stamps()
    found = [stamps(pts, dts, 0) for pts, dts in ((1, 2), (4, 3), (3, 4), (5, 5), (2, 6))]
    assert found[2:] == [2, 3, 4]
    stamps = Stamps()
    assert [stamps(None, dts, 10) for dts in (12, 13, None)] == [10, 11, None]
