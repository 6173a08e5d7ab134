"""Where a video is written: beside its place until it is whole, or to standard output."""

import hashlib
import os
import pathlib
import sys

from dysr_jax.errors import InputError
from dysr_jax.video.reader import Reader
from dysr_jax.video.source import STANDARD

LONGEST = 255
"""Bytes of a name that file systems take."""


def partial_of(name: str) -> pathlib.Path:
    """`film.partial.mp4` for `film.mp4`: a name that is seen, and that players know.

    Where that is too long, a digest stands for the end of the name.
    """
    place = pathlib.Path(name)
    ending = f".partial{place.suffix}"
    if len(os.fsencode(place.stem + ending)) <= LONGEST:
        return place.with_name(place.stem + ending)
    digest = hashlib.sha256(os.fsencode(place.name)).hexdigest()[:16]
    room = LONGEST - len(os.fsencode(f"~{digest}{ending}"))
    kept = os.fsencode(place.stem)[:room].decode(errors="ignore")
    return place.with_name(f"{kept}~{digest}{ending}")


def check_target(name: str, like: Reader | None, *, overwrite: bool) -> None:
    """Whether an output may be written.

    Raises:
        InputError: standard output is a terminal, or the file, or what is left of one that was not finished,
            is there, or is the source, or has no folder.
    """
    if name == STANDARD:
        if sys.stdout is None:
            raise InputError("output '-' is closed; it must be a pipe or a file")
        if os.isatty(1):
            raise InputError("output '-' is a terminal; it must be a pipe or a file")
        return
    try:
        _check_file(name, like, overwrite=overwrite)
    except InputError:
        raise
    except (OSError, ValueError) as error:  # such as a name that is too long, or has a null in it
        raise InputError(f"video {name!r} cannot be written: {_reason(error)}") from None


def _check_file(name: str, like: Reader | None, *, overwrite: bool) -> None:
    place, partial = pathlib.Path(name), partial_of(name)
    if like is not None and any(_same(mine, like.path) for mine in (place, partial)):
        raise InputError(
            f"output {name!r} is the input, or written over it; it must be another file"
        )
    if place.exists() and not place.is_file():
        raise InputError(f"output {name!r} is no file; it must be a file, or - for standard output")
    if place.exists() and not overwrite:
        raise InputError(f"output {name!r} exists; allowed with --overwrite")
    if not place.parent.is_dir():
        raise InputError(f"video {name!r} cannot be written: {str(place.parent)!r} is no folder")
    if partial.exists() and not overwrite:
        raise InputError(
            f"output {name!r}: {str(partial)!r} is there, which a stream left that did not finish; "
            f"rename it to keep it, or give --overwrite"
        )


def _reason(error: Exception) -> object:
    return getattr(error, "strerror", None) or error


def _same(place: pathlib.Path, source: str) -> bool:
    return source != STANDARD and place.exists() and place.samefile(source)


def open_target(name: str) -> int:
    """A descriptor of the output, to write from its beginning.

    Raises:
        InputError: the place cannot be written to.
    """
    if name == STANDARD:
        sys.stdout.flush()  # what was printed before does not come in between
        return os.dup(1)
    try:
        return os.open(
            partial_of(name),
            os.O_RDWR | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0),
            0o666,
        )
    except OSError as error:
        raise InputError(f"video {name!r} cannot be written: {error.strerror}") from None
