"""The directory of a run: one config, begun once, gone on with after an interruption."""

import json
import os
import pathlib
from typing import Any

from dysr_jax.atomic import write_json
from dysr_jax.config import RunConfig, from_dict, to_dict
from dysr_jax.errors import InputError


def open_run(out: str | os.PathLike[str], config: RunConfig) -> pathlib.Path:
    """Make the run's directory, or find the one that the same config began.

    Raises:
        InputError: a file, a folder of something else, or a run of another config.
    """
    run = pathlib.Path(out)
    path = run / "config.json"
    if path.is_file():
        try:
            fields = json.loads(path.read_text())
        except ValueError:
            raise InputError(f"out {str(run)!r}: its config.json is damaged") from None
        found = from_dict(RunConfig, fields, path)
        if found != config:
            difference = _difference(to_dict(found), to_dict(config))
            raise InputError(
                f"out {str(run)!r} holds a run of another config ({difference}); allowed are the same "
                f"config, to go on, or a new folder"
            )
        return run
    if run.is_dir() and any(set(run.iterdir()) - set(run.glob(".config.json.*.partial"))):
        raise InputError(f"out {str(run)!r} holds other files; allowed are a run or a new folder")
    try:
        run.mkdir(parents=True, exist_ok=True)
        write_json(path, to_dict(config))
    except OSError as error:
        raise InputError(f"out {str(run)!r} cannot be made: {error.strerror}") from None
    return run


def _difference(found: dict[str, Any], asked: dict[str, Any], prefix: str = "") -> str:
    """The first field in which two configs differ, as `train.steps 100, not 200`."""
    for key, value in found.items():
        if value != asked[key]:
            if isinstance(value, dict):
                return _difference(value, asked[key], f"{prefix}{key}.")
            return f"{prefix}{key} {value}, not {asked[key]}"
    return ""
