"""From the times of frames to the rows of the switch experiment."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from dysr_jax.bench.contestant import Taken


def missed(seconds: float, period: float) -> int:
    """Frames that a frame of this duration leaves out, when one is due every period."""
    return max(0, math.ceil(seconds / period) - 1)


def member_row(name: str, taken: Sequence[Taken]) -> dict[str, Any]:
    """Milliseconds of one member's frames: after switches to it, and the others."""
    first = [1e3 * one.first for one in taken]
    steady = [1e3 * seconds for one in taken for seconds in one.steady]
    return {
        "name": name,
        **_percentiles("steady_ms", steady),
        **_percentiles("switch_ms", first),
        "switches": len(first),
        "steady_frames": len(steady),
    }


def times_row(taken: Sequence[Taken], names: Sequence[str], fps: float) -> dict[str, Any]:
    """What is told of a strategy's times.

    A first frame is compared with the steady frames of the same member, because members take different times:
    `switch_over_steady_p99` is the 99th percentile of their ratio to that member's steady p99, and
    `within_steady_p99` the share of first frames that take no longer (0.99 of steady frames do not).

    Args:
        taken: every switch, with at least one steady frame after it.
        names: the members; those that no switch went to get no row.
        fps: frames a second that are due.
    """
    own = {name: [one for one in taken if one.member == name] for name in names}
    rows = [member_row(name, of_member) for name, of_member in own.items() if of_member]
    steady = [1e3 * seconds for one in taken for seconds in one.steady]
    limit = {row["name"]: row["steady_ms_p99"] for row in rows}
    ratios = np.array([1e3 * one.first / limit[one.member] for one in taken])
    after_switch = sum(missed(one.first, 1 / fps) for one in taken)
    others = sum(missed(seconds, 1 / fps) for one in taken for seconds in one.steady)
    return {
        **_percentiles("steady_ms", steady),
        **_percentiles("switch_ms", [1e3 * one.first for one in taken]),
        "switch_over_steady_p99": float(np.percentile(ratios, 99)),
        "within_steady_p99": float(np.mean(ratios <= 1)),
        "host_us": 1e6 * float(np.median([one.host for one in taken])),
        "host_us_p99": 1e6 * float(np.percentile([one.host for one in taken], 99)),
        "missed_frames": after_switch + others,
        "missed_after_switch": after_switch,
        "switches": len(taken),
        "steady_frames": len(steady),
        "members": rows,
    }


def _percentiles(name: str, values: Sequence[float]) -> dict[str, float]:
    return {f"{name}_p{q}": float(np.percentile(values, q)) for q in (50, 99)}
