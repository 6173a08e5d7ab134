"""Members measured through a server: the frame times that a policy begins with, and what a switch costs."""

import dataclasses
import statistics
import time
from collections.abc import Callable, Sequence

import chex

from dysr_jax.aot import count_compilations
from dysr_jax.bundle import Member
from dysr_jax.runtime.policy import MemberTiming, sort_timings
from dysr_jax.runtime.server import FrameLike, Server


@dataclasses.dataclass(frozen=True)
class SwitchReport:
    """Medians over the rounds, and the number of compilations in all of them."""

    steady_ms: dict[str, float] = dataclasses.field(hash=False)
    """Frame to frame, by member, the output on the host."""
    first_ms: dict[str, float] = dataclasses.field(hash=False)
    """The first frame after the switch to this member."""
    switches: int
    compilations: int


def measure_switching(
    server: Server, frame: chex.Array, *, rounds: int = 5, steady_frames: int = 3
) -> SwitchReport:
    """Send a frame `[H, W, 3]` uint8 through every member in turn; `server` is prepared for its shape.

    Each member is switched to `rounds` times, with `steady_frames` after the first before the next switch.
    """

    def frame_ms(member: str) -> float:
        start = time.perf_counter()
        server(frame, member)
        return (time.perf_counter() - start) * 1e3

    names = [member.name for member in server.bundle.members]
    first: dict[str, list[float]] = {name: [] for name in names}
    steady: dict[str, list[float]] = {name: [] for name in names}
    server(frame, names[-1])  # so that the first timed frame follows a switch too
    with count_compilations() as compilations:
        for _ in range(rounds):
            for name in names:
                first[name].append(frame_ms(name))
                steady[name] += [frame_ms(name) for _ in range(steady_frames)]
    steady_ms, first_ms = (
        {name: statistics.median(ms) for name, ms in taken.items()} for taken in (steady, first)
    )
    switches = rounds * len(names) if len(names) > 1 else 0
    return SwitchReport(steady_ms, first_ms, switches, compilations.value)


TIMED_FRAMES = 5
"""Frames timed per member, in turn, so that a slow moment hits all alike. The quickest counts: the policy
deals with what disturbed the others."""

TOO_SLOW_DEADLINES = 4  # A member whose frame takes this many deadlines is timed once


def measure_timings(
    server: Server,
    frame: FrameLike,
    members: Sequence[Member],
    *,
    deadline_ms: float,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[MemberTiming, ...]:
    """Frame times of members, fastest first; `server` is prepared for `frame`."""
    took: dict[str, float] = {}
    for _ in range(TIMED_FRAMES):
        for member in members:
            if took.get(member.name, 0.0) < TOO_SLOW_DEADLINES * deadline_ms:
                start = clock()
                server(frame, member.name)
                now = (clock() - start) * 1e3
                took[member.name] = min(now, took.get(member.name, now))
    return sort_timings(MemberTiming(member.name, took[member.name], member.psnr_y) for member in members)
