"""What the commands share."""

import pathlib
import tempfile
from collections.abc import Callable
from typing import Annotated, Any

import tyro

from dysr_jax.atomic import write_json
from dysr_jax.errors import InputError

JsonPath = Annotated[pathlib.Path | None, tyro.conf.arg(name="json")]


def check_json(path: pathlib.Path | None, option: str = "json") -> None:
    """Before the work, and not after it."""
    if path is None:
        return
    try:
        usable = path.parent.is_dir() and not path.is_dir()
    except OSError as error:  # such as a name that is too long
        raise InputError(f"{option} {str(path)!r} cannot be written: {error.strerror}") from None
    if not usable:
        raise InputError(f"{option} {str(path)!r}: allowed is a file in a folder that exists")
    try:
        tempfile.TemporaryFile(dir=path.parent).close()  # permissions do not tell root
    except OSError:
        raise InputError(f"{option} {str(path)!r}: allowed is a folder that can be written to") from None


def check_folder(path: pathlib.Path, option: str) -> None:
    """Make the folder before the work, and not after it."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError:
        raise InputError(f"{option} {str(path)!r}: allowed is a folder, or where one can be made") from None


def report(result: dict[str, Any], table: Callable[[dict[str, Any]], str], path: pathlib.Path | None) -> None:
    """Print the table, and write the figures if that was asked for."""
    print(table(result))
    if path:
        write_json(path, result)
