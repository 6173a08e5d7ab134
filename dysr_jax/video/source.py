"""A video file, or standard input, as an open PyAV container with a stream that can be decoded."""

import pathlib
import sys
from typing import TYPE_CHECKING, NoReturn

from dysr_jax.errors import InputError
from dysr_jax.video.pyav import open_av
from dysr_jax.video.timeline import is_cover

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

MOST_PIXELS = 1 << 27
"""Of a frame: 15360x8640 and some more. What declares more is damaged as a rule, and fills the memory."""

STILL = ("avif", "heic", "heix", "heim", "heis", "mif1")
"""Brands of images in the container of MP4."""

STANDARD = "-"
"""The path that stands for standard input or standard output."""


def is_pipe(name: str) -> bool:
    """Whether what a path names can be read once only: standard input, or a pipe with a name."""
    return name == STANDARD or not pathlib.Path(name).is_file()


def refuse(name: str, reason: object) -> NoReturn:
    """Raise the one line that says why a video cannot be read."""
    raise InputError(f"video {name!r} cannot be read: {reason}") from None


def _check_place(name: str) -> None:
    if name == STANDARD:
        if sys.stdin is None:
            refuse(name, "standard input is closed; it must be a pipe or a file")
        if sys.stdin.isatty():
            refuse(name, "standard input is a terminal; it must be a pipe or a file")
        return
    place = pathlib.Path(name)
    try:
        place.stat()
    except FileNotFoundError:
        raise InputError(f"video {name!r} does not exist") from None
    except (OSError, ValueError) as error:  # such as a name that is too long
        refuse(name, getattr(error, "strerror", None) or error)
    if place.is_dir():
        refuse(name, "it is a folder")
    if place.is_file() and not place.stat().st_size:
        refuse(name, "it is empty")


def open_container(name: str) -> "InputContainer":
    """Open what a path names; its protocol is always a file or standard input, whatever the name looks like.

    Raises:
        InputError: nothing there, a folder, an empty file, no video, or one without its index.
    """
    import av

    _check_place(name)
    try:
        # The default size of reads is for seeking in files; raw frames in a pipe are larger.
        place, size = ("pipe:0", 1 << 20) if name == STANDARD else (f"file:{name}", 1 << 15)
        options = {"max_pixels": str(MOST_PIXELS)}  # for what probes the file, too
        container = open_av(place, "r", buffer_size=size, options=options)
    except av.error.InvalidDataError:
        refuse(name, "it is no video, or it is cut off before its index")
    except av.error.EOFError:
        refuse(name, "it ends before its first frame")
    except (av.error.FFmpegError, OSError, ValueError) as error:
        refuse(name, getattr(error, "strerror", None) or error)
    return container


def _check_kind(name: str, container: "InputContainer", frames: int) -> None:
    """FFmpeg reads images as videos of one frame, and text as the picture of a terminal."""
    kind, brand = container.format.name, container.metadata.get("major_brand", "").strip()
    if kind == "tty":
        refuse(name, "it is a text")
    still = brand in STILL or (kind == "gif" and frames == 1)
    if still or kind in ("image2", "ico") or (kind.endswith("_pipe") and frames <= 1):
        refuse(name, "it is an image; `dysr upscale` takes images")


def video_stream(name: str, container: "InputContainer") -> "VideoStream":
    """The first stream of moving pictures: the cover of a piece of music is none.

    Raises:
        InputError: no such stream, one that FFmpeg has no decoder for, or one of frames that are too large.
    """
    streams = [stream for stream in container.streams.video if not is_cover(stream)]
    if not streams:
        refuse(name, "it has no video stream")
    # A sequence of images begins with one that stands alone.
    stream = next((stream for stream in streams if stream.frames != 1), streams[0])
    _check_kind(name, container, stream.frames)
    if stream.codec_context is None:
        refuse(name, "FFmpeg has no decoder for its video stream")
    columns, rows = stream.codec_context.width, stream.codec_context.height
    if columns * rows > MOST_PIXELS:
        refuse(name, f"its frames are {columns}x{rows}; they must have at most {MOST_PIXELS} pixels")
    stream.codec_context.options = {"max_pixels": str(MOST_PIXELS)}  # sizes may change
    return stream
