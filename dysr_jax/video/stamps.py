"""The time stamp of a frame, where the file has none for it or a wrong one."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import av


class Stamps:
    """Chooses between what a file says of presentation and what follows from the order of decoding.

    Decoders give frames in the order in which they are shown. Where times of presentation go back more often
    than those of decoding, or are missing, the latter count, less the delay between decoding and showing
    (FFmpeg's `guess_correct_pts` chooses so).
    """

    def __init__(self) -> None:
        self._delay: int | None = None
        self._last: list[int | None] = [None, None]
        self._faulty = [0, 0]

    def __call__(self, pts: int | None, dts: int | None, first: int | None) -> int | None:
        """The time stamp of the next frame; None where nothing is known.

        Args:
            pts: what the file says of its presentation.
            dts: when the packet that it came with was to be decoded.
            first: `dts` of the first packet of all.
        """
        if self._delay is None and dts is not None and first is not None:
            self._delay = max(dts - first, 0)
        for kind, stamp in enumerate((pts, dts)):
            last = self._last[kind]
            if stamp is not None:
                self._faulty[kind] += last is not None and stamp <= last
                self._last[kind] = stamp
        if pts is not None and self._faulty[0] <= self._faulty[1]:
            return pts
        return None if dts is None else dts - (self._delay or 0)


def settled(frames: "Iterable[av.VideoFrame]", gap: int) -> "Iterator[av.VideoFrame]":
    """The frames; one that comes after a gap, and after the time of the next one, loses its time stamp.

    Args:
        frames: in the order in which they are shown.
        gap: ticks after which a frame waits for the next one.
    """
    last: int | None = None
    held: av.VideoFrame | None = None
    for frame in frames:
        if held is not None:
            if held.pts is not None and frame.pts is not None and frame.pts <= held.pts:
                held.pts = None
            last = last if held.pts is None else held.pts
            yield held
            held = None
        if frame.pts is not None and last is not None and frame.pts - last > gap:
            held = frame
            continue
        last = last if frame.pts is None else frame.pts
        yield frame
    if held is not None:
        yield held
