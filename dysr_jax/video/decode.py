"""From an open container to decoded frames, past what is damaged.

The times of a video's frames: strictly increasing seconds, from what the file says.

The time stamp of a frame, where the file has none for it or a wrong one.
"""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

from dysr_jax.video.pyav import fraction
from dysr_jax.video.timeline import Packets

if TYPE_CHECKING:
    import av
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream


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


HELD = 64
"""More frames than a decoder holds back."""


class Decoder:
    """The frames of a stream. Packets that cannot be decoded are left out and counted."""

    def __init__(self, container: "InputContainer", stream: "VideoStream") -> None:
        self.stream = stream
        self.packets = Packets(container)
        self._first_dts: int | None = None
        self._stamps = Stamps()
        self.skipped = 0
        """Packets that could not be decoded."""
        self.concealed = 0
        """Frames with damage that the decoder filled in."""
        self.cut = False
        """Whether the last packet was incomplete."""
        self.failure: str | None = None
        """Why reading ended before the end of the file."""
        self.ended = False
        """Whether all that can be decoded was given."""

    def __iter__(self) -> Iterator["av.VideoFrame"]:
        return settled(self._frames(), round(1 / (fraction(self.stream.time_base) or 1)))

    def _frames(self) -> Iterator["av.VideoFrame"]:
        for packet in self._packets():
            for frame in self._decoded(packet):
                self.concealed += frame.is_corrupt
                frame.pts = self._stamps(frame.pts, frame.dts, self._first_dts)
                yield frame
        self.ended = True

    def _packets(self) -> Iterator["Packet"]:
        import av

        self.stream.thread_type = "AUTO"  # frames in parallel, where the codec can
        try:
            for packet in self.packets:
                if packet.stream.index == self.stream.index:
                    self.cut = packet.is_corrupt
                    self._first_dts = packet.dts if self._first_dts is None else self._first_dts
                    yield packet
        except av.error.FFmpegError as error:
            self.failure = error.strerror or str(error)
        yield from self._last()

    def _last(self) -> Iterator["Packet"]:
        """Empty packets, for what the decoder still holds; each damaged frame in it takes one more."""
        from av.packet import Packet

        for _ in range(HELD):
            before = self.skipped
            yield Packet()
            if self.skipped == before:
                return

    def _decoded(self, packet: "Packet") -> list["av.VideoFrame"]:
        import av

        try:
            return self.stream.decode(packet if packet.size else None)
        except av.error.EOFError:
            return []
        except (av.error.FFmpegError, ValueError):  # PyAV's own: the codec changed to an unknown one
            self.skipped += 1
            return []
