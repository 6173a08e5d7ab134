"""Frames into a container: colours, time stamps, encoder and muxer."""

import functools
import math
from fractions import Fraction
from typing import cast

import numpy as np

from dysr_jax.errors import InputError
from dysr_jax.video import colour, headers
from dysr_jax.video.copied import Copied
from dysr_jax.video.reader import Reader
from dysr_jax.video.sink import Format, Sink, choose_encoder, muxer_options
from dysr_jax.video.source import av, open_av, reason_of
from dysr_jax.video.tags import fit_tags

Size = tuple[int, int]  # columns and rows


class Pacer:
    """How often each frame is written at `rate` frames per second, so that times are kept."""

    def __init__(self, rate: Fraction) -> None:
        self.rate = rate
        self.written = 0
        self.repeated = 0  # frames that were written again to fill a gap
        self.dropped = 0  # frames that came too soon after another
        self._first: Fraction | None = None

    def place(self, time: Fraction) -> tuple[int, bool]:
        """How often the last frame is repeated before one at `time`, and whether that one is written."""
        gap = self.fill(time)
        self.dropped += gap < 0
        self.written += gap >= 0
        return max(gap, 0), gap >= 0

    def fill(self, time: Fraction) -> int:
        """How often the last frame is repeated until a time in seconds; negative if it is shown longer."""
        self._first = time if self._first is None else self._first
        gap = round((time - self._first) * self.rate) - self.written
        self.repeated += max(gap, 0)
        self.written += max(gap, 0)
        return gap


class Encoding:
    """A container that is being written into a sink, of frames of `size` columns and rows.

    The source `like` gives unit of time, pixel aspect ratio, colours, tags, audio and subtitles; `crf`
    replaces the encoder's constant rate factor. A size or a rate that it does not take is an InputError.
    """

    def __init__(
        self, sink: Sink, form: Format, size: Size, rate: Fraction, like: Reader | None, crf: int | None
    ) -> None:
        self.notes: list[str] = []
        self._form, self._rate, self._like = form, rate, like
        self._encoder = choose_encoder(form)
        self._matrix = colour.BT709 if form.tagged else colour.assumed_matrix(size[1], size[0])
        tick, largest = like.tick if like and form.tagged else 1 / rate, self._encoder.max_denominator
        fine = tick / math.ceil(tick * 10_000)  # at most 1/10000 s, if the encoder allows it
        self._tick = fine if fine.denominator <= largest else Fraction(1, largest)
        self._pad = tuple(side % 2 if self._encoder.even else 0 for side in size)
        self._pacer = None if form.tagged else Pacer(rate)
        self._reformatter = av.video.reformatter.VideoReformatter()
        # MP4 and MOV hold the tags that phones write under their full names.
        full_names = like is not None and any(key.startswith("com.") for key in like.film.tags)
        options = muxer_options(form, full_names=full_names)
        self._container: av.container.OutputContainer = open_av(sink, "w", format=form.muxer, options=options)
        self._stream = self._add_stream(size, crf)
        self._last: tuple[Fraction, int, av.VideoFrame] | None = None  # time, time stamp and the frame
        self._durations: dict[int, int] = {}
        self._copied: Copied | None = None
        if like is not None:
            self._copy_others(like, options, sink)
        self._write_pixel_aspect(sink)
        self._start(size)

    def add(self, image: np.ndarray, time: Fraction) -> None:
        """Encode the frame before this one, and copy audio and subtitles until then."""
        if self._pacer is not None:
            repeats, fits = self._pacer.place(time)
            self._repeat(repeats)
            if fits:
                number = -1 if self._last is None else self._last[1]
                self._last = time, number, self._to_frame(image)
                self._repeat(1)
            return
        stamp = round(time / self._tick)
        if self._last is not None:
            stamp = max(stamp, self._last[1] + 1)
            self._encode(self._last[2], stamp - self._last[1])
        frame = self._to_frame(image)
        frame.pts, self._last = stamp, (time, stamp, frame)
        if self._copied is not None:
            self._copied.until(time)

    def finish(self) -> None:
        """Encode what the encoder still holds, copy the rest, and write the end of the file."""
        end = self._encode_last()
        self._mux(None)
        if self._copied is not None:
            whole = self._like is not None and self._like.ended and not self._like.damaged
            self._copied.until(None if whole else end)
            self._copied.close()
            self.notes += self._copied.notes
        self._container.close()
        if self._pacer is not None and (self._pacer.repeated or self._pacer.dropped):
            counted = f"{self._pacer.repeated} frames are repeated and {self._pacer.dropped} left out"
            self.notes.append(f"Y4M has a constant rate: {counted}")

    def _add_stream(self, size: tuple[int, int], crf: int | None) -> "av.video.stream.VideoStream":
        options = dict(self._encoder.options)
        if crf is not None and "crf" in options:
            options["crf"] = str(crf)
        added = self._container.add_stream(self._encoder.name, rate=self._rate, options=options)
        stream = cast("av.video.stream.VideoStream", added)
        stream.width, stream.height = (side + pad for side, pad in zip(size, self._pad, strict=True))
        stream.pix_fmt = "yuv420p"
        context, like = stream.codec_context, self._like
        context.time_base = self._tick if self._form.tagged else 1 / self._rate  # of a raw frame, its number
        context.color_range = colour.LIMITED
        if like is not None and like.pixel_aspect != 1:
            context.sample_aspect_ratio = like.pixel_aspect
        if self._form.tagged:
            context.colorspace = self._matrix
            told = (like.primaries, like.transfer) if like else (colour.BT709, colour.BT709)
            known = (colour.BT709 if number in colour.UNKNOWN else number for number in told)
            context.color_primaries, context.color_trc = known
        return stream

    def _copy_others(self, like: Reader, options: dict[str, str], sink: Sink) -> None:
        """Copy what is in the source beside its frames, as far as the container takes it."""
        if not self._form.tagged:
            if like.accompanied or like.film.tags or like.film.chapters:
                self.notes.append("audio, subtitles and metadata are left out: Y4M has none")
            return
        film, lost = fit_tags(like.film, self._form.muxer, options, self._encoder.name, self._rate)
        self._container.metadata.update(film.tags)
        self._container.set_chapters(list(film.chapters))
        self._stream.metadata.update(like.tags)
        self._stream.disposition = like.disposition
        copied = self._copied = Copied(like, self._container, self._form.muxer)
        if left := [*copied.left, *lost]:
            verb, them = ("is", "it") if len(left) == 1 else ("are", "them")
            self.notes.append(f"{', '.join(left)} {verb} left out: {self._form.muxer} does not take {them}")
        created = None
        if "use_metadata_tags" in options.get("movflags", ""):
            created = headers.mp4_seconds(self._container.metadata.pop("creation_time", ""))
        if copied.covers or created is not None:
            sink.after = functools.partial(headers.patch_mp4, covers=copied.covers, created=created)

    def _write_pixel_aspect(self, sink: Sink) -> None:
        """Put the pixel aspect ratio into the header if the muxer does not."""
        aspect = self._like.pixel_aspect if self._like else Fraction(1)
        if self._pacer is not None:
            sink.edit = functools.partial(headers.y4m_header, aspect=aspect)
        elif self._form.muxer in ("matroska", "webm") and aspect != 1:
            shown = headers.display_size((self._stream.width, self._stream.height), aspect)
            sink.edit = functools.partial(headers.matroska_header, shown=shown)
            self._stream.metadata["title"] = self._stream.metadata.get("title", "") + headers.PLACEHOLDER

    def _start(self, size: tuple[int, int]) -> None:
        try:
            self._container.start_encoding()
        except (av.error.FFmpegError, ValueError) as error:
            what = f"{size[0]}x{size[1]} at {self._rate} frames per second"
            why = f"with {self._encoder.name}: {reason_of(error)}"
            raise InputError(f"{what} cannot be encoded {why}") from None
        if self._copied is not None:
            self._copied.begin()
        if self._encoder is not self._form.encoders[0]:
            self.notes.append(f"encoded with {self._encoder.name}: this FFmpeg has no better one")
        if any(self._pad):
            self.notes.append(f"its last pixels are repeated: {self._encoder.name} takes even sizes")

    def _to_frame(self, image: np.ndarray) -> "av.VideoFrame":
        if any(self._pad):
            image = np.pad(image, ((0, self._pad[1]), (0, self._pad[0]), (0, 0)), "edge")
        return colour.from_rgb(image, self._reformatter, "yuv420p", self._matrix)

    def _repeat(self, times: int) -> None:
        """Encode the last frame at a constant rate, under the next numbers."""
        for _ in range(times):
            if self._last is not None:
                time, number, frame = self._last
                frame.pts, self._last = number + 1, (time, number + 1, frame)
                self._encode(frame, 1)

    def _encode_last(self) -> Fraction:
        """Encode the last frame, which may be shown long, and return the time when it ends."""
        if self._last is None:
            return Fraction(0)
        time, stamp, frame = self._last
        end = time + 1 / self._rate
        if self._like is not None and self._like.ended:
            end = max(end, self._like.end)
        if self._pacer is not None:
            self._repeat(self._pacer.fill(end))
        else:
            self._encode(frame, max(1, round(end / self._tick) - stamp))
        return end

    def _encode(self, frame: "av.VideoFrame", duration: int) -> None:
        frame.time_base, frame.duration = self._stream.codec_context.time_base, duration
        frame.pict_type = av.video.frame.PictureType.NONE  # the encoder chooses
        if frame.pts is not None:
            self._durations[frame.pts] = duration
        self._mux(frame)

    def _mux(self, frame: "av.VideoFrame | None") -> None:
        """Write what the encoder gives; if it reorders frames it knows no durations."""
        for packet in self._stream.encode(frame):
            duration = None if packet.pts is None else self._durations.pop(packet.pts, None)
            packet.duration = packet.duration if duration is None else duration
            self._container.mux_one(packet)
