"""Frames into a container: colours, time stamps, encoder and muxer.

From frames with times to the constant rate of a format that has no times.
"""

import functools
import math
from fractions import Fraction
from typing import TYPE_CHECKING, cast

import numpy as np

from dysr_jax.errors import InputError
from dysr_jax.video.aspect import ROOM, display_size, matroska_head, mend, seconds_of, y4m_head
from dysr_jax.video.colour import BT709, LIMITED, assumed_matrix, from_rgb
from dysr_jax.video.copied import Copied
from dysr_jax.video.formats import Encoder, Format, choose_encoder, muxer_options
from dysr_jax.video.pyav import open_av
from dysr_jax.video.reader import Reader
from dysr_jax.video.sink import Sink
from dysr_jax.video.tags import Head, fitting, needs_keys

if TYPE_CHECKING:
    import av
    from av.video.stream import VideoStream


class Pacer:
    """How often each frame is written, so that what is shown at any moment is the same.

    Args:
        rate: frames a second.
    """

    def __init__(self, rate: Fraction) -> None:
        self.rate = rate
        self.written = 0
        self.repeated = 0
        """Frames that were written again to fill a gap."""
        self.dropped = 0
        """Frames that came too soon after another."""
        self._first: Fraction | None = None

    def place(self, time: Fraction) -> tuple[int, bool]:
        """For a frame: how often the last one is repeated before it, and whether it is written."""
        if self._first is None:
            self._first = time
        gap = round((time - self._first) * self.rate) - self.written
        self.repeated += max(gap, 0)
        self.dropped += gap < 0
        self.written += gap + 1 if gap >= 0 else 0
        return max(gap, 0), gap >= 0

    def fill(self, end: Fraction) -> int:
        """How often the last frame is repeated so that it is shown until `end`, in seconds."""
        gap = 0 if self._first is None else round((end - self._first) * self.rate) - self.written
        self.repeated += max(gap, 0)
        self.written += max(gap, 0)
        return max(gap, 0)


UNKNOWN = (0, 2, 3)
"""Numbers of H.273 that say nothing about primaries and transfer."""


def fine_tick(tick: Fraction, encoder: Encoder) -> Fraction:
    """A unit of which times on `tick` are multiples, of at most 1/10000 s where the encoder allows it."""
    fine = tick / math.ceil(tick * 10_000)
    longest = encoder.longest_denominator
    return fine if fine.denominator <= longest else Fraction(1, longest)


class Encoding:
    """A container that is being written.

    Args:
        sink: gets its bytes.
        form: of the container.
        size: columns and rows of the frames.
        rate: frames a second, on average.
        like: the source, for unit of time, shape of pixels, colours, metadata, audio and subtitles.
        crf: constant rate factor of the encoder, in place of its default.

    Raises:
        InputError: the encoder does not take the size or the rate.
    """

    def __init__(
        self,
        sink: Sink,
        form: Format,
        size: tuple[int, int],
        rate: Fraction,
        like: Reader | None,
        crf: int | None,
    ) -> None:
        from av.video.reformatter import VideoReformatter

        self.notes: list[str] = []
        self._form, self._rate, self._like = form, rate, like
        self._encoder = choose_encoder(form)
        self._matrix = BT709 if form.tagged else assumed_matrix(size[1], size[0])
        self._tick = fine_tick(like.tick if like and form.tagged else 1 / rate, self._encoder)
        self._pad = tuple(side % 2 if self._encoder.even else 0 for side in size)
        self._pacer = None if form.tagged else Pacer(rate)
        self._reformatter = VideoReformatter()
        options = muxer_options(form, keys=like is not None and needs_keys(like.head))
        self._container = open_av(sink, "w", format=form.muxer, options=options)
        self._stream = self._add_stream(size, crf)
        self._last: tuple[Fraction, int, av.VideoFrame] | None = None
        self._durations: dict[int, int] = {}
        self._copied: Copied | None = None
        if like is not None:
            self._add_others(like, options, sink)
        self._shape(sink)
        self._start(size)

    def add(self, image: np.ndarray, time: Fraction) -> None:
        """Encode the frame before this one, and copy what is heard and read until then."""
        if self._pacer is not None:
            self._add_paced(self._pacer, image, time)
            return
        stamp = round(time / self._tick)
        if self._last is not None:
            stamp = max(stamp, self._last[1] + 1)
            self._encode(self._last[2], stamp - self._last[1])
        frame = self._frame(image)
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
        self._note_pace()

    def _add_others(self, like: Reader, options: dict[str, str], sink: Sink) -> None:
        """What is in the source beside its frames, as far as the container takes it."""
        if not self._form.tagged:
            if like.accompanied or like.head != Head():
                self.notes.append("sound, subtitles and metadata are left out: Y4M has none")
            return
        head, left = fitting(like.head, self._form.muxer, options, self._encoder.name, self._rate)
        self._container.metadata.update(head.tags)
        self._container.set_chapters(list(head.chapters))
        self._stream.metadata.update(like.tags)
        self._stream.disposition = like.disposition
        copied = self._copied = Copied(like, self._container, self._form.muxer)
        if left := [*copied.left, *left]:
            verb, them = ("is", "it") if len(left) == 1 else ("are", "them")
            named = ", ".join(left)
            self.notes.append(f"{named} {verb} left out: {self._form.muxer} does not take {them}")
        created = None
        if "use_metadata_tags" in options.get("movflags", ""):
            created = seconds_of(self._container.metadata.pop("creation_time", ""))
        if copied.covers or created is not None:
            sink.after = functools.partial(mend, covers=copied.covers, created=created)

    def _shape(self, sink: Sink) -> None:
        """Say the shape of pixels where the encoder does not."""
        aspect = self._like.pixel_aspect if self._like else Fraction(1)
        if self._pacer is not None:
            sink.edit = functools.partial(y4m_head, aspect=aspect)
        elif self._form.muxer in ("matroska", "webm") and aspect != 1:
            size = self._stream.width, self._stream.height
            sink.edit = functools.partial(matroska_head, shown=display_size(size, aspect))
            self._stream.metadata["title"] = self._stream.metadata.get("title", "") + ROOM

    def _add_stream(self, size: tuple[int, int], crf: int | None) -> "VideoStream":
        options = dict(self._encoder.options)
        if crf is not None and "crf" in options:
            options["crf"] = str(crf)
        added = self._container.add_stream(self._encoder.name, rate=self._rate, options=options)
        stream = cast("VideoStream", added)
        stream.width, stream.height = (side + pad for side, pad in zip(size, self._pad, strict=True))
        stream.pix_fmt = "yuv420p"
        context, like = stream.codec_context, self._like
        # A raw frame's time stamp is its number.
        context.time_base = self._tick if self._form.tagged else 1 / self._rate
        context.color_range = LIMITED
        if like is not None and like.pixel_aspect != 1:
            context.sample_aspect_ratio = like.pixel_aspect
        if self._form.tagged:
            context.colorspace = self._matrix
            context.color_primaries = _or_bt709(like.primaries if like else 2)
            context.color_trc = _or_bt709(like.transfer if like else 2)
        return stream

    def _start(self, size: tuple[int, int]) -> None:
        import av

        try:
            self._container.start_encoding()
        except (av.error.FFmpegError, ValueError) as error:
            columns, rows = size
            reason = getattr(error, "strerror", None) or error
            raise InputError(
                f"{columns}x{rows} at {self._rate} frames a second cannot be encoded with "
                f"{self._encoder.name}: {reason}"
            ) from None
        if self._copied is not None:
            self._copied.begin()
        if self._encoder is not self._form.encoders[0]:
            self.notes.append(f"encoded with {self._encoder.name}: this FFmpeg has no better one")
        if any(self._pad):
            self.notes.append(f"its last pixels are repeated: {self._encoder.name} takes even sizes")

    def _frame(self, image: np.ndarray) -> "av.VideoFrame":
        if any(self._pad):
            image = np.pad(image, ((0, self._pad[1]), (0, self._pad[0]), (0, 0)), "edge")
        return from_rgb(image, self._reformatter, "yuv420p", self._matrix)

    def _add_paced(self, pacer: Pacer, image: np.ndarray, time: Fraction) -> None:
        """Frames are numbered, and shown at a constant rate."""
        repeats, fits = pacer.place(time)
        self._repeat(repeats)
        if fits:
            number = 0 if self._last is None else self._last[1] + 1
            self._last = time, number, self._frame(image)
            self._encode_numbered()

    def _repeat(self, times: int) -> None:
        for _ in range(times):
            if self._last is not None:
                self._last = self._last[0], self._last[1] + 1, self._last[2]
                self._encode_numbered()

    def _encode_numbered(self) -> None:
        if self._last is not None:
            self._last[2].pts = self._last[1]
            self._encode(self._last[2], 1)

    def _encode_last(self) -> Fraction:
        """Encode the last frame, which may stand long; says when it ends."""
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
        from av.video.frame import PictureType

        frame.time_base, frame.duration = self._stream.codec_context.time_base, duration
        frame.pict_type = PictureType.NONE  # the encoder chooses
        if frame.pts is not None:
            self._durations[frame.pts] = duration
        self._mux(frame)

    def _mux(self, frame: "av.VideoFrame | None") -> None:
        """Write what the encoder gives; where it reorders frames it knows no durations."""
        for packet in self._stream.encode(frame):
            duration = None if packet.pts is None else self._durations.pop(packet.pts, None)
            packet.duration = packet.duration if duration is None else duration
            self._container.mux_one(packet)

    def _note_pace(self) -> None:
        if self._pacer is not None and (self._pacer.repeated or self._pacer.dropped):
            self.notes.append(
                f"Y4M has a constant rate: {self._pacer.repeated} frames are repeated and "
                f"{self._pacer.dropped} left out"
            )


def _or_bt709(number: int) -> int:
    return BT709 if number in UNKNOWN else number
