"""A video file, address, device or standard input as an open PyAV container with a stream to decode."""

import pathlib
import sys
from fractions import Fraction
from typing import Any, NoReturn

from etils import epy

from dysr_jax.errors import InputError
from dysr_jax.video import addresses

with epy.lazy_imports():
    import av as av


def open_av(place: Any, mode: Any, **options: Any) -> Any:
    """`av.open`, where metadata bytes that are not UTF-8 become surrogate escapes."""
    if int(av.__version__.split(".")[0]) < 19:  # later versions do so by themselves
        options["metadata_errors"] = "surrogateescape"
    return av.open(place, mode, **options)


def fraction(value: Any) -> Fraction | None:
    """A fraction of PyAV as one of Python; None for None, 0 and a denominator of 0."""
    if value is None or not value.numerator or not value.denominator:
        return None
    return Fraction(value.numerator, value.denominator)


def is_cover(stream: "av.stream.Stream") -> bool:
    """Whether a video stream is the picture on the cover."""
    return stream.type == "video" and bool(stream.disposition & av.stream.Disposition.attached_pic)


def reason_of(error: Exception) -> str:
    """The message of an error of the system or of FFmpeg, without its number."""
    if isinstance(error, av.error.ExitError):  # only time ends FFmpeg's waiting
        return f"nothing came for {addresses.TIMEOUT_S} s"
    return str(getattr(error, "strerror", None) or error)


MAX_FRAME_PIXELS = 1 << 27  # above 15360x8640; what declares more is damaged as a rule, and fills the memory
STILL_BRANDS = ("avif", "heic", "heix", "heim", "heis", "mif1")  # of images in the container of MP4
STANDARD = "-"  # the path that stands for standard input or standard output


def refuse(name: str, reason: object) -> NoReturn:
    """Raise the InputError that says why a video cannot be read."""
    raise InputError(f"video {name!r} cannot be read: {reason}") from None


def _check_path(name: str) -> None:
    if name == STANDARD:
        if sys.stdin is None or sys.stdin.isatty():
            state = "closed" if sys.stdin is None else "a terminal"
            refuse(name, f"standard input is {state}; it must be a pipe or a file")
        return
    path = pathlib.Path(name)
    try:
        path.stat()
    except FileNotFoundError:
        raise InputError(f"video {name!r} does not exist") from None
    except (OSError, ValueError) as error:  # such as a name that is too long
        refuse(name, reason_of(error))
    if path.is_dir():
        refuse(name, "it is a folder")
    if path.is_file() and not path.stat().st_size:
        refuse(name, "it is empty")


def open_container(name: str) -> "av.container.InputContainer":
    """Open a file, a device, an address or standard input, or refuse it; a file of that name comes first."""
    scheme, device = addresses.scheme_of(name), addresses.device_of(name)
    if scheme is None and device is None:
        _check_path(name)
    elif scheme is not None and scheme not in addresses.SCHEMES:
        refuse(name, f"its scheme must be one of {', '.join(addresses.SCHEMES)}")
    # The default size of reads is for seeking in files; raw frames in a pipe are larger.
    place, size = ("pipe:0", 1 << 20) if name == STANDARD else (f"file:{name}", 1 << 15)
    options = {"max_pixels": str(MAX_FRAME_PIXELS)}  # also for the probing of the file
    more: dict[str, Any] = {}
    if device is not None:
        more["format"], place = device
    elif scheme is not None:
        place, options["protocol_whitelist"] = name, ",".join(addresses.PROTOCOLS)
    if scheme or device:
        more["timeout"] = addresses.TIMEOUT_S
    try:
        return open_av(place, "r", buffer_size=size, options=options, **more)
    except av.error.InvalidDataError:
        refuse(name, "it is no video, or it is cut off before its index")
    except av.error.EOFError:
        refuse(name, "it ends before its first frame")
    except av.error.ProtocolNotFoundError:
        refuse(name, f"this FFmpeg has no protocol {scheme}, or may not use one that it leads to")
    except (av.error.FFmpegError, OSError, ValueError) as error:
        if device is not None and "no container format" in str(error):
            refuse(name, f"this FFmpeg has no devices of {device[0]}")
        host = addresses.unknown_host(name) if scheme else None
        refuse(name, f"its host {host!r} is not found" if host else reason_of(error))


def video_stream(name: str, container: "av.container.InputContainer") -> "av.video.stream.VideoStream":
    """The first video stream that is no cover; a file without one is refused."""
    streams = [stream for stream in container.streams.video if not is_cover(stream)]
    if not streams:
        refuse(name, "it has no video stream")
    # A sequence of images begins with one that stands alone.
    stream = next((stream for stream in streams if stream.frames != 1), streams[0])
    # FFmpeg reads images as videos of one frame, and text as the picture of a terminal.
    kind, brand = container.format.name, container.metadata.get("major_brand", "").strip()
    if kind == "tty":
        refuse(name, "it is a text")
    still = brand in STILL_BRANDS or (kind == "gif" and stream.frames == 1)
    if still or kind in ("image2", "ico") or (kind.endswith("_pipe") and stream.frames <= 1):
        refuse(name, "it is an image; `dysr upscale` takes images")
    if stream.codec_context is None:
        refuse(name, "FFmpeg has no decoder for its video stream")
    columns, rows = stream.codec_context.width, stream.codec_context.height
    if columns * rows > MAX_FRAME_PIXELS:
        refuse(name, f"its frames are {columns}x{rows}; they must have at most {MAX_FRAME_PIXELS} pixels")
    stream.codec_context.options = {"max_pixels": str(MAX_FRAME_PIXELS)}  # sizes may change
    return stream
