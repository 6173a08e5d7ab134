"""Write a video: `open_writer` gives a `Writer`, which takes RGB images or samples with their times.

A file is written as `NAME.partial.EXT`, and renamed when it is closed. Its beginning plays at any moment,
also after a kill or on a full disk, and only `overwrite` replaces it. Two commands never write to one place.
"""

import contextlib
import os
import pathlib
from fractions import Fraction

import numpy as np

from dysr_jax.atomic import exclusive
from dysr_jax.errors import InputError
from dysr_jax.fields import as_path
from dysr_jax.threads import Worker
from dysr_jax.video.encoder_choice import choose
from dysr_jax.video.encoding import Encoding
from dysr_jax.video.reader import Reader
from dysr_jax.video.sink import Sink, check_output, format_of, open_output, partial_path
from dysr_jax.video.source import STANDARD, av, reason_of

MAX_WAITING = 4  # frames that wait for the encoder


class Writer:
    """A video, made by `open_writer`; one thread encodes it, and another writes it.

    As a context manager it is closed at the end; after an exception, it keeps its partial name.
    """

    def __init__(
        self, name: str, sink: Sink, encoding: Encoding, size: tuple[int, int], held: contextlib.ExitStack
    ) -> None:
        self.path, self._held = name, held
        self.frames = 0  # that were handed over
        self.encoder = encoding.encoder
        """Name of FFmpeg's encoder."""
        self.format, self.multiple = encoding.format, encoding.multiple
        """How samples hold a frame, and what its sides are padded to multiples of."""
        self.encode_ms, self.mux_ms = encoding.ms, encoding.muxing.ms
        """Milliseconds of encoding and of writing by the number of the frame; complete after closing."""
        self._sink, self._encoding, self._size = sink, encoding, size
        self._worker = Worker(self._add, self._finish, MAX_WAITING)
        self._closed = self._whole = False

    @property
    def partial(self) -> str | None:
        """Where the file is until it is closed; `None` for standard output."""
        return None if self.path == STANDARD else str(partial_path(self.path))

    @property
    def notes(self) -> tuple[str, ...]:
        """How the file differs from what was given, a sentence each; complete after closing."""
        return tuple(self._encoding.muxing.notes)

    def write(self, frame: np.ndarray, time: Fraction) -> None:
        """Append a frame that is shown from `time` s on; waits while `MAX_WAITING` wait.

        It is `[H, W, 3]` uint8 RGB, or the samples `[size]` of its planes in `format`, padded to `multiple`.
        The array must not change afterwards, and times must increase. Raises `InputError`: another size than
        that of the video, or a full disk; `BrokenPipeError`: the reader of standard output has ended.
        """
        samples, form = frame.ndim == 1, self.format
        shape = (form.size(*self._encoding.shape),) if samples else (*reversed(self._size), 3)
        dtype = form.dtype if samples else np.dtype(np.uint8)
        if frame.shape != shape or frame.dtype != dtype:
            what = "samples" if samples else "image"
            raise InputError(f"{what} must be {shape} and {dtype}, got {frame.shape} and {frame.dtype}")
        self._check()
        self._worker.put((frame, time))
        self.frames += 1

    def close(self) -> None:
        """Encode what waits, end the file, and give it its name; raises as `write`, or for no frame.

        An interruption from the keyboard waits for that.
        """
        if self._closed:
            return
        self._whole = True
        self._end()
        self._check()
        if not self.frames:
            raise InputError(f"video {self.path!r} is not written: it has no frame")

    def abandon(self) -> None:
        """End the file, and leave it under its partial name; a file without a frame is removed."""
        if not self._closed:
            self._end()

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        (self.close if error is None else self.abandon)()

    def _add(self, item: tuple[np.ndarray, Fraction]) -> None:
        self._encoding.add(*item)
        if error := self._sink.error or self._encoding.muxing.error:
            raise error

    def _end(self) -> None:
        self._closed = True
        with self._held:
            self._worker.finish()

    def _finish(self) -> None:
        """End the file, in the thread that encodes, so that no interruption leaves it half done."""
        try:
            self._encoding.finish()
        finally:
            self._sink.finish()
            if self.partial is not None and not self.frames:
                pathlib.Path(self.partial).unlink(missing_ok=True)
        if self.partial is not None and self.frames and self._whole and self._error() is None:
            pathlib.Path(self.partial).replace(self.path)

    def _error(self) -> BaseException | None:
        return self._sink.error or self._worker.error or self._encoding.muxing.error

    def _check(self) -> None:
        error = self._error()
        if error is None:
            return
        if isinstance(error, BrokenPipeError) or not isinstance(error, OSError | av.error.FFmpegError):
            raise error
        kept = f"; what was encoded until then is {self.partial!r}" if self.partial else ""
        raise InputError(f"video {self.path!r} cannot be written: {reason_of(error)}{kept}") from None


def open_writer(
    path: str | os.PathLike[str],
    *,
    width: int,
    height: int,
    rate: Fraction,
    like: Reader | None = None,
    overwrite: bool = False,
    encoder: str = "auto",
    crf: int | None = None,
    preset: str | None = None,
    pixel_format: str | None = None,
) -> Writer:
    """Begin a video: H.264 in MP4, MOV and Matroska, VP9 in WebM, raw frames in Y4M.

    Colours are BT.709 in limited range, chroma is sited left; Y4M cannot say its matrix, so it has the one
    that `open_video` assumes. Its rate is constant, so frames are repeated or left out if the times need it.

    The suffix of `path` (`sink.FORMATS`) is the format; `-` is Y4M on standard output. `rate` is in frames
    per second, on average. Of the source `like`, audio, subtitles, tags, chapters, covers, attachments and
    pixel aspect ratio are kept. `overwrite` replaces a file that exists, or what is left of one.

    `encoder`, `crf` (its constant quality) and `preset` are what `list_encoders` tells, and `pixel_format` is
    one of the encoder's, by default `yuv420p`. Raises `InputError`: an unknown suffix, a file that exists, is
    the source or is being written by another command, a place that cannot be written to, or what the encoder
    does not take.
    """
    name = as_path(path, "video")
    form = format_of(name)
    if "\0" in name:
        raise InputError(f"video {name!r} cannot be written: its name has a null in it")
    if rate <= 0:
        raise InputError(f"rate must be above 0 frames per second, got {rate}")
    with contextlib.ExitStack() as held:
        if name != STANDARD:
            held.enter_context(exclusive(name))
        check_output(name, like, overwrite=overwrite)
        if like is not None and rate == like.rate and not form.tagged:
            rate = like.densest  # at their average rate, frames of a variable rate were left out
        # Containers hold the terms of a fraction in 32 bits.
        rate = Fraction(rate).limit_denominator(100_000)
        size = width, height
        choice = choose(form, size, rate, name=encoder, crf=crf, preset=preset, pixel_format=pixel_format)
        sink = Sink(open_output(name), seekable=name != STANDARD)
        try:
            encoding = Encoding(sink, form, size, rate, like, choice)
        except BaseException as error:
            sink.finish()
            if name != STANDARD:
                partial_path(name).unlink(missing_ok=True)
            if isinstance(error, InputError):
                raise InputError(f"video {name!r}: {error}") from None
            raise
        return Writer(name, sink, encoding, size, held.pop_all())
