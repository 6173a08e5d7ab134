"""From the times of frames to the figures of a strategy."""

import numpy as np
import pytest

from dysr_jax.bench.switch.comparison import missed_frames, strategy_times
from dysr_jax.bench.switch.worker import SwitchTiming


@pytest.mark.parametrize(("ms", "frames"), [(1, 0), (20, 0), (40, 0), (41, 1), (80, 1), (81, 2), (1000, 24)])
def test_frames_that_a_slow_frame_leaves_out(ms, frames):
    assert missed_frames(ms / 1e3, 1 / 25) == frames


def test_planted_times():
    """Member b is slow, but its first frames are no slower than its steady ones."""
    a = [SwitchTiming("a", 1e-6, 0.010, [0.010, 0.012]), SwitchTiming("a", 2e-6, 0.048, [0.011, 0.010])]
    b = [SwitchTiming("b", 3e-6, 0.090, [0.100, 0.100])]
    row = strategy_times([*a, *b], ["a", "b", "c"], 25.0)
    steady_a = np.percentile([10, 12, 11, 10], 99)
    ratios = [10 / steady_a, 48 / steady_a, 0.9]
    members = row.pop("members")
    assert row == pytest.approx(
        {
            "steady_ms_p50": np.median([10, 12, 11, 10, 100, 100]),
            "steady_ms_p99": np.percentile([10, 12, 11, 10, 100, 100], 99),
            "switch_ms_p50": 48,
            "switch_ms_p99": np.percentile([10, 48, 90], 99),
            "switch_over_steady_p99": np.percentile(ratios, 99),
            "within_steady_p99": 2 / 3,
            "host_us": 2,
            "host_us_p99": np.percentile([1, 2, 3], 99),
            "missed_frames": 1 + 2 + 2 * 2,
            "missed_after_switch": 1 + 2,
            "switches": 3,
            "steady_frames": 6,
        }
    )
    assert [(m.name, m.switches, m.steady_frames) for m in members] == [("a", 2, 4), ("b", 1, 2)]
    assert members[0].switch_ms_p50 == pytest.approx(29)
    assert members[0].steady_ms_p99 == pytest.approx(steady_a)
