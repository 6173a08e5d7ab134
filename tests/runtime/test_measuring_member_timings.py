"""Timings: the quickest of frames taken in turn, and little time for members that are far too slow."""

import numpy as np
import pytest

from dysr_jax.bundle.bundle import Member
from dysr_jax.runtime.measuring import TIMED_FRAMES, TOO_SLOW_DEADLINES, measure_timings


class Machine:
    """A clock that moves by what each frame takes."""

    def __init__(self, times):
        self.now, self.times, self.order = 0.0, times, []

    def __call__(self, frame, name):
        self.order.append(name)
        taken = self.times[name]
        self.now += taken.pop(0) if isinstance(taken, list) else taken
        return frame


def member(name, psnr_y):
    return Member(name, (0,), psnr_y, 1.0, 1e3, 1, 1)


def test_members_take_turns_and_the_quickest_frame_counts():
    machine = Machine({"a": [0.03, 0.02, 0.05, 0.04, 0.03], "b": [0.012, 0.011, 0.04, 0.02, 0.03]})
    found = measure_timings(
        machine,
        np.zeros((2, 2, 3), np.uint8),
        [member("a", 30.0), member("b", 28.0)],
        deadline_ms=40.0,
        clock=lambda: machine.now,
    )
    assert [timing.name for timing in found] == ["b", "a"]
    assert [timing.frame_ms for timing in found] == pytest.approx([11.0, 20.0])
    assert [timing.psnr_y for timing in found] == [28.0, 30.0]
    assert machine.order == ["a", "b"] * TIMED_FRAMES


def test_a_member_that_is_far_too_slow_is_timed_once():
    machine = Machine({"slow": 0.0401 * TOO_SLOW_DEADLINES, "quick": 0.01})
    found = measure_timings(
        machine,
        np.zeros((2, 2, 3), np.uint8),
        [member("slow", 30.0), member("quick", 28.0)],
        deadline_ms=40.0,
        clock=lambda: machine.now,
    )
    assert machine.order.count("slow") == 1
    assert machine.order.count("quick") == TIMED_FRAMES
    assert [timing.name for timing in found] == ["quick", "slow"]
