"""Modules of the user's own: importing one registers its branches, data sets, layer backends or policies."""

import importlib
import os
import pathlib
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Final

from dysr_jax.errors import InputError

INHERITED: Final = "DYSR_REGISTER"
"""Environment variable with the registered modules, separated by commas: child processes import them too."""


def import_user_module(name: str, argument: str) -> ModuleType:
    """A module, looked for where Python does, then in the current folder, which stays on `sys.path`.

    Its code runs: name only what you trust. An InputError begins with `argument`, which named the module.
    """
    here = str(pathlib.Path.cwd())
    if here not in sys.path:
        sys.path.append(here)
    try:
        return importlib.import_module(name)
    except Exception as error:  # whatever a user's module raises while it is imported
        reason = f"{type(error).__name__}: {error}"
        hint = f"; for a file, name {name[:-3]!r}" if name.endswith(".py") else ""
        raise InputError(f"{argument}: module {name!r} cannot be imported ({reason}){hint}") from error


def register_modules(names: Sequence[str]) -> None:
    """Import modules here, and in the processes that this one starts; an InputError if one cannot be."""
    for name in names:
        import_user_module(name, f"register {name!r}")
    known = os.environ.get(INHERITED, "").split(",")
    os.environ[INHERITED] = ",".join(dict.fromkeys(name for name in [*known, *names] if name))


def register_inherited() -> None:
    """Import what the parent process registered; the first call of a process that was started by another."""
    register_modules([name for name in os.environ.get(INHERITED, "").split(",") if name])
