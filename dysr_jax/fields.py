"""Values as callers give them, turned into the types that dataclasses hold."""

import dataclasses
import operator
import os
import types
import typing
from collections.abc import Callable, Iterable
from typing import Any, Literal, TypeVar

import numpy as np

from dysr_jax.errors import InputError

T = TypeVar("T")


def normalise(config: Any, prefix: str = "") -> None:
    """Give each field of a frozen dataclass the type of its annotation; call it in `__post_init__`.

    Lists become tuples, NumPy scalars Python numbers, integers floats and paths text where that is meant:
    equal configs are equal whoever made them, and hashable. An InputError names field, value and type.
    """
    for name, hint in typing.get_type_hints(type(config)).items():
        object.__setattr__(config, name, typed(hint, getattr(config, name), f"{prefix}{name}"))


def require(valid: bool, name: str, value: Any, must: str) -> None:
    """Refuse a value that is not valid with an InputError: `NAME VALUE: must be MUST`."""
    if not valid:
        raise InputError(f"{name} {value!r}: must be {must}")


def check_each(config: Any, prefix: str, names: str, allowed: Callable[[Any], bool], needed: str) -> None:
    """Refuse a value that is not `allowed` in one of the fields `names` (split at blanks); None passes.

    The InputError says `{prefix}{name} must be {needed}, got {value}`.
    """
    for name in names.split():
        value = getattr(config, name)
        if value is not None and not allowed(value):
            raise InputError(f"{prefix}{name} must be {needed}, got {value!r}")


def from_dict(kind: type[T], fields: Any, where: str | os.PathLike[str]) -> T:
    """A config dataclass from its JSON; missing keys keep their defaults.

    An unknown key, or a value of another type than the field's, is an InputError.
    """
    hints = typing.get_type_hints(kind)
    if not isinstance(fields, dict):
        raise InputError(f"{where}: must be an object with {', '.join(hints)}, got {fields!r}")
    for key in fields:
        if key not in hints:
            raise InputError(f"{where}: unknown key {key!r}; must be one of {', '.join(hints)}")
    return kind(**{key: typed(hints[key], fields[key], f"{where}: {key}") for key in fields})


def typed(hint: Any, value: Any, where: str) -> Any:
    """A value as an annotated type; of another type it is an InputError that begins with `where`."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):  # X | None
        (hint,) = (kind for kind in arguments if kind is not types.NoneType)
        return None if value is None else typed(hint, value, where)
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return value if isinstance(value, hint) else from_dict(hint, value, where)
    if hasattr(value, "tolist"):  # of NumPy or JAX
        value = value.tolist()
    if origin is Literal:
        if value in arguments:
            return value
        raise InputError(f"{where}: {value!r} is not one of {', '.join(map(str, arguments))}")
    if origin is tuple and isinstance(value, (list, tuple)):
        kinds = arguments[:1] * len(value) if arguments[-1] is Ellipsis else arguments
        if len(kinds) == len(value):
            return tuple(typed(kind, item, where) for kind, item in zip(kinds, value, strict=True))
    elif hint is float and type(value) is int and abs(value) <= 2**1023:
        return float(value)
    elif hint is str and isinstance(value, os.PathLike):
        return os.fspath(value)
    elif isinstance(hint, type) and type(value) is hint:
        return value
    plain = isinstance(hint, type) and not isinstance(hint, types.GenericAlias)
    raise InputError(f"{where}: {value!r} is not {hint.__name__ if plain else hint}")


def as_integer(value: Any) -> int | None:
    """A Python int from any integer but a truth value; None for anything else."""
    if isinstance(value, bool | np.bool_):
        return None
    try:
        return operator.index(value)
    except TypeError:
        return None


def as_path(value: Any, what: str) -> str:
    """A path as text; an InputError if it is none."""
    path = os.fspath(value) if isinstance(value, (str, os.PathLike)) else None
    if not isinstance(path, str):
        raise InputError(f"{what} {value!r}: must be a path")
    return path


def as_tuple(value: Any, what: str, needed: str) -> tuple[Any, ...]:
    """A sequence as a tuple; an InputError (`what` must be `needed`) for anything else, a string included."""
    require(isinstance(value, Iterable) and not isinstance(value, str), what, value, needed)
    return tuple(value)


def as_names(value: Any, what: str) -> tuple[str, ...]:
    """A sequence of branch names as a tuple; an InputError if it is none, or holds something else."""
    names = as_tuple(value, what, "a list of branch names")
    for name in names:
        require(isinstance(name, str), f"{what}: branch", name, "the name of a registered branch")
    return names
