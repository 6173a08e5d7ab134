"""Frames that benchmarks upscale, and their rates: on the device, and from the host and back to it."""

import collections
import dataclasses
import statistics
import time
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np

from dysr_jax.fields import require

SAMPLE_SECONDS: Final = 0.05
"""With calls in flight, a sample is as many of them as fill this time: its end is a host's wait."""
OUTPUT_ROWS: Final = (360, 720, 1080, 2160)  # rows of output frames; columns by 16:9


class FrameCall(NamedTuple):
    """A way to make frames: `start` dispatches one and returns what `finish` waits for."""

    start: Callable[[], Any]
    finish: Callable[[Any], object]


@dataclasses.dataclass(frozen=True)
class TimeBudget:
    """A measurement ends when its rounds are done or the time is up; what is begun is finished."""

    rounds: int = 5
    seconds: float = 2.0


@dataclasses.dataclass(frozen=True)
class EndToEnd:
    """What a viewer gets: frames on the host, in order; percentiles are from a frame to the next."""

    fps: float
    p50_ms: float
    p99_ms: float


class Size(NamedTuple):
    """Rows and columns of a frame."""

    rows: int
    columns: int

    def __str__(self) -> str:
        return f"{self.columns}x{self.rows}"

    @property
    def pixels(self) -> int:
        """Rows times columns."""
        return self.rows * self.columns

    def over(self, scale: int) -> "Size":
        """The LR frame of an output of this size."""
        return Size(self.rows // scale, self.columns // scale)


def output_size(rows: int, scale: int) -> Size:
    """The 16:9 frame of so many rows; an InputError where its sides are not whole, or not after scaling."""
    size = Size(rows, rows * 16 // 9)
    known = ", ".join(map(str, OUTPUT_ROWS))
    fits = rows >= 1 and not (rows * 16 % 9 or rows % scale or size.columns % scale)
    require(fits, "outputs", rows, f"rows of 16:9 frames that x{scale} divides, such as {known}")
    return size


def photograph(size: Size) -> np.ndarray:
    """`[H, W, 3]` uint8 of this size: an embedded photograph, mirrored where it ends."""
    from dysr_jax.data import EmbeddedImages

    image = EmbeddedImages()[0].hr
    more = [(0, max(0, side - have)) for side, have in zip(size, image.shape, strict=False)]
    filled = np.pad(image, [*more, (0, 0)], mode="symmetric")
    return np.ascontiguousarray(filled[: size.rows, : size.columns])


def _sample_s(call: FrameCall, frames: int) -> float:
    """Seconds per frame, so many of them in flight one behind the other."""
    begin = time.perf_counter()
    for _ in range(frames):
        last = call.start()
    call.finish(last)
    return (time.perf_counter() - begin) / frames


def device_fps(call: FrameCall, budget: TimeBudget, *, in_flight: bool) -> float:
    """Frames per second with nothing crossing to or from the host, by the median round; waiting for a frame
    waits for all before it. `in_flight` sends them one behind the other; False waits for each (a CPU would
    run them beside each other, sharing its cores).
    """
    call.finish(call.start())
    begin, frames = time.perf_counter(), 1
    if in_flight:
        frames = max(1, round(SAMPLE_SECONDS / _sample_s(call, 3)))
    samples: list[float] = []
    while len(samples) < budget.rounds and (not samples or time.perf_counter() - begin < budget.seconds):
        samples.append(_sample_s(call, frames))
    return 1.0 / statistics.median(samples)


def end_to_end(call: FrameCall, budget: TimeBudget, *, depth: int) -> EndToEnd:
    """The rate of a pipeline, from the host and back, that holds `depth` frames, the oldest of which is
    waited for. The budget's seconds count; at least two frames are measured.
    """
    waiting = collections.deque(call.start() for _ in range(depth))
    call.finish(waiting.popleft())
    times = [time.perf_counter()]
    while len(times) < 3 or times[-1] - times[0] < budget.seconds:
        waiting.append(call.start())
        call.finish(waiting.popleft())
        times.append(time.perf_counter())
    for left in waiting:
        call.finish(left)
    intervals = np.diff(times) * 1e3
    p50, p99 = np.quantile(intervals, [0.5, 0.99]).tolist()
    return EndToEnd(1e3 / float(np.mean(intervals)), p50, p99)
