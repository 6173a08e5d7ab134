"""Where a video is written: beside its place until it is whole, or to standard output."""

import os
import pathlib
import sys

from dysr_jax.errors import InputError
from dysr_jax.video.reader import Reader
from dysr_jax.video.source import STANDARD


def partial_of(name: str) -> pathlib.Path:
    """`film.partial.mp4` for `film.mp4`: a name that is seen, and that players know."""
    place = pathlib.Path(name)
    return place.with_name(f"{place.stem}.partial{place.suffix}")


def check_target(name: str, like: Reader | None, *, overwrite: bool) -> None:
    """Whether an output may be written.

    Raises:
        InputError: standard output is a terminal, or the file is there, is the source, or has no folder.
    """
    if name == STANDARD:
        if os.isatty(1):
            raise InputError("output '-' is a terminal; allowed is a pipe or a file")
        return
    place = pathlib.Path(name)
    for mine in (place, partial_of(name)):
        if like is not None and _same(mine, like.path):
            raise InputError(
                f"output {name!r} is the input, or written over it; allowed is another file"
            )
    if place.exists() and not place.is_file():
        raise InputError(f"output {name!r} is no file; allowed is a file, or - for standard output")
    if place.exists() and not overwrite:
        raise InputError(f"output {name!r} exists; allowed with --overwrite")
    if not place.parent.is_dir():
        raise InputError(f"video {name!r} cannot be written: {str(place.parent)!r} is no folder")


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
