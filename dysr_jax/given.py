"""What callers give, as the types that are kept of it."""

import operator
import os
from collections.abc import Iterable
from typing import Any

import numpy as np

from dysr_jax.errors import InputError


def as_integer(value: Any) -> int | None:
    """A Python int of an integer; None for anything else, truth values among it."""
    if isinstance(value, bool | np.bool_):
        return None
    try:
        return operator.index(value)
    except TypeError:
        return None


def as_path(value: Any, what: str) -> str:
    """A path as text.

    Raises:
        InputError: it is something else.
    """
    path = os.fspath(value) if isinstance(value, (str, os.PathLike)) else None
    if not isinstance(path, str):
        raise InputError(f"{what} {value!r}: must be a path")
    return path


def as_tuple(value: Any, what: str, needed: str) -> tuple[Any, ...]:
    """A sequence as a tuple; a string is none.

    Raises:
        InputError: says what is `needed` for `what`.
    """
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise InputError(f"{what} {value!r}: must be {needed}")
    return tuple(value)


def as_names(value: Any, what: str) -> tuple[str, ...]:
    """A sequence of branch names as a tuple.

    Raises:
        InputError: it is none, or holds something else.
    """
    names = as_tuple(value, what, "a list of branch names")
    for name in names:
        if not isinstance(name, str):
            raise InputError(f"{what}: branch {name!r}: must be the name of a registered branch")
    return names
