"""The members' frame times on this machine, now: what a policy begins with."""

import time
from collections.abc import Callable, Sequence

import numpy as np

from dysr_jax.bundle import Member
from dysr_jax.runtime.policy import Rung, sort_rungs
from dysr_jax.runtime.stream import Dispatch

ROUNDS = 5
"""Frames of each member that are timed, in turn, so that a slow moment hits all alike. The quickest counts:
what disturbed the others is the policy's to find."""

FAR = 4
"""A member that takes so many deadlines is timed once."""


def measure_rungs(
    dispatch: Dispatch,
    frame: np.ndarray,
    members: Sequence[Member],
    *,
    deadline_ms: float,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[Rung, ...]:
    """Frame times of members that are ready to run, fastest first.

    Args:
        dispatch: of executables that were run once before (`Bank.prepare`).
        frame: `[H, W, 3]` uint8.
        members: to be measured.
        deadline_ms: of a frame.
        clock: seconds.
    """
    took: dict[str, float] = {}
    for _ in range(ROUNDS):
        for member in members:
            if took.get(member.name, 0.0) < FAR * deadline_ms:
                start = clock()
                np.asarray(dispatch(frame, member.name))
                now = (clock() - start) * 1e3
                took[member.name] = min(now, took.get(member.name, now))
    return sort_rungs(Rung(member.name, took[member.name], member.psnr_y) for member in members)
