"""Pictures on the cover and attached files, such as fonts, of a video."""

import itertools
from typing import TYPE_CHECKING

from dysr_jax.video.source import open_container
from dysr_jax.video.timeline import is_cover

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer
    from av.packet import Packet
    from av.stream import Stream

IMAGES = {"mjpeg": ("cover.jpg", "image/jpeg"), "png": ("cover.png", "image/png")}
"""Name and type of a cover, by its codec."""

PROBED = 1000
"""Packets at the beginning of a file among which covers are."""


class Covers:
    """The covers of a file, written into another one.

    Args:
        name: of the file; it is opened for them alone.
        muxer: FFmpeg's name of the output's container.
    """

    def __init__(self, name: str, muxer: str) -> None:
        self._muxer = muxer
        self._source: InputContainer = open_container(name)
        self.left: list[Stream] = []
        """Covers that the output does not take."""
        self._packets: list[tuple[Packet, Stream]] = []

    def add(self, output: "OutputContainer") -> None:
        """Add them, before the output's head is written."""
        for packet in self._found():
            kind = IMAGES.get(packet.stream.codec_context.name if packet.stream.codec_context else "")
            if kind is not None and self._muxer == "matroska":
                tags = packet.stream.metadata
                name, mimetype = tags.get("filename", kind[0]), tags.get("mimetype", kind[1])
                output.add_attachment(name, mimetype, bytes(packet))
            elif kind is not None and self._muxer == "mp4":
                added = output.add_stream_from_template(packet.stream, opaque=True)
                added.disposition = packet.stream.disposition
                self._packets.append((packet, added))
            else:
                self.left.append(packet.stream)

    def write(self, output: "OutputContainer") -> None:
        """Write those that are packets, after the output's head and before all others."""
        for packet, added in self._packets:
            packet.stream = added
            output.mux_one(packet)

    @property
    def streams(self) -> tuple[int, ...]:
        """Numbers of the output's streams that are covers."""
        return tuple(added.index for _, added in self._packets)

    def close(self) -> None:
        """Let go of the file."""
        self._source.close()

    def _found(self) -> list["Packet"]:
        covers = [stream for stream in self._source.streams if is_cover(stream)]
        found: dict[int, Packet] = {}
        packets = self._source.demux() if covers else iter(())
        for packet in itertools.islice(packets, PROBED):
            if packet.size and is_cover(packet.stream):
                found.setdefault(packet.stream.index, packet)
            if len(found) == len(covers):
                break
        return list(found.values())
