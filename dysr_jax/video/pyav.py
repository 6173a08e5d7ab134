"""PyAV, imported when it is first used, and the same in all versions that this package takes."""

from fractions import Fraction
from typing import Any

from etils import epy

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
    return str(getattr(error, "strerror", None) or error)
