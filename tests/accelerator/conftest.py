"""For tests on a GPU or TPU: what CPU tests cannot prove. `make test-accelerator` runs them."""

import os

if os.environ.get("DYSR_TEST_ACCELERATOR") == "1":
    # Processes that the tests start share the device with this one.
    os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"

import dataclasses
import pathlib
import runpy
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest
from jax.sharding import Mesh

from dysr_jax import parallel

SERVE = pathlib.Path(__file__).parent / "serve.py"

Command = Callable[..., subprocess.CompletedProcess[str]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests of this folder are of an accelerator."""
    here = pathlib.Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.accelerator)


@pytest.fixture(scope="session")
def photograph() -> np.ndarray:
    """`[90, 160, 3]` uint8."""
    return runpy.run_path(str(SERVE))["photograph"]()


@pytest.fixture(scope="session")
def environ() -> dict[str, str]:
    """Of processes that run this working tree's package."""
    root = str(SERVE.parents[2])
    return {**os.environ, "PYTHONPATH": os.pathsep.join([root, *filter(None, sys.path)])}


@pytest.fixture(scope="session")
def python(environ) -> Command:
    """`python(*args)`: another process of this interpreter, which has to end well."""

    def run(*args: Any, **options: Any) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, *map(str, args)],
            env=environ,
            capture_output=True,
            text=True,
            timeout=180,
            **options,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    return run


@dataclasses.dataclass(frozen=True)
class Host:
    """The CPU of the same process, where references are computed."""

    device: jax.Device

    @property
    def mesh(self) -> Mesh:
        """Of this one device."""
        return Mesh([self.device], (parallel.AXIS,))

    def put(self, tree: Any) -> Any:
        """Arrays here, so that what is jitted runs here."""
        return jax.device_put(jax.tree.map(np.asarray, tree), self.device)


@pytest.fixture(scope="session")
def host() -> Host:
    return Host(jax.devices("cpu")[0])
