"""Frames into packets: samples, time stamps and encoder; the muxer's thread takes the packets."""

import functools
import math
from fractions import Fraction
from time import perf_counter
from typing import NamedTuple, cast

import numpy as np

from dysr_jax.errors import InputError
from dysr_jax.video import colour
from dysr_jax.video.encoder_choice import Choice
from dysr_jax.video.encoders import Size, arguments
from dysr_jax.video.muxing import Muxing
from dysr_jax.video.reader import Reader
from dysr_jax.video.samples import FromRgb, to_frame
from dysr_jax.video.sink import Format, Sink
from dysr_jax.video.source import av, reason_of


class _Last(NamedTuple):  # the frame that was added last, whose duration is not known yet
    time: Fraction
    stamp: int
    frame: "av.VideoFrame"
    number: int


class Encoding:
    """Frames of `size` columns and rows, encoded into a container in a sink.

    The source `like` gives unit of time, pixel aspect ratio, colours, tags, audio and subtitles. A size or a
    rate that the encoder does not take is an InputError.
    """

    def __init__(
        self, sink: Sink, form: Format, size: Size, rate: Fraction, like: Reader | None, choice: Choice
    ) -> None:
        self.ms: list[float] = []  # milliseconds of encoding, by the number of the frame
        self._form, self._rate, self._like, self._choice = form, rate, like, choice
        self.encoder = choice.encoder.name
        self.format, self.multiple = choice.plane_format(colour.BT709), choice.multiple
        columns, rows = (-(-side // self.multiple) * self.multiple for side in size)
        self.shape = rows, columns
        """Of the frames that are encoded."""
        tick, largest = like.tick if like else 1 / rate, choice.encoder.max_denominator
        fine = tick / math.ceil(tick * 10_000)  # at most 1/10000 s, if the encoder allows it
        self._tick = fine if fine.denominator <= largest else Fraction(1, largest)
        self._last: _Last | None = None
        self._sent: dict[int, tuple[int, int]] = {}  # duration and number of frames in the encoder
        self._muxing = Muxing(sink, form, like)
        self.mux_ms, self.notes = self._muxing.ms, self._muxing.notes
        self._stream = self._add_stream()
        self._start(size)

    @functools.cached_property
    def _from_rgb(self) -> FromRgb:
        return FromRgb(self._choice.planes, colour.BT709, self.shape)

    @property
    def error(self) -> BaseException | None:
        """The first error of the thread that writes."""
        return self._muxing.error

    def add(self, image: np.ndarray, time: Fraction) -> None:
        """Encode the frame before this one, and copy audio and subtitles until then."""
        number = len(self.ms)
        self.ms.append(0.0)
        self._muxing.ms.append(0.0)
        stamp = round(time / self._tick)
        if self._last is not None:
            stamp = max(stamp, self._last.stamp + 1)
            self._encode(self._last, stamp - self._last.stamp)
        self._last = _Last(time, stamp, self._to_frame(image, number), number)
        self._muxing.put(time, number)

    def finish(self) -> None:
        """Encode what the encoder still holds, copy the rest, and write the end of the file."""
        end: Fraction | None = Fraction(0)
        try:
            end = self._encode_last()
            if self._last is not None:
                self._mux(None, self._last.number)
            if self._like is not None and self._like.ended and not self._like.damaged:
                end = None
        finally:
            self._muxing.finish(end)

    def _add_stream(self) -> "av.VideoStream":
        encoder, options = self._choice.encoder, self._choice.options
        container = self._muxing.container
        added = container.add_stream(encoder.name, rate=self._rate, options=options, **arguments(encoder))
        stream = cast("av.VideoStream", added)
        stream.height, stream.width = self.shape
        stream.pix_fmt = self._choice.pixel_format
        context, like = stream.codec_context, self._like
        context.time_base = self._tick
        context.color_range = colour.LIMITED
        if encoder.codec == "hevc" and self._form.muxer in ("mp4", "mov"):
            context.codec_tag = "hvc1"  # Apple's players know no other
        if like is not None and like.pixel_aspect != 1:
            context.sample_aspect_ratio = like.pixel_aspect
        context.colorspace = colour.BT709
        told = (like.primaries, like.transfer) if like else (colour.BT709, colour.BT709)
        known = (colour.BT709 if number in colour.UNKNOWN else number for number in told)
        context.color_primaries, context.color_trc = known
        return stream

    def _start(self, size: Size) -> None:
        name = self._choice.encoder.name
        try:
            self._muxing.start(self._stream, self._rate)
        except (av.error.FFmpegError, ValueError) as error:
            what = f"{size[0]}x{size[1]} at {self._rate} frames per second"
            raise InputError(f"{what} cannot be encoded with {name}: {reason_of(error)}") from None
        if self._choice.note:
            self.notes.append(self._choice.note)
        if self.shape != size[::-1]:
            self.notes.append(f"its last pixels are repeated: {name} takes even sizes")

    def _to_frame(self, image: np.ndarray, number: int) -> "av.VideoFrame":
        began = perf_counter()
        if image.ndim == 1:
            frame = to_frame(image, self._choice.planes, self.format, self.shape)
        else:
            frame = self._from_rgb(image)
        self.ms[number] += 1e3 * (perf_counter() - began)
        return frame

    def _encode_last(self) -> Fraction:
        """Encode the last frame, which may be shown long, and return the time when it ends."""
        if self._last is None:
            return Fraction(0)
        end = self._last.time + 1 / self._rate
        if self._like is not None and self._like.ended:
            end = max(end, self._like.end)
        self._encode(self._last, max(1, round(end / self._tick) - self._last.stamp))
        return end

    def _encode(self, last: _Last, duration: int) -> None:
        frame = last.frame
        frame.pts, frame.time_base = last.stamp, self._stream.codec_context.time_base
        frame.duration = duration
        frame.pict_type = av.video.frame.PictureType.NONE  # the encoder chooses
        self._sent[last.stamp] = duration, last.number
        self._mux(frame, last.number)

    def _mux(self, frame: "av.VideoFrame | None", number: int) -> None:
        """Hand over what the encoder gives; if it reorders frames it knows no durations."""
        began = perf_counter()
        packets = self._stream.encode(frame)
        self.ms[number] += 1e3 * (perf_counter() - began)
        for packet in packets:
            known = None if packet.pts is None else self._sent.pop(packet.pts, None)
            duration, own = known or (packet.duration, number)
            packet.duration = duration
            self._muxing.put(packet, own)
