"""What a switch costs: frames through every member in turn."""

import dataclasses
import statistics
import time

import chex

from dysr_jax.aot import count_compilations
from dysr_jax.runtime.server import Server


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
    return SwitchReport(
        steady_ms={name: statistics.median(values) for name, values in steady.items()},
        first_ms={name: statistics.median(values) for name, values in first.items()},
        switches=rounds * len(names) if len(names) > 1 else 0,
        compilations=compilations.value,
    )
