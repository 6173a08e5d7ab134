"""From frames with times to the constant rate of a format that has no times."""

from fractions import Fraction


class Pacer:
    """How often each frame is written, so that what is shown at any moment is the same.

    Args:
        rate: frames a second.
    """

    def __init__(self, rate: Fraction) -> None:
        self.rate = rate
        self.written = 0
        self.repeated = 0
        """Frames that were written again to fill a gap."""
        self.dropped = 0
        """Frames that came too soon after another."""
        self._first: Fraction | None = None

    def place(self, time: Fraction) -> tuple[int, bool]:
        """For a frame: how often the last one is repeated before it, and whether it is written."""
        if self._first is None:
            self._first = time
        gap = round((time - self._first) * self.rate) - self.written
        self.repeated += max(gap, 0)
        self.dropped += gap < 0
        self.written += gap + 1 if gap >= 0 else 0
        return max(gap, 0), gap >= 0

    def fill(self, end: Fraction) -> int:
        """How often the last frame is repeated so that it is shown until `end`, in seconds."""
        gap = 0 if self._first is None else round((end - self._first) * self.rate) - self.written
        self.repeated += max(gap, 0)
        self.written += max(gap, 0)
        return max(gap, 0)
