"""The time stamps of a file that was joined from several, as one film.

Recordings of broadcasts are cut and joined byte by byte, and their clocks wrap; so time stamps jump. FFmpeg
and players go on where the last packet ended, and keep pictures and sound together. Thresholds are those of
`ffmpeg` (`dts_delta_threshold`, `dts_error_threshold`).

The packets of a file: in its order, on one line of time, without empty ones and repetitions.
"""

import dataclasses
import zlib
from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Any, cast

from dysr_jax.video.pyav import fraction

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.stream import Stream


GAP = Fraction(10)
"""Seconds that nothing may come in a format whose clock may jump; more is a jump."""

LONGEST = Fraction(3600)
"""Seconds by which a time of another format may lie after the end that the file declares."""

EVER = Fraction(30 * 3600)
"""Seconds that nothing may come in any format."""

BACK = Fraction(1, 10)
"""Seconds that a stream may go back without a jump."""

NO_DURATION = Fraction(1, 25)
"""Seconds of a packet that does not say them."""


@dataclasses.dataclass
class _Part:
    """What was one file before it was joined."""

    number: int
    shift: Fraction
    """Seconds from its time stamps to those of the whole."""


@dataclasses.dataclass
class _Progress:
    """Where a stream is, in seconds of its part."""

    part: _Part
    last: Fraction
    expected: Fraction


class Timeline:
    """Corrects the times of all packets of a file, which must come in the file's order.

    Args:
        container: the file.
    """

    def __init__(self, container: "InputContainer") -> None:
        from av.format import Flags

        self.jumps = bool(container.format.flags & cast(Any, Flags.ts_discont).value)
        """Whether it is a format whose clock may jump."""
        end = (container.start_time or 0) + (container.duration or 0)
        self.longest = max(Fraction(end, 1_000_000), Fraction(0)) + LONGEST
        """Seconds after which there can be nothing, by what the file declares."""
        self._start = Fraction(container.start_time or 0, 1_000_000)
        self._parts = [_Part(0, Fraction(0))]
        self._streams: dict[int, _Progress] = {}

    @property
    def joined(self) -> bool:
        """Whether the times jumped so far."""
        return len(self._parts) > 1

    @property
    def trusted(self) -> bool:
        """Whether the file declares its length: where clocks may jump it is guessed from them."""
        return not self.jumps and not self.joined

    def __call__(self, packet: "Packet") -> None:
        """Correct the time stamps of the next packet."""
        tick = fraction(packet.time_base)
        if tick is None:
            return
        part = self._part_of(packet, tick)
        shift = round(part.shift / tick)
        packet.dts = None if packet.dts is None else packet.dts + shift
        packet.pts = None if packet.pts is None else packet.pts + shift

    def _part_of(self, packet: "Packet", tick: Fraction) -> _Part:
        stream, mine = packet.stream, self._streams.get(packet.stream.index)
        if packet.dts is None or stream.type not in ("audio", "video"):
            return mine.part if mine else self._nearest(packet, tick)
        time = packet.dts * tick
        if mine is None:
            part = self._first(time)
        elif self._jumped(mine, time):
            part = self._joined(mine, time)
        else:
            part = mine.part
        length = max(packet.duration or 0, 0) * tick or NO_DURATION
        self._streams[stream.index] = _Progress(part, time, time + length)
        return part

    def _jumped(self, mine: _Progress, time: Fraction) -> bool:
        if self.jumps:
            return abs(time - mine.expected) > GAP or time + BACK < mine.last
        # Elsewhere times are what the file wants, but for what cannot be: those of a second file behind the
        # first, and those of a damaged one.
        back = max(5 * BACK, 8 * (mine.expected - mine.last))
        beyond = max(self.longest, mine.last + GAP)
        return time + back < mine.last or time > min(beyond, mine.last + EVER)

    def _first(self, time: Fraction) -> _Part:
        """The part of a stream's first packet."""
        newest = self._parts[-1]
        others = [other for other in self._streams.values() if other.part is newest]
        if not others and time < self._start - GAP:  # before the start: it is damaged
            return self._begun(self._start - time)
        if not self.jumps or not others or any(abs(o.expected - time) <= GAP for o in others):
            return newest
        return self._begun(max(other.expected for other in others) + newest.shift - time)

    def _joined(self, mine: _Progress, time: Fraction) -> _Part:
        """The part that a packet lies in whose stream jumped: that of the others there, or a new one."""
        expected = mine.expected + mine.part.shift
        forward = time > mine.expected
        near = [
            other.part
            for other in self._streams.values()
            if other is not mine and abs(other.expected - time) <= GAP
            if other.part.number > mine.part.number or (forward and other.part is mine.part)
        ]
        if not near and not self.jumps:  # a second file begins where all of the first has ended
            expected = max(s.expected + s.part.shift for s in self._streams.values())
        if not near:
            return self._begun(expected - time)
        part = max(near, key=lambda part: part.number)
        # Two packets of a stream are never there at once: then all of the part comes later.
        part.shift += max(expected - BACK - part.shift - time, Fraction(0))
        return part

    def _begun(self, shift: Fraction) -> _Part:
        self._parts.append(_Part(len(self._parts), shift))
        return self._parts[-1]

    def _nearest(self, packet: "Packet", tick: Fraction) -> _Part:
        """For a subtitle: that of the pictures and sounds at about its time."""
        stamp = packet.pts if packet.dts is None else packet.dts
        if stamp is None or not self._streams:
            return self._parts[-1]
        time = stamp * tick
        return min(self._streams.values(), key=lambda other: abs(other.expected - time)).part


SOUND = 60
"""Seconds of a packet of sound, at most."""

REORDERED = 60
"""Seconds between decoding and showing a picture, at most."""


class Packets:
    """An iterator over the packets of all streams of pictures, sound and text, and of further ones.

    The times of a stream depend on the others, so that whoever reads a file reads all of them.

    Args:
        container: the file, which nothing was read from.
        further: streams of data.

    Raises:
        av.error.FFmpegError: the file cannot be read on.
    """

    def __init__(self, container: "InputContainer", further: "tuple[Stream, ...]" = ()) -> None:
        self.timeline = Timeline(container)
        # AVI has no times of presentation: FFmpeg guesses, wrongly where pictures are reordered.
        self._unstamped = container.format.name == "avi"
        kinds = ("video", "audio", "subtitle")
        streams = [s for s in container.streams if s.type in kinds and not is_cover(s)]
        self._packets = container.demux([*streams, *further])
        self._last: dict[int, tuple[int, int | None, int]] = {}

    def __iter__(self) -> Iterator["Packet"]:
        return self

    def __next__(self) -> "Packet":
        packet = next(self._packets)
        while not packet.size or self._repeated(packet):
            packet = next(self._packets)
        video = packet.stream.type == "video"
        if (video and self._unstamped) or self._far_apart(packet):
            packet.pts = None if video else packet.dts
        longest = SOUND if packet.stream.type == "audio" else self.timeline.longest
        if (packet.duration or 0) * packet.time_base > longest:
            packet.duration = 0  # unknown
        self.timeline(packet)
        return packet

    def _repeated(self, packet: "Packet") -> bool:
        """Whether it is the packet before it, once more."""
        if packet.dts is None:
            return False
        content = packet.dts, packet.pts, zlib.crc32(packet)
        last = self._last.get(packet.stream.index)
        self._last[packet.stream.index] = content
        return content == last

    def _far_apart(self, packet: "Packet") -> bool:
        """Whether it is shown longer after its decoding than any order of pictures needs."""
        if packet.pts is None or packet.dts is None:
            return False
        longest = GAP if self.timeline.jumps else REORDERED
        return abs(packet.pts - packet.dts) * packet.time_base > longest


def is_cover(stream: "Stream") -> bool:
    """Whether a stream of pictures is the one on the cover."""
    from av.stream import Disposition

    return stream.type == "video" and bool(stream.disposition & Disposition.attached_pic)
