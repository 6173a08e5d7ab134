"""Y4M: a header line, and the samples of each frame behind a line of its own, at a constant rate.

Samples go from where the program left them into the file or the pipe, without FFmpeg and without a copy.
"""

import functools
from fractions import Fraction
from time import perf_counter

import numpy as np

from dysr_jax.video import colour
from dysr_jax.video.encoder_choice import Choice
from dysr_jax.video.encoders import Size
from dysr_jax.video.reader import Reader
from dysr_jax.video.samples import FromRgb, to_samples
from dysr_jax.video.sink import Sink


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


class RawVideo:
    """Frames of `size` columns and rows into a sink, as `Encoding` writes others."""

    def __init__(self, sink: Sink, size: Size, rate: Fraction, like: Reader | None, choice: Choice) -> None:
        self.ms: list[float] = []  # milliseconds of conversion from RGB, by the number of the frame
        self.mux_ms: list[float] = []  # of writing
        self.notes: list[str] = []
        self.encoder, self.multiple, self.shape = choice.encoder.name, 1, size[::-1]
        self.format = choice.plane_format(colour.assumed_matrix(size[1], size[0]))
        self._sink, self._like, self._pacer = sink, like, Pacer(rate)
        self._planes = choice.planes
        self._last: np.ndarray | None = None
        if like and (like.accompanied or like.film.tags or like.film.chapters):
            self.notes.append("audio, subtitles and metadata are left out: Y4M has none")
        aspect = like.pixel_aspect if like else Fraction(1)
        sink.write(_header(size, rate, aspect, choice.planes))

    @functools.cached_property
    def _from_rgb(self) -> FromRgb:
        return FromRgb(self._planes, self.format.matrix, self.shape)

    @property
    def error(self) -> BaseException | None:
        """What went wrong; the sink has it."""
        return self._sink.error

    def add(self, image: np.ndarray, time: Fraction) -> None:
        """Write the frame, after the last one again where its time comes later."""
        repeats, fits = self._pacer.place(time)
        began = perf_counter()
        if fits and image.ndim != 1:
            image = to_samples(self._from_rgb(image), self.format)
        converted = perf_counter()
        self._write(repeats)
        if fits:
            self._last = image
            self._write(1)
        # A frame that is left out takes no time.
        self.ms.append(1e3 * (converted - began) * fits)
        self.mux_ms.append(1e3 * (perf_counter() - converted) * (fits or repeats > 0))

    def finish(self) -> None:
        """Write the last frame as often as it is shown."""
        if self._last is not None and self._like is not None and self._like.ended:
            self._write(self._pacer.fill(self._like.end))
        if self._pacer.repeated or self._pacer.dropped:
            counted = f"{self._pacer.repeated} frames are repeated and {self._pacer.dropped} left out"
            self.notes.append(f"Y4M has a constant rate: {counted}")

    def _write(self, times: int) -> None:
        for _ in range(times):
            if self._last is not None:
                self._sink.write(b"FRAME\n")
                self._sink.write(self._last.data.cast("B"))


def _header(size: Size, rate: Fraction, aspect: Fraction, planes: str) -> bytes:
    """The line that FFmpeg writes for samples in limited range, sited left."""
    form = planes.removeprefix("yuv").removesuffix("le").rstrip("p").replace("p", "P")
    chroma = "C420mpeg2 XYSCSS=420MPEG2" if form == "420" else f"C{form.lower()} XYSCSS={form}"
    (columns, rows), (frames, seconds) = size, rate.as_integer_ratio()
    shape = f"W{columns} H{rows} F{frames}:{seconds} Ip A{aspect.numerator}:{aspect.denominator}"
    return f"YUV4MPEG2 {shape} {chroma} XCOLORRANGE=LIMITED\n".encode()
