"""The packets of a file: in its order, on one line of time, without empty ones and repetitions."""

import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from dysr_jax.video.timeline import GAP, Timeline

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.stream import Stream

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
