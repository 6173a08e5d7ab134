"""Audio, subtitles, covers and attached files, copied from a source beside its new frames."""

import io
import itertools
import math
from collections.abc import Iterator
from fractions import Fraction

from dysr_jax.errors import InputError
from dysr_jax.video import addresses
from dysr_jax.video.packets import Packets, seek, shift_stamps
from dysr_jax.video.reader import Reader
from dysr_jax.video.source import av, fraction, is_cover, open_av, open_container
from dysr_jax.video.tags import is_in_tags, stream_tags

# Name and type of an attached cover, by its codec.
COVER_FILES = {"mjpeg": ("cover.jpg", "image/jpeg"), "png": ("cover.png", "image/png")}
MAX_COVER_PACKETS = 1000  # at the beginning of a file, among which covers are
LONG_SUBTITLE = 10  # seconds before the first picture from which on subtitles are looked for
PREROLL = Fraction(1, 2)  # seconds before the first picture that may be needed to decode the audio there


class Copied:
    """The streams that an output of FFmpeg's `muxer` takes from a source; made before its header."""

    def __init__(self, like: Reader, output: "av.container.OutputContainer", muxer: str) -> None:
        self.notes: list[str] = []
        self.left: list[str] = []  # what the output does not take, in words
        self.covers: tuple[int, ...] = ()  # numbers of the output's streams that are covers
        self._like, self._output, self._muxer = like, output, muxer
        self._source: av.container.InputContainer | None = None
        self._cover_packets: list[av.Packet] = []
        self._streams: dict[int, av.stream.Stream] = {}
        self._last: dict[int, int] = {}
        self._filters: dict[int, av.bitstream.BitStreamFilterContext] = {}
        self._pending: av.Packet | None = None
        self._packets: Iterator[av.Packet] = iter(())
        if addresses.lasts(like.path) and not like.live:
            self._open(like.path)
        elif like.accompanied:
            what = "a live source" if like.live else "standard input"
            self.notes.append(f"audio, subtitles and attachments of {what} are not copied")

    def begin(self) -> None:
        """Copy the covers, when the header is written and before all else."""
        for packet in self._cover_packets:
            self._output.mux_one(packet)

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
        """Close the source."""
        if self._source is not None:
            self._source.close()

    def _open(self, name: str) -> None:
        try:
            self._source, for_covers = open_container(name), open_container(name)
        except InputError as error:  # it was there when its frames were opened
            self.notes.append(f"audio and subtitles are not copied: {error}")
            return
        data = []
        for stream in self._source.streams:
            if is_cover(stream) or is_in_tags(stream, self._like.film):
                continue
            if stream.type == "video":
                if stream.index != self._like.index:
                    self.notes.append(f"{_described(stream)} is left out: one video stream is upscaled")
            elif _is_copied(stream, self._muxer) and _takes(self._muxer, stream):
                self._add(stream)
                data += [stream] if stream.type == "data" else []
            else:
                self.left.append(_described(stream))
        with for_covers:
            self._add_covers(for_covers)
        if self._streams:
            if self._like.offset:
                # A subtitle that is shown there begins before.
                seek(self._source, self._source.streams[self._like.index], self._like.start - LONG_SUBTITLE)
            self._packets = self._demux(Packets(self._source, tuple(data)))

    def _add(self, stream: "av.stream.Stream") -> None:
        added = self._output.add_stream_from_template(stream)
        if stream.type != "attachment":  # their names are among their tags
            added.metadata.clear()
            added.metadata.update(stream_tags(stream.metadata))
        added.disposition = stream.disposition
        self._streams[stream.index] = added
        # AAC of a broadcast has a header in each packet; MP4 wants one in the header of the file.
        context = stream.codec_context
        if self._muxer in ("mp4", "mov") and context.codec.canonical_name == "aac" and not context.extradata:
            self._filters[stream.index] = av.bitstream.BitStreamFilterContext("aac_adtstoasc", stream)

    def _add_covers(self, source: "av.container.InputContainer") -> None:
        covers = [stream for stream in source.streams if is_cover(stream)]
        found: dict[int, av.Packet] = {}
        for packet in itertools.islice(source.demux() if covers else (), MAX_COVER_PACKETS):
            if packet.size and is_cover(packet.stream):
                found.setdefault(packet.stream.index, packet)
            if len(found) == len(covers):
                break
        for packet in found.values():
            stream, tags = packet.stream, packet.stream.metadata
            kind = COVER_FILES.get(stream.codec_context.name if stream.codec_context else "")
            if kind is not None and self._muxer == "matroska":
                name, mimetype = tags.get("filename", kind[0]), tags.get("mimetype", kind[1])
                self._output.add_attachment(name, mimetype, bytes(packet))
            elif kind is not None and self._muxer == "mp4":
                added = self._output.add_stream_from_template(stream, opaque=True)
                added.disposition = stream.disposition
                self.covers += (added.index,)
                packet.stream = added
                self._cover_packets.append(packet)
            else:
                self.left.append(f"cover (stream {stream.index})")

    def _demux(self, packets: Packets) -> Iterator["av.Packet"]:
        kinds = ("audio", "video")  # the others may have nothing more to give
        unfinished = {self._like.index, *(i for i, s in self._streams.items() if s.type in kinds)}
        try:
            for packet in packets:
                if packet.dts is None:
                    packet.dts = packet.pts
                if self._is_behind(packet):
                    unfinished.discard(packet.stream.index)
                    if not unfinished:
                        return
                elif packet.stream.index in self._streams and self._is_wanted(packet):
                    yield packet
        except av.error.FFmpegError as error:
            self.notes.append(f"audio and subtitles end early: {error.strerror}")

    def _is_behind(self, packet: "av.Packet") -> bool:
        """Whether it begins after what is read of the source."""
        if self._like.limit is None or packet.dts is None:
            return False
        return packet.dts * packet.time_base - self._like.start >= self._like.limit

    def _is_wanted(self, packet: "av.Packet") -> bool:
        """Whether it begins with the first frame or later; a subtitle that is shown then is cut to that."""
        if packet.dts is None:
            return False
        like, tick = self._like, packet.time_base
        first: Fraction = (packet.dts if packet.pts is None else packet.pts) * tick - like.start
        end = first + (packet.duration or 0) * tick
        if like.offset and first < 0:
            if packet.stream.type != "subtitle" or end <= 0:
                return False
            packet.pts = packet.dts = math.ceil(like.start / tick)
            packet.duration = round(end / tick)
        if like.limit is not None and packet.stream.type == "subtitle":
            packet.duration = min(packet.duration or 0, round((like.limit - max(first, Fraction(0))) / tick))
        return True

    def _mux(self, packet: "av.Packet") -> None:
        source, end = packet.stream, (packet.dts or 0) + (packet.duration or 0)
        # An edit list may cut a packet off that decoders do not need for the next ones.
        early = packet.is_discard and end * packet.time_base - self._like.start < -PREROLL
        if early or source.index not in self._streams:
            return
        try:
            shift_stamps(packet, -round(self._like.start / packet.time_base))
            filtering = self._filters.get(source.index)
            for ready in [packet] if filtering is None else filtering.filter(packet):
                if self._is_writable(source, ready):
                    self._output.mux_one(self._ordered(ready, source.index))
        except av.error.FFmpegError as error:
            del self._streams[source.index]
            self.notes.append(f"{_described(source)} ends early: {error.strerror}")

    def _is_writable(self, source: "av.stream.Stream", packet: "av.Packet") -> bool:
        """Whether the output takes the stream's first packet: an error would come up with a picture."""
        index = source.index
        if index in self._last or index in self._filters or _takes(self._muxer, source, packet):
            return index in self._streams
        del self._streams[index]
        self.notes.append(f"{_described(source)} is left out: its first packet cannot be written")
        return False

    def _ordered(self, packet: "av.Packet", index: int) -> "av.Packet":
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


def _takes(muxer: str, stream: "av.stream.Stream", packet: "av.Packet | None" = None) -> bool:
    """Whether a file with a stream alone, or with a packet of it, can be written."""
    try:
        with open_av(io.BytesIO(), "w", format=muxer) as trial:
            added = trial.add_stream_from_template(stream)
            trial.start_encoding()
            if packet is not None:
                copy: av.Packet = av.Packet(bytes(packet))
                copy.stream, copy.time_base, copy.duration = added, packet.time_base, packet.duration
                copy.pts = copy.dts = 0
                trial.mux_one(copy)
    except (av.error.FFmpegError, ValueError):
        return False
    return True


def _is_copied(stream: "av.stream.Stream", muxer: str) -> bool:
    """Whether it is audio or subtitles of a known codec, data, or files (FFmpeg drops WebM's)."""
    if stream.type in ("audio", "subtitle"):
        return stream.codec_context is not None
    return stream.type == "data" or (stream.type == "attachment" and muxer == "matroska")


def _described(stream: "av.stream.Stream") -> str:
    codec = f" ({stream.codec_context.name})" if stream.codec_context else ""
    return f"{stream.type} stream {stream.index}{codec}"
