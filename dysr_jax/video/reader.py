"""Read a video: `open_video` gives a `Reader`, whose frames are RGB images with their times."""

import itertools
import os
from collections.abc import Generator, Iterable, Iterator
from fractions import Fraction
from operator import attrgetter
from typing import Any, NamedTuple, TypeVar

import numpy as np

from dysr_jax.errors import InputError
from dysr_jax.fields import as_path
from dysr_jax.model import SITINGS, FrameFormat, PlaneFormat
from dysr_jax.threads import Prefetched
from dysr_jax.video import colour
from dysr_jax.video.decode import Clock, Decoder
from dysr_jax.video.planes import arrays_of, plane_format
from dysr_jax.video.source import av, fraction, open_container, refuse, video_stream
from dysr_jax.video.tags import read_tags, stream_tags

MAX_GUESSED_RATE = 120  # frames per second; a guess above it is the unit of the time stamps
MAX_MISSING = Fraction(1, 2)  # seconds by which a whole video may end before the time that it declares
MATRIX_NAMES = {colour.BT709: "BT.709", 5: "BT.601", colour.BT601: "BT.601", 9: "BT.2020"}
SITING_NAMES = dict(
    zip(SITINGS.values(), ("left", "centre", "top left", "top", "bottom left", "bottom"), strict=True)
)
T = TypeVar("T")


class VideoFrame(NamedTuple):
    """A picture, `[H, W, 3]` uint8 RGB as it is shown, and its time: seconds from the start, increasing."""

    image: np.ndarray
    time: Fraction


class PlaneFrame(NamedTuple):
    """A picture as it is stored, not turned, and its time: seconds from the start, increasing.

    `arrays` are read-only planes `[H, W]` as `Reader.planes` says, or without it one image `[H, W, 3]` uint8.
    """

    arrays: tuple[np.ndarray, ...]
    time: Fraction


class Reader:
    """A video that is read once, from its first frame to its last. Made by `open_video`."""

    def __init__(self, name: str, container: "av.container.InputContainer") -> None:
        stream = video_stream(name, container)
        self.path, self._container = name, container
        self._reformatter = av.video.reformatter.VideoReformatter()
        self._decoder = Decoder(container, stream)
        self._codec = stream.codec_context.name
        decoded = iter(self._decoder)
        first = next(decoded, None)
        if first is None:
            refuse(name, "no frame of it can be decoded")
        self._check_colours(first)
        self.planes = plane_format(first, self._codec)
        """What `plane_frames` gives; None: RGB."""
        self._take(first)  # or it is refused
        self.orientation = colour.display_orientation(first)
        """What makes stored frames upright."""
        self._stored = first.height, first.width
        self._described = _described(first, self.planes)
        turned = self.orientation.swap
        self.image_shape = self.height, self.width = FrameFormat(orientation=self.orientation).stored(
            self._stored
        )
        """Rows and columns of the first frame, as it is shown."""
        aspect = fraction(stream.sample_aspect_ratio) or Fraction(1)
        self.pixel_aspect = 1 / aspect if turned else aspect
        """Width of a pixel by its height, as it is shown."""
        self.primaries, self.transfer = int(first.color_primaries), int(first.color_trc)
        """H.273 numbers of the colours' primaries and transfer; 2 if the file does not say."""
        rates = (stream.average_rate, stream.guessed_rate, stream.base_rate)
        self.rate = next((rate for rate in map(fraction, rates) if rate and rate > 0), Fraction(25))
        """Frames per second, on average."""
        # Where frames are densest: more than the average if the rate varies, or the last frame is shown long.
        guessed = fraction(stream.guessed_rate)
        self.densest = max(self.rate, guessed) if guessed and guessed <= MAX_GUESSED_RATE else self.rate
        self.start = _start(container, stream)  # the time of the file, in seconds, that is time 0 here
        self.tick = fraction(stream.time_base) or 1 / self.rate  # the file's times are multiples of it
        self.duration = _declared_end(stream, self.start)
        """When the last frame ends, in seconds, as the file declares it; `None` if it does not."""
        self.index = stream.index  # in the file
        self.film = read_tags(container, self.start)
        self.tags, self.disposition = stream_tags(stream.metadata), stream.disposition
        self.accompanied = len(container.streams) > 1  # whether there is more in the file than these frames
        self._clock = Clock(self.rate, self.tick, self.start)
        self._first_notes = tuple(_notes_on(first))
        self._interlaced = 0
        self._changes: list[str] = []
        self._frames = self._read(itertools.chain([first], decoded))
        self._ahead: Prefetched[Any] | None = None

    variable = property(attrgetter("_clock.variable"), doc="Whether intervals of frames so far differ.")
    ended = property(attrgetter("_decoder.ended"), doc="Whether all frames were given.")
    end = property(attrgetter("_clock.end"), doc="When the last frame so far ends, in seconds.")
    skipped = property(attrgetter("_decoder.skipped"), doc="Packets so far that could not be decoded.")

    @property
    def damaged(self) -> str | None:
        """How the video ended too early; `None` before its end, and if it is whole."""
        decoder, end = self._decoder, self._clock.end
        if not decoder.ended:
            return None
        if decoder.failure:
            return f"it cannot be read after {float(end):.2f} s: {decoder.failure}"
        declared = self.duration if decoder.packets.timeline.trusted else None
        if declared is not None and declared - end > max(MAX_MISSING, 2 / self.rate):
            return f"it ends at {float(end):.2f} s of the {float(declared):.2f} s it declares"
        return f"its last packet, at {float(end):.2f} s, is cut off" if decoder.cut else None

    @property
    def notes(self) -> tuple[str, ...]:
        """How the frames so far differ from what is in the file, a sentence each."""
        counted = (
            (self._decoder.skipped, "packets that cannot be decoded, left out"),
            (self._decoder.concealed, "damaged frames, filled in by the decoder"),
            (self._clock.repaired, "times that do not increase, moved"),
            (self._interlaced, "interlaced frames, used as they are woven"),
        )
        variable = ["its frame rate is variable"] if self._clock.variable else []
        counts = [f"{what}: {count}" for count, what in counted if count]
        return (*self._first_notes, *variable, *counts, *self._changes)

    def frames(self, *, ahead: int = 0) -> Iterator[VideoFrame]:
        """The frames that were not given yet, each of its own size; up to `ahead` are decoded in advance.

        With `ahead`, take all frames of a video this way, or all by `plane_frames`. Colours that change to
        what cannot be converted are an InputError.
        """
        return self._given(self._images(), ahead)

    def plane_frames(self, *, ahead: int = 0) -> Iterator[PlaneFrame]:
        """As `frames`, but as they are stored, all in the format and size of the first one.

        The arrays lie in the decoder's memory where its pixel format is planar. `read_frame` makes of them
        what `frames` gives (`dysr_jax.model`).
        """
        return self._given(self._arrays(), ahead)

    def _given(self, frames: Iterator[T], ahead: int) -> Iterator[T]:
        if ahead and self._ahead is None:
            self._ahead = Prefetched(frames, ahead)
        return self._ahead or frames

    def close(self) -> None:
        """Close the file; one that another thread hangs in is left to the end of the process."""
        if self._ahead is None or self._ahead.close():
            try:
                self._frames.close()
            except ValueError:  # a thread hangs in it, in a pipe that says nothing
                return
            self._container.close()

    def __enter__(self) -> "Reader":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _read(
        self, decoded: "Iterable[av.VideoFrame]"
    ) -> Generator[tuple["av.VideoFrame", Fraction], None, None]:
        for frame in decoded:
            time = self._clock(frame)
            self._check_colours(frame)
            self._interlaced += frame.interlaced_frame
            yield frame, time

    def _images(self) -> Iterator[VideoFrame]:
        size = self._stored
        for frame, time in self._frames:
            arrays, form = self._take(frame)
            if size != (frame.height, frame.width):
                size = frame.height, frame.width
                self._changes.append(f"from {float(time):.2f} s on it is {frame.width}x{frame.height}")
            yield VideoFrame(colour.to_rgb(arrays, FrameFormat(form, orientation=self.orientation)), time)

    def _arrays(self) -> Iterator[PlaneFrame]:
        rows, columns = self._stored
        first = last = self.planes, self._stored
        for frame, time in self._frames:
            arrays, form = self._take(frame)
            found = form, (frame.height, frame.width)
            if found != last and found != first:
                size = f"{frame.width}x{frame.height}"
                if found[1] != first[1]:
                    became, made = size, f"resized to {columns}x{rows}"
                else:
                    became, made = _described(frame, form), f"converted to {self._described}"
                self._changes.append(f"at {float(time):.2f} s frames become {became}: they are {made}")
            last = found
            if found != first:
                arrays = colour.convert(arrays, form, *first)
            yield PlaneFrame(arrays, time)

    def _take(self, frame: "av.VideoFrame") -> tuple[tuple[np.ndarray, ...], PlaneFormat | None]:
        form = plane_format(frame, self._codec)
        try:
            return arrays_of(frame, form, self._reformatter), form
        except InputError as error:
            refuse(self.path, error)

    def _check_colours(self, frame: "av.VideoFrame") -> None:
        try:
            colour.check_colours(frame)
        except InputError as error:
            refuse(self.path, error)


def _start(container: "av.container.InputContainer", stream: "av.video.stream.VideoStream") -> Fraction:
    """The least time stamp in seconds; what lies before 0 is an audio preroll, unless pictures lie there."""
    own = (stream.start_time or 0) * (fraction(stream.time_base) or Fraction(0))
    start = Fraction(container.start_time or 0, 1_000_000)
    start = start if own < 0 else max(start, Fraction(0))
    return own if abs(own - start) < Fraction(1, 500_000) else start  # without the rounding


def _declared_end(stream: "av.video.stream.VideoStream", start: Fraction) -> Fraction | None:
    """When the last frame ends, as the stream or Matroska's tag declares it."""
    tick = fraction(stream.time_base)
    if stream.duration and tick:
        return ((stream.start_time or 0) + stream.duration) * tick - start
    try:
        hours, minutes, seconds = map(Fraction, stream.metadata.get("DURATION", "").split(":"))
    except ValueError:
        return None
    return hours * 3600 + minutes * 60 + seconds - start or None


def _described(frame: "av.VideoFrame", form: PlaneFormat | None) -> str:
    """Pixel format and colours, in words."""
    if form is None:
        return frame.format.name
    words = [frame.format.name, "full range" if form.full_range else "limited range"]
    if form.chroma is not None:
        words.append(MATRIX_NAMES.get(form.matrix, f"matrix {form.matrix}"))
    if form.chroma and any(form.chroma):
        words.append(f"chroma {SITING_NAMES[form.siting]}")
    return ", ".join(words)


def _notes_on(frame: "av.VideoFrame") -> list[str]:
    notes = []
    if colour.is_yuv(frame) and int(frame.colorspace) in colour.UNKNOWN:
        name = MATRIX_NAMES[colour.matrix_of(frame)]
        notes.append(f"it does not say its colour matrix: {name} is assumed")
    depth = max(component.bits for component in frame.format.components)
    if depth > 8:
        notes.append(f"its {depth} bits per channel are rounded to 8")
    if any(component.is_alpha for component in frame.format.components):
        notes.append("its transparency is left out")
    return notes


def open_video(path: str | os.PathLike[str]) -> Reader:
    """Open a video file of any kind that FFmpeg reads, or standard input for `-`.

    Its frames are turned as the file says, and are RGB of 8 bits: deeper ones are rounded. If the file does
    not say them, the matrix is BT.709 from 1280 columns or 577 rows on, else BT.601, and the range limited.
    Frames of an interlaced video are given as they are woven.
    Raises `InputError`: no such file, no video, none of its frames can be decoded, or HDR (PQ or HLG).
    """
    name = as_path(path, "video")
    container = open_container(name)
    try:
        return Reader(name, container)
    except BaseException:
        container.close()
        raise
