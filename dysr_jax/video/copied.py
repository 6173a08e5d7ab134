"""Sound, subtitles, covers and attached files, copied from a source beside its new frames."""

import io
from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

from dysr_jax.errors import InputError
from dysr_jax.video.attached import Covers
from dysr_jax.video.pyav import fraction, open_av
from dysr_jax.video.reader import Reader
from dysr_jax.video.source import is_pipe, open_container
from dysr_jax.video.tags import is_of_head, stream_tags
from dysr_jax.video.timeline import Packets, is_cover

if TYPE_CHECKING:
    from av.bitstream import BitStreamFilterContext
    from av.container import InputContainer, OutputContainer
    from av.packet import Packet
    from av.stream import Stream

SPARSE = Fraction(1, 2)
"""Seconds before the first picture of what is not shown but needed to decode what is heard then."""


def _fits(stream: "Stream", muxer: str, packet: "Packet | None" = None) -> bool:
    """Whether a container takes a stream: a file with it alone, or with a packet of it, can be written."""
    import av
    from av.packet import Packet

    try:
        with open_av(io.BytesIO(), "w", format=muxer) as trial:
            added = trial.add_stream_from_template(stream)
            trial.start_encoding()
            if packet is not None:
                copy: Packet = Packet(bytes(packet))
                copy.stream, copy.time_base, copy.duration = (added, packet.time_base, packet.duration)
                copy.pts = copy.dts = 0
                trial.mux_one(copy)
    except (av.error.FFmpegError, ValueError):
        return False
    return True


class Copied:
    """The streams of a source that an output takes too.

    Args:
        like: the source; its file is opened again.
        output: gets the streams; before its head is written.
        muxer: FFmpeg's name of the output's container.
    """

    def __init__(self, like: Reader, output: "OutputContainer", muxer: str) -> None:
        self.notes: list[str] = []
        self.left: list[str] = []
        """What the output does not take, in words."""
        self._like, self._output, self._muxer = like, output, muxer
        self._source: InputContainer | None = None
        self._covers: Covers | None = None
        self._streams: dict[int, Stream] = {}
        self._last: dict[int, int] = {}
        self._filters: dict[int, BitStreamFilterContext] = {}
        self._pending: Packet | None = None
        self._packets: Iterator[Packet] = iter(())
        if is_pipe(like.path):
            self._note_pipe()
        else:
            self._open(like.path)

    @property
    def covers(self) -> tuple[int, ...]:
        """Numbers of the output's streams that are covers, until `begin`."""
        return () if self._covers is None else self._covers.streams

    def begin(self) -> None:
        """Copy what belongs to the head; call it when that is written."""
        if self._covers is not None:
            self._covers.write(self._output)
            self._covers.close()
            self._covers = None

    def until(self, time: Fraction | None) -> None:
        """Copy what is decoded before a time in seconds; all for `None`."""
        while (packet := self._pending or next(self._packets, None)) is not None:
            self._pending = packet
            decoded = (packet.dts or 0) * packet.time_base - self._like.start
            if time is not None and decoded > time:
                return
            self._pending = None
            self._mux(packet)

    def close(self) -> None:
        """Let go of the source."""
        for source in (self._source, self._covers):
            if source is not None:
                source.close()

    def _note_pipe(self) -> None:
        if self._like.accompanied:
            self.notes.append("audio, subtitles and attachments of standard input are not copied")

    def _open(self, name: str) -> None:
        try:
            self._source = open_container(name)
            self._covers = Covers(name, self._muxer)
        except InputError as error:  # it was there when its frames were opened
            self.notes.append(f"audio and subtitles are not copied: {error}")
            return
        data = []
        for stream in self._source.streams:
            if is_cover(stream) or is_of_head(stream, self._like.head):
                continue
            if stream.type == "video":
                self._note_further(stream)
            elif _is_copied(stream, self._muxer) and _fits(stream, self._muxer):
                self._add(stream)
                data += [stream] if stream.type == "data" else []
            else:
                self.left.append(_described(stream))
        self._covers.add(self._output)
        self.left += [f"cover (stream {stream.index})" for stream in self._covers.left]
        if self._streams:
            self._packets = self._demuxed(Packets(self._source, tuple(data)))

    def _note_further(self, stream: "Stream") -> None:
        if stream.index != self._like.index:
            self.notes.append(f"{_described(stream)} is left out: one video stream is upscaled")

    def _add(self, stream: "Stream") -> None:
        added = self._output.add_stream_from_template(stream)
        if stream.type != "attachment":  # their names are among their tags
            added.metadata.clear()
            added.metadata.update(stream_tags(stream.metadata))
        added.disposition = stream.disposition
        self._streams[stream.index] = added
        if _needs_header(stream, self._muxer):
            self._filters[stream.index] = _to_header(stream)

    def _demuxed(self, packets: Packets) -> Iterator["Packet"]:
        import av

        try:
            for packet in packets:
                if packet.dts is None:
                    packet.dts = packet.pts
                if packet.stream.index in self._streams and packet.dts is not None:
                    yield packet
        except av.error.FFmpegError as error:
            self.notes.append(f"audio and subtitles end early: {error.strerror}")

    def _mux(self, packet: "Packet") -> None:
        import av

        source = packet.stream
        if source.index not in self._streams or _before_all(packet, self._like.start):
            return
        try:
            for ready in self._filtered(packet):
                if self._writable(source, ready):
                    self._output.mux_one(self._ordered(ready, source.index))
        except av.error.FFmpegError as error:
            del self._streams[source.index]
            self.notes.append(f"{_described(source)} ends early: {error.strerror}")

    def _writable(self, source: "Stream", packet: "Packet") -> bool:
        """Whether the output takes the stream's first packet: an error would come up with a picture."""
        index = source.index
        if index in self._last or index in self._filters or _fits(source, self._muxer, packet):
            return index in self._streams
        del self._streams[index]
        self.notes.append(f"{_described(source)} is left out: its first packet cannot be written")
        return False

    def _filtered(self, packet: "Packet") -> list["Packet"]:
        """With the times of the output, and in the form that it takes."""
        shift = round(self._like.start / packet.time_base)
        packet.dts = None if packet.dts is None else packet.dts - shift
        packet.pts = None if packet.pts is None else packet.pts - shift
        filtering = self._filters.get(packet.stream.index)
        return [packet] if filtering is None else filtering.filter(packet)

    def _ordered(self, packet: "Packet", index: int) -> "Packet":
        """With times of decoding that increase, in the output's units: containers take no others."""
        packet.stream = self._streams[index]
        tick, own = fraction(packet.stream.time_base), fraction(packet.time_base)
        if tick is None or own is None or packet.dts is None:
            return packet
        step = 0 if self._muxer in ("matroska", "webm") else 1
        least = self._last.get(index, packet.dts * own // tick - 1) + step
        if packet.dts * own < least * tick:
            packet.dts = -(-least * tick // own)
            packet.pts = packet.dts if packet.pts is None else max(packet.pts, packet.dts)
        self._last[index] = round(packet.dts * own / tick)
        return packet


def _is_copied(stream: "Stream", muxer: str) -> bool:
    """Whether the package knows how: sound and text whose codec it knows, and files and data as they are.

    FFmpeg writes WebM without attached files and says nothing.
    """
    if stream.type in ("audio", "subtitle"):
        return stream.codec_context is not None
    return stream.type == "data" or (stream.type == "attachment" and muxer == "matroska")


def _before_all(packet: "Packet", start: Fraction) -> bool:
    """Whether an edit list cuts a packet off, and decoders do not need it for the next ones."""
    end = (packet.dts or 0) + (packet.duration or 0)
    return packet.is_discard and end * packet.time_base - start < -SPARSE


def _needs_header(stream: "Stream", muxer: str) -> bool:
    """AAC of a broadcast has a header in each packet; MP4 wants one in the head of the file."""
    context = stream.codec_context
    return muxer in ("mp4", "mov") and context.codec.canonical_name == "aac" and not context.extradata


def _to_header(stream: "Stream") -> "BitStreamFilterContext":
    from av.bitstream import BitStreamFilterContext

    return BitStreamFilterContext("aac_adtstoasc", stream)


def _described(stream: "Stream") -> str:
    """Such as `audio stream 1 (aac)`."""
    codec = f" ({stream.codec_context.name})" if stream.codec_context else ""
    return f"{stream.type} stream {stream.index}{codec}"
