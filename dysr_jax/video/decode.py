"""From an open container to decoded frames and their times, past what is damaged."""

from collections.abc import Iterable, Iterator
from fractions import Fraction

from dysr_jax.video.packets import Packets, from_key_frame, seek
from dysr_jax.video.source import av, fraction, reason_of

MAX_HELD = 64  # more frames than a decoder holds back
UNEVEN = Fraction(1, 500)  # seconds by which intervals of a variable rate differ; Matroska rounds to 1/1000 s


class Decoder:
    """The frames of a stream. Packets that cannot be decoded are left out and counted.

    With `start`, a time of the file in seconds, it begins with a key frame before it.
    """

    def __init__(
        self,
        container: "av.container.InputContainer",
        stream: "av.VideoStream",
        start: Fraction | None = None,
    ) -> None:
        self.stream, self._start = stream, start
        if start is not None:
            seek(container, stream, start)
        self.packets = Packets(container)
        self.skipped = 0  # packets that could not be decoded
        self.concealed = 0  # damaged frames that the decoder filled in
        self.cut = False  # whether the last packet was incomplete
        self.failure: str | None = None  # why reading ended before the end of the file
        self.ended = False  # whether all that can be decoded was given

    def __iter__(self) -> Iterator["av.VideoFrame"]:
        return drop_early_stamps(self._frames(), round(1 / (fraction(self.stream.time_base) or 1)))

    def _frames(self) -> Iterator["av.VideoFrame"]:
        stamps, first_dts = Stamps(), None
        for packet in self._packets():
            first_dts = packet.dts if first_dts is None else first_dts
            for frame in self._decode(packet):
                self.concealed += frame.is_corrupt
                frame.pts = stamps(frame.pts, frame.dts, first_dts)
                yield frame
        self.ended = True

    def _packets(self) -> Iterator["av.Packet"]:
        self.stream.thread_type = "AUTO"  # frames in parallel, if the codec can
        packets: Iterator[av.Packet] = self.packets
        if self._start is not None:
            packets = from_key_frame(packets, self.stream.index, self._start)
        try:
            for packet in packets:
                if packet.stream.index == self.stream.index:
                    self.cut = packet.is_corrupt
                    yield packet
        except av.error.FFmpegError as error:
            self.failure = reason_of(error)
        # Empty packets bring what the decoder still holds; each damaged frame in it takes one more.
        for _ in range(MAX_HELD):
            skipped = self.skipped
            yield av.Packet()
            if self.skipped == skipped:
                return

    def _decode(self, packet: "av.Packet") -> list["av.VideoFrame"]:
        try:
            return self.stream.decode(packet if packet.size else None)
        except (av.error.FFmpegError, ValueError) as error:  # PyAV's own: the codec changed to an unknown one
            self.skipped += not isinstance(error, av.error.EOFError)
            return []


class Stamps:
    """Chooses between a frame's presentation time stamp and the one that follows from the decoding order.

    If presentation times are missing, or go back more often than decoding times, the latter count, less the
    delay between decoding and showing (as in FFmpeg's `guess_correct_pts`).
    """

    def __init__(self) -> None:
        self._delay: int | None = None
        self._last: list[int | None] = [None, None]
        self._faulty = [0, 0]

    def __call__(self, pts: int | None, dts: int | None, first_dts: int | None) -> int | None:
        """The time stamp of the next frame, or None, from its own and the `dts` of the first packet."""
        if self._delay is None and dts is not None and first_dts is not None:
            self._delay = max(dts - first_dts, 0)
        for kind, stamp in enumerate((pts, dts)):
            last = self._last[kind]
            if stamp is not None:
                self._faulty[kind] += last is not None and stamp <= last
                self._last[kind] = stamp
        if pts is not None and self._faulty[0] <= self._faulty[1]:
            return pts
        return None if dts is None else dts - (self._delay or 0)


def drop_early_stamps(frames: "Iterable[av.VideoFrame]", gap: int) -> "Iterator[av.VideoFrame]":
    """The frames; one that comes more than `gap` ticks late, and after the next one, loses its time stamp."""
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
        else:
            last = last if frame.pts is None else frame.pts
            yield frame
    if held is not None:
        yield held


class Clock:
    """From stamps in `tick` seconds, or none at `rate`, to strictly increasing seconds from `start` on.

    `first` is the time of a first frame without a stamp.
    """

    def __init__(
        self, rate: Fraction, tick: Fraction, start: Fraction, first: Fraction = Fraction(0)
    ) -> None:
        self.rate, self.tick, self.start, self.first = rate, tick, start, first
        self.last: Fraction | None = None
        self.end = Fraction(0)  # when the last frame ends
        self.repaired = 0  # frames whose times did not increase
        self._shortest = self._longest = 1 / rate

    @property
    def variable(self) -> bool:
        """Whether the intervals so far differ."""
        return self._longest - self._shortest > UNEVEN

    def __call__(self, frame: "av.VideoFrame") -> Fraction:
        """The time of the next frame, in seconds."""
        time = self.first if self.last is None else self.last + 1 / self.rate
        if frame.pts is not None:
            time = frame.pts * self.tick - self.start
        if self.last is not None:
            if time <= self.last:  # moved as little as possible, so that later times stay
                self.repaired += 1
                time = self.last + self.tick
            self._shortest = min(self._shortest, time - self.last)
            self._longest = max(self._longest, time - self.last)
        self.last = time
        self.end = time + (max(frame.duration, 0) * self.tick or 1 / self.rate)
        return time
