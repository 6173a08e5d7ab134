"""Options and checks that commands share."""

import dataclasses
import pathlib
import tempfile
from collections.abc import Callable
from typing import Annotated, Any

import tyro

from dysr_jax.atomic import write_json
from dysr_jax.config import RunConfig
from dysr_jax.errors import InputError


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConfigOptions:
    """Options of a command that works on the config of a run."""

    config: str = "quickstart"
    """Preset (quickstart, base, full) or a .json file as a run writes it; other options change it."""
    run: Annotated[RunConfig, tyro.conf.arg(name="")] = RunConfig()


@dataclasses.dataclass(frozen=True, kw_only=True)
class BundleOptions:
    """Options of a command that runs a bundle."""

    bundle: str | None = None
    """Bundle directory, such as RUN/bundle or gs://BUCKET/RUN/bundle; default: dysr_jax's own weights."""
    scale: int | None = None
    """Side of the output over side of the input; default: the bundle's, or 4."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ServerOptions(BundleOptions):
    """Options of a command that makes frames with a bundle."""

    backend: str = "auto"
    """What runs the network: auto (XLA), xla, onnxruntime, or onnxruntime:PROVIDER, such as :cuda."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class JsonOption:
    """The option of a command that prints figures."""

    json_path: Annotated[pathlib.Path | None, tyro.conf.arg(name="json")] = None
    """Write the figures to this file too."""


def check_output(path: pathlib.Path | None, option: str = "json") -> None:
    """Refuse, before the work, a file that cannot be written after it."""
    if path is None:
        return
    named = f"{option} {str(path)!r}"
    try:
        usable = path.parent.is_dir() and not path.is_dir()
    except OSError as error:  # such as a name that is too long
        raise InputError(f"{named} cannot be written: {error.strerror}") from None
    if not usable:
        raise InputError(f"{named}: must be a file in a folder that exists")
    try:
        tempfile.TemporaryFile(dir=path.parent).close()  # permissions do not stop root
    except OSError:
        raise InputError(f"{named}: must be in a folder that can be written to") from None


def make_folder(path: pathlib.Path, option: str) -> None:
    """Make the folder of outputs before the work; an InputError if it is a file, or cannot be made."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError:
        raise InputError(f"{option} {str(path)!r}: must be a folder, or a place for one") from None


def report(result: Any, table: Callable[[Any], str], path: pathlib.Path | None) -> None:
    """Print a bench's table, and write its figures to `path` where one is given."""
    print(table(result))
    if path:
        write_json(path, result.to_json())
