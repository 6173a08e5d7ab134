"""The members' frame times on this machine, now: what a policy begins with."""

import time
from collections.abc import Callable, Sequence

import numpy as np

from dysr_jax.bundle import Member
from dysr_jax.runtime.policy import MemberTiming, sort_timings
from dysr_jax.runtime.server import Server

TIMED_FRAMES = 5
"""Frames timed per member, in turn, so that a slow moment hits all alike. The quickest counts: the policy
deals with what disturbed the others."""

TOO_SLOW_DEADLINES = 4
"""A member whose frame takes this many deadlines is timed once."""


def measure_timings(
    server: Server,
    frame: np.ndarray,
    members: Sequence[Member],
    *,
    deadline_ms: float,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[MemberTiming, ...]:
    """Frame times of members, fastest first; `server` is prepared for `frame`, `[H, W, 3]` uint8."""
    took: dict[str, float] = {}
    for _ in range(TIMED_FRAMES):
        for member in members:
            if took.get(member.name, 0.0) < TOO_SLOW_DEADLINES * deadline_ms:
                start = clock()
                server(frame, member.name)
                now = (clock() - start) * 1e3
                took[member.name] = min(now, took.get(member.name, now))
    return sort_timings(MemberTiming(member.name, took[member.name], member.psnr_y) for member in members)
