"""The packets of a file, in its order and on one timeline, without empty and repeated ones.

Recordings of broadcasts are cut and joined byte by byte, and their clocks wrap, so time stamps jump. FFmpeg
and players go on where the last packet ended, and keep pictures and audio in sync. Thresholds are those of
`ffmpeg` (`dts_delta_threshold`, `dts_error_threshold`).
"""

import contextlib
import dataclasses
import zlib
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from typing import Any, cast

from dysr_jax.video.source import av, fraction, is_cover

# All in seconds.
JUMP = Fraction(10)  # a longer gap is a jump, in a format whose clock may jump
MAX_BEYOND_END = Fraction(3600)  # how far, in other formats, a time may lie after the declared end
MAX_GAP = Fraction(30 * 3600)  # longest gap in any format
MAX_BACK = Fraction(1, 10)  # how far a stream may go back without a jump
DEFAULT_DURATION = Fraction(1, 25)  # of a packet that does not declare it
MAX_AUDIO = 60  # duration of an audio packet
MAX_REORDERING = 60  # between decoding and showing a picture
MARGIN = 2  # by which a search by decoding times begins before a picture's time


@dataclasses.dataclass
class _Part:  # one of the files that were joined, and the seconds from its time stamps to those of the whole
    number: int
    shift: Fraction


@dataclasses.dataclass
class _Progress:  # where a stream is, in seconds of its part
    part: _Part
    last: Fraction
    expected: Fraction


def shift_stamps(packet: "av.Packet", shift: int) -> None:
    """Move the time stamps that a packet has by so many ticks."""
    packet.dts = None if packet.dts is None else packet.dts + shift
    packet.pts = None if packet.pts is None else packet.pts + shift


class Timeline:
    """Corrects the time stamps of all packets of a file, which must come in the file's order."""

    def __init__(self, container: "av.container.InputContainer") -> None:
        # Whether it is a format whose clock may jump.
        self.jumps = bool(container.format.flags & cast(Any, av.format.Flags.ts_discont).value)
        # Seconds after which there can be nothing, by what the file declares.
        end = (container.start_time or 0) + (container.duration or 0)
        self.longest = max(Fraction(end, 1_000_000), Fraction(0)) + MAX_BEYOND_END
        self._start = Fraction(container.start_time or 0, 1_000_000)
        self._parts = [_Part(0, Fraction(0))]
        self._streams: dict[int, _Progress] = {}

    @property
    def joined(self) -> bool:
        """Whether the times jumped so far."""
        return len(self._parts) > 1

    @property
    def trusted(self) -> bool:
        """Whether the declared duration counts; where clocks may jump, FFmpeg guesses it from them."""
        return not self.jumps and not self.joined

    def __call__(self, packet: "av.Packet") -> None:
        """Correct the time stamps of the next packet."""
        if tick := fraction(packet.time_base):
            shift_stamps(packet, round(self._part_of(packet, tick).shift / tick))

    def _part_of(self, packet: "av.Packet", tick: Fraction) -> _Part:
        stream, own = packet.stream, self._streams.get(packet.stream.index)
        if packet.dts is None or stream.type not in ("audio", "video"):
            if own:
                return own.part
            # A subtitle belongs to the pictures and the audio near its time.
            stamp = packet.pts if packet.dts is None else packet.dts
            if stamp is None or not self._streams:
                return self._parts[-1]
            return min(self._streams.values(), key=lambda other: abs(other.expected - stamp * tick)).part
        time = packet.dts * tick
        if own is None:
            part = self._first_part(time)
        else:
            part = self._next_part(own, time) if self._jumped(own, time) else own.part
        duration = max(packet.duration or 0, 0) * tick or DEFAULT_DURATION
        self._streams[stream.index] = _Progress(part, time, time + duration)
        return part

    def _jumped(self, own: _Progress, time: Fraction) -> bool:
        if self.jumps:
            return abs(time - own.expected) > JUMP or time + MAX_BACK < own.last
        # Elsewhere times are taken as they are, unless they are impossible: those of a second file behind the
        # first, and those of a damaged file.
        back = max(5 * MAX_BACK, 8 * (own.expected - own.last))
        beyond = max(self.longest, own.last + JUMP)
        return time + back < own.last or time > min(beyond, own.last + MAX_GAP)

    def _first_part(self, time: Fraction) -> _Part:
        newest = self._parts[-1]
        others = [other for other in self._streams.values() if other.part is newest]
        if not others and time < self._start - JUMP:  # before the start: it is damaged
            return self._begin(self._start - time)
        if not self.jumps or not others or any(abs(o.expected - time) <= JUMP for o in others):
            return newest
        return self._begin(max(other.expected for other in others) + newest.shift - time)

    def _next_part(self, own: _Progress, time: Fraction) -> _Part:
        """The part after a jump: that of the streams that are there already, or a new one."""
        expected, forward = own.expected + own.part.shift, time > own.expected
        others = [s for s in self._streams.values() if s is not own and abs(s.expected - time) <= JUMP]
        parts = [other.part for other in others]
        near = [p for p in parts if p.number > own.part.number or (forward and p is own.part)]
        if not near and not self.jumps:  # a second file begins where all of the first has ended
            expected = max(s.expected + s.part.shift for s in self._streams.values())
        if not near:
            return self._begin(expected - time)
        part = max(near, key=lambda part: part.number)
        # Two packets of a stream never overlap: then all of the part comes later.
        part.shift += max(expected - MAX_BACK - part.shift - time, Fraction(0))
        return part

    def _begin(self, shift: Fraction) -> _Part:
        self._parts.append(_Part(len(self._parts), shift))
        return self._parts[-1]


class Packets:
    """An iterator over the packets of all video, audio and subtitle streams, and of `further` streams.

    Times depend on the other streams, so all are read. Raises `FFmpegError` where the file cannot be read on.
    """

    def __init__(
        self, container: "av.container.InputContainer", further: "Sequence[av.stream.Stream]" = ()
    ) -> None:
        self.timeline = Timeline(container)
        # AVI has no presentation times: FFmpeg guesses them, wrongly if pictures are reordered.
        self._unstamped = container.format.name == "avi"
        kinds = ("video", "audio", "subtitle")
        streams = [s for s in container.streams if s.type in kinds and not is_cover(s)]
        self._packets = container.demux([*streams, *further])
        self._last: dict[int, tuple[int, int | None, int]] = {}

    def __iter__(self) -> Iterator["av.Packet"]:
        return self

    def __next__(self) -> "av.Packet":
        while not (packet := next(self._packets)).size or self._is_repeated(packet):
            pass
        video = packet.stream.type == "video"
        if (video and self._unstamped) or self._is_far_apart(packet):
            packet.pts = None if video else packet.dts
        longest = MAX_AUDIO if packet.stream.type == "audio" else self.timeline.longest
        if (packet.duration or 0) * packet.time_base > longest:
            packet.duration = 0  # unknown
        self.timeline(packet)
        return packet

    def _is_repeated(self, packet: "av.Packet") -> bool:
        if packet.dts is None:
            return False
        last, content = self._last.get(packet.stream.index), (packet.dts, packet.pts, zlib.crc32(packet))
        self._last[packet.stream.index] = content
        return content == last

    def _is_far_apart(self, packet: "av.Packet") -> bool:
        """Whether it is shown longer after its decoding than any reordering needs."""
        if packet.pts is None or packet.dts is None:
            return False
        longest = JUMP if self.timeline.jumps else MAX_REORDERING
        return abs(packet.pts - packet.dts) * packet.time_base > longest


def seek(container: "av.container.InputContainer", stream: "av.stream.Stream", time: Fraction) -> None:
    """Go to a key frame of a stream before a time of the file in seconds, or stay at the beginning.

    Not where clocks may jump, or there are none, nor where FFmpeg would read on to find the place.
    """
    names = av.format.Flags
    unfit = cast(Any, names.ts_discont | names.no_timestamps | names.generic_index).value
    tick = fraction(stream.time_base)
    if tick is None or time <= MARGIN or container.format.flags & unfit:
        return
    with contextlib.suppress(av.error.FFmpegError, OSError):
        container.seek(int((time - MARGIN) / tick), stream=cast(Any, stream))


def from_key_frame(packets: "Iterable[av.Packet]", index: int, time: Fraction) -> "Iterator[av.Packet]":
    """Packets without those of a stream before the key frame that shows what is shown at a time.

    `time` is in seconds of the file. Without time stamps all are given.
    """
    held: list[av.Packet] = []
    packets = iter(packets)
    for packet in packets:
        if packet.stream.index != index:
            continue
        tick, shown = packet.time_base, packet.dts if packet.pts is None else packet.pts
        if packet.is_keyframe and shown is not None and shown * tick <= time:
            held.clear()
        held.append(packet)
        decoded, latest = (packet.dts, time) if packet.dts is not None else (shown, time + MARGIN)
        if decoded is None or decoded * tick > latest:  # none that comes later is shown before
            break
    yield from held
    yield from packets
