"""PyAV, the same in all its versions that this package takes."""

from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal, Protocol, overload

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer


class Rational(Protocol):
    """A fraction of PyAV: until version 18 `Fraction`, then `AVRational`, whose denominator may be 0."""

    @property
    def numerator(self) -> int:
        """Above the line."""

    @property
    def denominator(self) -> int:
        """Below the line."""


def fraction(value: Rational | None) -> Fraction | None:
    """An exact fraction of Python; None for None, 0 and what is not defined."""
    if value is None or not value.numerator or not value.denominator:
        return None
    return Fraction(value.numerator, value.denominator)


@overload
def open_av(place: Any, mode: Literal["r"], **options: Any) -> "InputContainer": ...


@overload
def open_av(place: Any, mode: Literal["w"], **options: Any) -> "OutputContainer": ...


def open_av(place: Any, mode: Any, **options: Any) -> Any:
    """`av.open`, in which metadata that are not UTF-8 keep their bytes, as surrogate escapes.

    From version 19 on PyAV does so by itself, and knows no such option.
    """
    import av

    if int(av.__version__.split(".")[0]) < 19:
        options["metadata_errors"] = "surrogateescape"
    return av.open(place, mode, **options)
