"""The directory of a run: begun once with one config, and continued after an interruption."""

import json
import os
from typing import Any

from etils import epath

from dysr_jax import parallel
from dysr_jax.atomic import is_remote, write_json
from dysr_jax.config import RunConfig, config_from_json, to_dict
from dysr_jax.errors import InputError
from dysr_jax.fields import as_path


def open_run(out: epath.PathLike, config: RunConfig) -> epath.Path:
    """Make the directory of a run, a folder or `gs://bucket/run`, or find the one that the config began.

    A file, a folder of something else, a run of another config, a place that cannot be reached, or one that
    some process of the job does not see, is an InputError.
    """
    parallel.from_main(lambda: _begin(out, config))
    run = epath.Path(out)

    def see() -> None:
        if not (run / "config.json").exists():
            must = "must be a folder that all processes share, or gs://BUCKET/RUN"
            raise InputError(f"out {str(out)!r} is not what process 0 sees; {must}")

    parallel.everywhere(see)
    return run


def agree(config: RunConfig, memory: int) -> int:
    """Refuse configs that differ between the processes of a job; the memory of process 0's device, in bytes.

    The InputError, in every process, names the first field that differs and both its values.
    """
    (first, known), *others = parallel.gather([to_dict(config), memory])
    for process, (other, _) in enumerate(others, 1):
        if other != first:
            name, mine, theirs = _difference(first, other)
            given = f"process 0 was given {mine}, process {process} {theirs}"
            raise InputError(f"{name}: {given}; must be the same in all processes")
    return known


def _begin(out: epath.PathLike, config: RunConfig) -> None:
    """Find or make the directory; an error is one line, whatever kind of place it is."""
    name = as_path(out, "out")
    _check_name(name)
    try:
        run = epath.Path(out)
    except KeyError:  # what epath says of `foo://`
        raise InputError(f"out {name!r}: must be a folder or gs://BUCKET/RUN") from None
    try:
        if not _holds_run(run, config):
            run.mkdir(parents=True, exist_ok=True)
            write_json(run / "config.json", to_dict(config))
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"out {name!r} cannot be made: {error.strerror or error}") from None
    except Exception as error:
        if not is_remote(run):
            raise
        hint = "; pip install 'dysr_jax[gcs]'" if isinstance(error, ImportError) else ""
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"out {name!r} cannot be reached: {reason}{hint}") from None


def _check_name(name: str) -> None:
    """Refuse a name that is not UTF-8: Orbax, which writes the checkpoints, takes no other."""
    place = name if is_remote(name) else os.path.abspath(name)  # noqa: PTH100 - of any text
    try:
        place.encode()
    except UnicodeEncodeError:
        raise InputError(f"out {place!r}: must be a name in UTF-8") from None


def _holds_run(run: epath.Path, config: RunConfig) -> bool:
    """Whether the folder holds a run of this config; False for an empty or missing one."""
    path = run / "config.json"
    if path.is_file():
        try:
            fields = json.loads(path.read_text())
        except (ValueError, RecursionError):
            raise InputError(f"out {str(run)!r}: its config.json is damaged") from None
        found, asked = to_dict(config_from_json(fields, os.fspath(path))), to_dict(config)
        if found != asked:
            name, old, new = _difference(found, asked)
            other = f"out {str(run)!r} holds a run of another config ({name} {old}, not {new})"
            raise InputError(f"{other}; must be the same config, to go on, or a new folder")
        return True
    if run.is_dir() and any(set(run.iterdir()) - set(run.glob(".config.json.*.partial"))):
        raise InputError(f"out {str(run)!r} holds other files; must be a run or a new folder")
    return False


def _difference(found: dict[str, Any], asked: dict[str, Any], prefix: str = "") -> tuple[str, Any, Any]:
    """The first field in which two configs differ: its name, as `train.steps`, and both values."""
    key = next(key for key in found if found[key] != asked[key])
    if isinstance(found[key], dict):
        return _difference(found[key], asked[key], f"{prefix}{key}.")
    return f"{prefix}{key}", found[key], asked[key]
