"""Read a video: `open_video` gives a `Reader`, whose frames are RGB images with their times."""

import os
from collections.abc import Generator, Iterator
from fractions import Fraction
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from dysr_jax.errors import InputError
from dysr_jax.fields import as_path
from dysr_jax.threads import Prefetched
from dysr_jax.video import colour
from dysr_jax.video.colour import Matrix, display_matrix, oriented, swaps_sides
from dysr_jax.video.decode import Clock, Decoder
from dysr_jax.video.findings import Findings, declared_end
from dysr_jax.video.pyav import fraction
from dysr_jax.video.source import open_container, refuse, video_stream
from dysr_jax.video.tags import head_of, stream_tags

if TYPE_CHECKING:
    import av
    from av.container import InputContainer
    from av.video.stream import VideoStream

FASTEST = 120
"""Frames a second; what is guessed above is the unit of the time stamps."""


class VideoFrame(NamedTuple):
    """A picture of a video."""

    image: np.ndarray
    """`[H, W, 3]` uint8 RGB, as it is shown."""
    time: Fraction
    """Seconds from the start of the video; larger than that of the frame before."""


class Reader:
    """A video that is read once, from its first frame to its last. Made by `open_video`."""

    def __init__(self, name: str, container: "InputContainer", stream: "VideoStream") -> None:
        from av.video.reformatter import VideoReformatter

        self.path = name
        self._container = container
        self._reformatter = VideoReformatter()
        self._decoder = Decoder(container, stream)
        self._decoded = iter(self._decoder)
        self._first = next(self._decoded, None)
        if self._first is None:
            refuse(name, "no frame of it can be decoded")
        self._matrix = display_matrix(self._first)
        self.pixel_aspect = _aspect(stream, self._matrix)
        """Width of a pixel by its height, as it is shown."""
        self.rate: Fraction = _rate(stream)
        """Frames a second, on average."""
        self.densest: Fraction = _densest(stream, self.rate)
        """Frames a second where they follow each other fastest, as far as FFmpeg can tell."""
        self.start = _start(container, stream)
        """The time of the file, in seconds, that is time 0 here."""
        self.tick: Fraction = fraction(stream.time_base) or 1 / self.rate
        """Seconds of which the file's times are multiples."""
        self.duration = declared_end(stream, self.start)
        """When the last frame ends, in seconds, as the file declares it; `None` if it does not."""
        self.index = stream.index
        """Of its stream in the file."""
        self.head = head_of(container, self.start)
        """Its tags and chapters."""
        self.tags, self.disposition = stream_tags(stream.metadata), stream.disposition
        self.accompanied = len(container.streams) > 1
        """Whether there is more in the file than these frames."""
        self._clock = Clock(self.rate, self.tick, self.start)
        self._findings = Findings(self._first, self._decoder, self._clock, self.duration)
        self.image_shape = self._shape(self._first)
        self._frames = self._read()
        self._ahead: Prefetched[VideoFrame] | None = None

    @property
    def width(self) -> int:
        """Columns of the first frame, as it is shown."""
        return self.image_shape[1]

    @property
    def height(self) -> int:
        """Rows of the first frame, as it is shown."""
        return self.image_shape[0]

    @property
    def primaries(self) -> int:
        """H.273 number of the colours' primaries; 2 if the file does not say."""
        return self._findings.primaries

    @property
    def transfer(self) -> int:
        """H.273 number of the colours' transfer; 2 if the file does not say."""
        return self._findings.transfer

    @property
    def variable(self) -> bool:
        """Whether the intervals of the frames so far differ."""
        return self._clock.variable

    @property
    def ended(self) -> bool:
        """Whether all frames were given."""
        return self._decoder.ended

    @property
    def end(self) -> Fraction:
        """When the last frame so far ends, in seconds."""
        return self._clock.end

    @property
    def skipped(self) -> int:
        """Packets so far that could not be decoded."""
        return self._decoder.skipped

    @property
    def damaged(self) -> str | None:
        """How the video ended too early; `None` before its end, and if it is whole."""
        return self._findings.damaged()

    @property
    def notes(self) -> tuple[str, ...]:
        """What the frames so far do not show as the file has it, a sentence each."""
        return self._findings.notes()

    def frames(self, *, ahead: int = 0) -> Iterator[VideoFrame]:
        """The frames that were not given yet; one whose size differs from the first has that size.

        Args:
            ahead: decode in a thread of its own, up to so many frames ahead; 0 decodes when asked.

        Raises:
            InputError: the colours change to what cannot be converted.
        """
        if ahead and self._ahead is None:
            self._ahead = Prefetched(self._frames, ahead)
        return self._ahead or self._frames

    def close(self) -> None:
        """Let go of the file; one that another thread hangs in is left to the end of the process."""
        if self._ahead is None or self._ahead.close():
            try:
                self._frames.close()
            except ValueError:  # a thread hangs in it, in a pipe that says nothing
                return
            self._container.close()

    def __enter__(self) -> "Reader":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _read(self) -> Generator[VideoFrame, None, None]:
        first, self._first = self._first, None
        if first is not None:
            yield self._frame(first)
        for frame in self._decoded:
            yield self._frame(frame)

    def _frame(self, frame: "av.VideoFrame") -> VideoFrame:
        time = self._clock(frame)
        try:
            image = oriented(colour.to_rgb(frame, self._reformatter), self._matrix)
        except InputError as error:
            refuse(self.path, error)
        self._findings.see(frame, time)
        return VideoFrame(image, time)

    def _shape(self, frame: "av.VideoFrame") -> tuple[int, int]:
        try:
            colour.check_colours(frame)
        except InputError as error:
            refuse(self.path, error)
        shape = frame.height, frame.width
        return shape[::-1] if swaps_sides(self._matrix) else shape


def _rate(stream: "VideoStream") -> Fraction:
    rates = (stream.average_rate, stream.guessed_rate, stream.base_rate)
    return next((rate for rate in map(fraction, rates) if rate and rate > 0), Fraction(25))


def _densest(stream: "VideoStream", average: Fraction) -> Fraction:
    """The average is less where the rate is variable, or a last frame stands long."""
    guessed = fraction(stream.guessed_rate)
    return max(average, guessed) if guessed and guessed <= FASTEST else average


def _aspect(stream: "VideoStream", matrix: Matrix) -> Fraction:
    aspect = fraction(stream.sample_aspect_ratio) or Fraction(1)
    return 1 / aspect if swaps_sides(matrix) else aspect


def _start(container: "InputContainer", stream: "VideoStream") -> Fraction:
    """The least time stamp of all streams; what lies before 0 is the run-up of an audio decoder.

    Unless pictures lie there too.
    """
    mine = (stream.start_time or 0) * (fraction(stream.time_base) or Fraction(0))
    start = Fraction(container.start_time or 0, 1_000_000)
    start = start if mine < 0 else max(start, Fraction(0))
    return mine if abs(mine - start) < Fraction(1, 500_000) else start  # without the rounding


def open_video(path: str | os.PathLike[str]) -> Reader:
    """Open a video file of any kind that FFmpeg reads, or standard input for `-`.

    Its frames are turned as the file says, and are RGB of 8 bits: deeper ones are rounded. The matrix is the
    one that the file says, else BT.709 from 1280 columns or 577 rows on and BT.601 below; the range is
    limited where the file does not say. Frames of an interlaced video are given as they are woven.

    Args:
        path: of the file, or `-`.

    Raises:
        InputError: no such file, no video, none of its frames can be decoded, or HDR (PQ or HLG).
    """
    name = as_path(path, "video")
    container = open_container(name)
    try:
        return Reader(name, container, video_stream(name, container))
    except BaseException:
        container.close()
        raise
