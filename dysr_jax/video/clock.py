"""The times of a video's frames: strictly increasing seconds, from what the file says."""

from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import av

UNEVEN = Fraction(1, 500)
"""Seconds by which intervals differ in a variable frame rate; Matroska rounds each time to 1/1000 s."""


class Clock:
    """From time stamps to times.

    Args:
        rate: of the frames, a second, for what has no time stamp.
        tick: seconds of a unit of the time stamps.
        start: the time stamp, in seconds, that is time 0.
    """

    def __init__(self, rate: Fraction, tick: Fraction, start: Fraction) -> None:
        self.rate, self.tick, self.start = rate, tick, start
        self.last: Fraction | None = None
        self.end = Fraction(0)
        """When the last frame ends."""
        self.repaired = 0
        """Frames whose times did not increase."""
        self._shortest = self._longest = 1 / rate

    @property
    def variable(self) -> bool:
        """Whether the intervals so far differ."""
        return self._longest - self._shortest > UNEVEN

    def __call__(self, frame: "av.VideoFrame") -> Fraction:
        """The time of the next frame, in seconds."""
        time = self._increasing(self._stamped(frame))
        if self.last is not None:
            self._shortest = min(self._shortest, time - self.last)
            self._longest = max(self._longest, time - self.last)
        self.last = time
        self.end = time + (max(frame.duration, 0) * self.tick or 1 / self.rate)
        return time

    def _stamped(self, frame: "av.VideoFrame") -> Fraction:
        if frame.pts is not None:
            return frame.pts * self.tick - self.start
        return Fraction(0) if self.last is None else self.last + 1 / self.rate

    def _increasing(self, time: Fraction) -> Fraction:
        """A time that goes back or stands still becomes the least that goes on, so that later ones stay."""
        if self.last is None or time > self.last:
            return time
        self.repaired += 1
        return self.last + self.tick
