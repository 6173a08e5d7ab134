"""The members' frame times on this machine, now: what a policy begins with."""

import time
from collections.abc import Callable, Sequence

import numpy as np

from dysr_jax.runtime.bundle import Member
from dysr_jax.runtime.policy import Rung
from dysr_jax.runtime.stream import Dispatch

FRAMES = 5
"""Of each member that are timed; the quickest counts: what disturbed the others is the policy's to find."""


def measure_rungs(
    dispatch: Dispatch,
    frame: np.ndarray,
    members: Sequence[Member],
    *,
    deadline_ms: float,
    clock: Callable[[], float] = time.perf_counter,
) -> list[Rung]:
    """Frame times of members that are ready to run, fastest first.

    A member that takes several times the deadline is measured by one frame only.

    Args:
        dispatch: of an executable that was run once before (`Bank.prepare`).
        frame: `[H, W, 3]` uint8.
        members: to be measured, fastest first.
        deadline_ms: of a frame.
        clock: seconds.
    """

    def once(name: str) -> float:
        start = clock()
        np.asarray(dispatch(frame, name))
        return (clock() - start) * 1e3

    rungs = []
    for member in members:
        took = once(member.name)
        for _ in range(FRAMES - 1 if took < 4 * deadline_ms else 0):
            took = min(took, once(member.name))
        rungs.append(Rung(member.name, took, member.psnr_y))
    return sorted(rungs, key=lambda rung: rung.frame_ms)
