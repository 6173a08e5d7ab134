"""Audio and subtitles, copied packet by packet from a source beside its new frames."""

import io
from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

from dysr_jax.errors import InputError
from dysr_jax.video.reader import Reader
from dysr_jax.video.source import STANDARD, open_container

if TYPE_CHECKING:
    from av.bitstream import BitStreamFilterContext
    from av.container import InputContainer, OutputContainer
    from av.packet import Packet
    from av.stream import Stream

COPIED = ("audio", "subtitle")
"""Kinds of streams; others, such as fonts and time codes, are left out."""


def _fits(stream: "Stream", muxer: str) -> bool:
    """Whether a container takes a stream: the head of a file with it alone can be written."""
    import av

    try:
        with av.open(io.BytesIO(), "w", format=muxer) as trial:
            trial.add_stream_from_template(stream)
            trial.start_encoding()
    except (av.error.FFmpegError, ValueError):
        return False
    return True


class Copied:
    """The streams of a source that an output takes too.

    Args:
        like: the source; its file is opened a second time.
        output: gets the streams; before its head is written.
        muxer: FFmpeg's name of the output's container.
    """

    def __init__(self, like: Reader, output: "OutputContainer", muxer: str) -> None:
        self.notes: list[str] = []
        self._output, self._start = output, like.start
        self._source: InputContainer | None = None
        self._streams: dict[int, Stream] = {}
        self._filters: dict[int, BitStreamFilterContext] = {}
        self._pending: Packet | None = None
        if like.path == STANDARD:
            self.notes.append("audio and subtitles of standard input are not copied")
        else:
            self._open(like.path, muxer)
        self._packets = self._demuxed()

    def until(self, time: Fraction | None) -> None:
        """Copy what is decoded before a time in seconds; all for `None`."""
        while (packet := self._pending or next(self._packets, None)) is not None:
            self._pending = packet
            decoded = (packet.dts or 0) * packet.time_base - self._start
            if time is not None and decoded > time:
                return
            self._pending = None
            self._mux(packet)

    def close(self) -> None:
        """Let go of the source."""
        if self._source is not None:
            self._source.close()

    def _open(self, name: str, muxer: str) -> None:
        try:
            self._source = open_container(name)
        except InputError as error:  # it was there when its frames were opened
            self.notes.append(f"audio and subtitles are not copied: {error}")
            return
        for stream in self._source.streams:
            if stream.type in COPIED and stream.codec_context and _fits(stream, muxer):
                self._streams[stream.index] = self._added(stream)
                if _needs_header(stream, muxer):
                    self._filters[stream.index] = _to_header(stream)
            elif stream.type != "video":
                self.notes.append(f"{_described(stream)} is left out: {muxer} does not take it")

    def _added(self, stream: "Stream") -> "Stream":
        added = self._output.add_stream_from_template(stream)
        for key in ("language", "title"):
            if key in stream.metadata:
                added.metadata[key] = stream.metadata[key]
        added.disposition = stream.disposition
        return added

    def _demuxed(self) -> Iterator["Packet"]:
        import av

        if self._source is None or not self._streams:
            return
        streams = [stream for stream in self._source.streams if stream.index in self._streams]
        try:
            for packet in self._source.demux(streams):
                if packet.dts is None:
                    packet.dts = packet.pts
                if packet.size and packet.dts is not None:
                    yield packet
        except av.error.FFmpegError as error:
            self.notes.append(f"audio and subtitles end early: {error.strerror}")

    def _mux(self, packet: "Packet") -> None:
        import av

        source = packet.stream
        if source.index not in self._streams:
            return
        try:
            for ready in self._filtered(packet):
                ready.stream = self._streams[source.index]
                self._output.mux_one(ready)
        except av.error.FFmpegError as error:
            del self._streams[source.index]
            self.notes.append(f"{_described(source)} ends early: {error.strerror}")

    def _filtered(self, packet: "Packet") -> list["Packet"]:
        """With the times of the output, and in the form that it takes."""
        shift = round(self._start / packet.time_base)
        packet.dts = None if packet.dts is None else packet.dts - shift
        packet.pts = None if packet.pts is None else packet.pts - shift
        filtering = self._filters.get(packet.stream.index)
        return [packet] if filtering is None else filtering.filter(packet)


def _needs_header(stream: "Stream", muxer: str) -> bool:
    """AAC of a broadcast has a header in each packet; MP4 wants one in the head of the file."""
    context = stream.codec_context
    return (
        muxer in ("mp4", "mov") and context.codec.canonical_name == "aac" and not context.extradata
    )


def _to_header(stream: "Stream") -> "BitStreamFilterContext":
    from av.bitstream import BitStreamFilterContext

    return BitStreamFilterContext("aac_adtstoasc", stream)


def _described(stream: "Stream") -> str:
    """Such as `audio stream 1 (aac)`."""
    codec = f" ({stream.codec_context.name})" if stream.codec_context else ""
    return f"{stream.type} stream {stream.index}{codec}"
