"""A video file, or standard input, as an open PyAV container with a stream that can be decoded."""

import os
import pathlib
import sys
from typing import TYPE_CHECKING, NoReturn

from dysr_jax.errors import InputError
from dysr_jax.video.packets import is_cover
from dysr_jax.video.pyav import open_av

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

STANDARD = "-"
"""The path that stands for standard input or standard output."""


def name_of(path: str | os.PathLike[str]) -> str:
    """The path as it was given, `-` too."""
    return os.fspath(path)


def is_pipe(name: str) -> bool:
    """Whether what a path names can be read once only: standard input, or a pipe with a name."""
    return name == STANDARD or not pathlib.Path(name).is_file()


def refuse(name: str, reason: object) -> NoReturn:
    """Raise the one line that says why a video cannot be read."""
    raise InputError(f"video {name!r} cannot be read: {reason}") from None


def _check_place(name: str) -> None:
    if name == STANDARD:
        if sys.stdin is not None and sys.stdin.isatty():
            refuse(name, "standard input is a terminal; allowed is a pipe or a file")
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
        container = open_av(place, "r", buffer_size=size)
    except av.error.InvalidDataError:
        refuse(name, "it is no video, or it is cut off before its index")
    except (av.error.FFmpegError, OSError, ValueError) as error:
        refuse(name, getattr(error, "strerror", None) or error)
    return container


def _check_kind(name: str, container: "InputContainer") -> None:
    """FFmpeg reads images as videos of one frame, and text as the picture of a terminal."""
    kind = container.format.name
    if kind == "tty":
        refuse(name, "it is a text")
    if kind == "image2" or kind.endswith("_pipe"):
        refuse(name, "it is an image; `dysr upscale` takes images")


def video_stream(name: str, container: "InputContainer") -> "VideoStream":
    """The first stream of moving pictures: the cover of a piece of music is none.

    Raises:
        InputError: no such stream, or one that FFmpeg has no decoder for.
    """
    _check_kind(name, container)
    streams = [stream for stream in container.streams.video if not is_cover(stream)]
    if not streams:
        refuse(name, "it has no video stream")
    if streams[0].codec_context is None:
        refuse(name, "FFmpeg has no decoder for its video stream")
    return streams[0]
