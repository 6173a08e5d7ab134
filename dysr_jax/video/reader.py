"""Read a video: `open_video` gives a `Reader`, whose frames are planes or RGB images with their times."""

import dataclasses
import itertools
import math
import numbers
import os
from collections.abc import Generator, Iterable, Iterator
from fractions import Fraction
from operator import attrgetter
from typing import Any, NamedTuple, TypeVar

import numpy as np

from dysr_jax.errors import InputError
from dysr_jax.fields import as_path, require
from dysr_jax.model import FrameFormat, PlaneFormat
from dysr_jax.threads import Prefetched
from dysr_jax.video import colour
from dysr_jax.video.addresses import is_live
from dysr_jax.video.decode import Clock, Decoder
from dysr_jax.video.facts import declared_end, described, notes_on, rates_of, start_of
from dysr_jax.video.planes import arrays_of, plane_format
from dysr_jax.video.source import av, fraction, open_container, refuse, video_stream
from dysr_jax.video.tags import has_time_code, read_tags, stream_tags, without_time_code

MAX_MISSING = Fraction(1, 2)  # seconds by which a whole video may end before the time that it declares
TOLERANCE = Fraction(1, 1000)  # seconds by which a time that is given may miss a frame's
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

    def __init__(
        self,
        name: str,
        container: "av.container.InputContainer",
        offset: Fraction = Fraction(0),
        limit: Fraction | None = None,
    ) -> None:
        stream = video_stream(name, container)
        self.path, self._container = name, container
        self.live = is_live(name, container)
        """Whether frames come at their own pace, as from a camera."""
        self.offset, self.limit = offset, limit
        """Seconds of the video that are left out before the first frame, and those that are read then."""
        self._reformatter = av.video.reformatter.VideoReformatter()
        self.start = start_of(container, stream) + offset  # the time of the file, in seconds, that is 0 here
        self._decoder = Decoder(container, stream, self.start if offset else None)
        self._codec = stream.codec_context.name
        decoded = iter(self._decoder)
        first = next(decoded, None)
        if first is None:
            refuse(name, "no frame of it can be decoded")
        self.rate, self.densest = rates_of(stream)
        """Frames per second, on average, and where they are densest."""
        self.tick = fraction(stream.time_base) or 1 / self.rate  # the file's times are multiples of it
        self._clock = Clock(self.rate, self.tick, self.start, -offset)
        self._cut = False  # whether frames after the limit are left out
        timed = self._timed(itertools.chain([first], decoded))
        first, time = self._first(timed)
        self._check_colours(first)
        self.planes = plane_format(first, self._codec)
        """What `plane_frames` gives; None: RGB."""
        self._take(first)  # or it is refused
        self.orientation = colour.display_orientation(first)
        """What makes stored frames upright."""
        self._stored = first.height, first.width
        self._described = described(first, self.planes)
        upright = FrameFormat(orientation=self.orientation).stored(self._stored)
        self.image_shape = self.height, self.width = upright
        """Rows and columns of the first frame, as it is shown."""
        aspect = fraction(stream.sample_aspect_ratio) or Fraction(1)
        self.pixel_aspect = 1 / aspect if self.orientation.swap else aspect
        """Width of a pixel by its height, as it is shown."""
        self.primaries, self.transfer = int(first.color_primaries), int(first.color_trc)
        """H.273 numbers of the colours' primaries and transfer; 2 if the file does not say."""
        ends = [end for end in (declared_end(stream, self.start), limit) if end is not None]
        self.duration = min(ends, default=None)
        """When the last frame ends, in seconds, as the file declares it; `None` if it does not."""
        self.index = stream.index  # in the file
        self.film, self.tags = read_tags(container, self.start, limit), stream_tags(stream.metadata)
        self._first_notes = list(notes_on(first))
        if offset and has_time_code({**self.tags, **self.film.tags}):
            self.film = dataclasses.replace(self.film, tags=without_time_code(self.film.tags))
            self.tags = without_time_code(self.tags)
            self._first_notes.append("its time code is left out: it is that of the film's beginning")
        self.disposition = stream.disposition
        self.accompanied = len(container.streams) > 1  # whether there is more in the file than these frames
        self._depth = max(component.bits for component in first.format.components)
        self._rounded = self.planes is None  # or when images are taken
        self._interlaced = 0
        self._changes: list[str] = []
        self._frames = self._read(itertools.chain([(first, time)], timed))
        self._ahead: Prefetched[Any] | None = None

    variable = property(attrgetter("_clock.variable"), doc="Whether intervals of frames so far differ.")
    skipped = property(attrgetter("_decoder.skipped"), doc="Packets so far that could not be decoded.")

    @property
    def ended(self) -> bool:
        """Whether all frames were given."""
        return self._cut or self._decoder.ended

    @property
    def end(self) -> Fraction:
        """When the last frame so far ends, in seconds."""
        return self._clock.end if self.limit is None else min(self._clock.end, self.limit)

    @property
    def damaged(self) -> str | None:
        """How the video ended too early; `None` before its end, and if it is whole."""
        decoder, end = self._decoder, self.end
        if self._cut or not decoder.ended:
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
        deep = self._rounded and self._depth > 8
        rounded = [f"its {self._depth} bits per channel are rounded to 8"] if deep else []
        variable = ["its frame rate is variable"] if self._clock.variable else []
        counts = [f"{what}: {count}" for count, what in counted if count]
        return (*self._first_notes, *rounded, *variable, *counts, *self._changes)

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

    def _timed(self, decoded: "Iterable[av.VideoFrame]") -> Iterator[tuple["av.VideoFrame", Fraction]]:
        """The frames from the offset to the limit, with their times."""
        for frame in decoded:
            time = self._clock(frame)
            if self.offset and time < -TOLERANCE:
                continue
            if self.limit is not None and time >= self.limit - TOLERANCE:
                self._cut = True
                return
            yield frame, max(time, Fraction(0)) if self.offset else time

    def _first(self, timed: 'Iterator[tuple["av.VideoFrame", Fraction]]') -> tuple["av.VideoFrame", Fraction]:
        found = next(timed, None)
        if found is None:
            end = f"{float(self._clock.end + self.offset):.2f} s"
            require(self._cut, "start", float(self.offset), f"before the end of the video, {end}")
            refuse(self.path, f"no frame of it begins within a duration of {float(self.limit or 0)} s")
        if self.offset:  # what is broken before it is of no interest
            self._decoder.skipped = self._decoder.concealed = self._clock.repaired = 0
        return found

    def _read(
        self, timed: "Iterable[tuple[av.VideoFrame, Fraction]]"
    ) -> Generator[tuple["av.VideoFrame", Fraction], None, None]:
        for frame, time in timed:
            self._check_colours(frame)
            self._interlaced += frame.interlaced_frame
            yield frame, time

    def _images(self) -> Iterator[VideoFrame]:
        size, self._rounded = self._stored, True
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
                    became, made = described(frame, form), f"converted to {self._described}"
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


def open_video(
    path: str | os.PathLike[str], start: float | Fraction = 0.0, duration: float | Fraction | None = None
) -> Reader:
    """Open a video file of any kind that FFmpeg reads, an address, a camera, or standard input for `-`.

    An address is such as `https://host/film.mp4`, `https://host/list.m3u8` or `rtsp://host/camera`, a camera
    `/dev/video0`. From `start` on, `duration` seconds are read (None: all); times count from `start`.

    Frames are turned as the file says, and are RGB of 8 bits: deeper ones are rounded; or planes as they are
    stored. If the file does not say them, the matrix is BT.709 from 1280 columns or 577 rows on, else BT.601,
    and the range limited. Frames of an interlaced video are given as they are woven.
    Raises `InputError`: no such file, no video, none of its frames can be decoded, HDR (PQ or HLG), a source
    that cannot be reached or sends nothing, a `start` behind the end.
    """
    name = as_path(path, "video")
    offset = _seconds("start", start, "a number of seconds, at least 0", least=0.0)
    limit = None if duration is None else _seconds("duration", duration, "a number of seconds above 0")
    require(limit is None or limit > 0, "duration", duration, "a number of seconds above 0")
    container = open_container(name)
    try:
        return Reader(name, container, offset, limit)
    except BaseException:
        container.close()
        raise


def _seconds(name: str, value: float | Fraction, needed: str, least: float = -math.inf) -> Fraction:
    """A finite time as people write it: 0.04 is 1/25."""
    valid = isinstance(value, numbers.Real) and math.isfinite(value) and value >= least
    require(valid, name, value, needed)
    return Fraction(float(value)).limit_denominator(1_000_000)
