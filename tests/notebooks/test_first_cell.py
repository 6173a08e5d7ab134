"""The cell that installs the package where it is missing, and touches nothing where it is there."""

import configparser
import importlib.util
import pathlib
import subprocess
import sys
from importlib.machinery import ModuleSpec
from types import SimpleNamespace

import jax
import jaxlib
import nbformat
import numpy as np
import pytest

ROOT = pathlib.Path(__file__).parents[2]
FILES = sorted((ROOT / "notebooks").glob("*.ipynb"))
FATAL = "      fatal: unable to access 'https://github.com/': Could not resolve host: github.com\n"


def first_cell(path):
    cells = nbformat.read(path, as_version=4).cells
    return next(cell.source for cell in cells if cell.cell_type == "code")


@pytest.fixture
def pip(monkeypatch, tmp_path):
    """Runs the cell in an empty folder where the package is not found; keeps what pip was told."""
    monkeypatch.chdir(tmp_path)
    told = SimpleNamespace(commands=[], constraints="", code=0, stdout="", stderr="")

    def run(command, **_):
        told.commands.append(command)
        told.constraints = pathlib.Path(command[command.index("--constraint") + 1]).read_text()
        return SimpleNamespace(returncode=told.code, stdout=told.stdout, stderr=told.stderr)

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    told.names = {}
    told.run = lambda: exec(first_cell(FILES[0]), told.names)
    return told


def test_it_is_the_same_in_all_notebooks():
    assert len({first_cell(path) for path in FILES}) == 1


def test_where_the_package_is_there_nothing_is_installed(monkeypatch):
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("pip was called"))
    monkeypatch.delenv("DYSR_NOTEBOOK_SMOKE", raising=False)
    names: dict = {}
    exec(first_cell(FILES[0]), names)
    assert names["SMOKE"] is False
    monkeypatch.setenv("DYSR_NOTEBOOK_SMOKE", "1")
    exec(first_cell(FILES[0]), names)
    assert names["SMOKE"] is True


def test_it_installs_from_the_repository_and_keeps_jax_and_numpy(pip):
    pip.run()
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    ((python, *options),) = pip.commands
    assert python == sys.executable
    assert options[:3] == ["-m", "pip", "install"]
    assert options[-1] == f"git+{setup['metadata']['url']}"
    versions = f"jax=={jax.__version__}\njaxlib=={jaxlib.__version__}\nnumpy=={np.__version__}"
    assert pip.constraints == versions


def test_an_uploaded_checkout_is_preferred(pip, tmp_path, monkeypatch):
    """Without an installed package Python takes the checkout's folder for a namespace of that name."""
    (tmp_path / "dysr_jax").mkdir()
    (tmp_path / "dysr_jax" / "setup.cfg").touch()
    namespace = ModuleSpec("dysr_jax", None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: namespace)
    pip.run()
    assert pip.commands[0][-1] == str((tmp_path / "dysr_jax").resolve())


def test_without_a_network_one_line_says_so(pip):
    pip.code, pip.stderr = (1, f"error: subprocess-exited-with-error\n{FATAL}note: not pip's problem\n")
    with pytest.raises(SystemExit) as stopped:
        pip.run()
    said = str(stopped.value)
    assert (
        said == f"dysr_jax cannot be installed beside {', '.join(pip.constraints.split())}: {FATAL.strip()}"
    )


def test_a_jax_that_is_too_old_is_named_beside_what_is_needed(pip):
    pip.code, pip.stderr = 1, "ERROR: ResolutionImpossible: for help visit a page\n"
    pip.stdout = "The conflict is caused by:\n    dysr-jax 0.1.0 depends on jax>=99\n"
    with pytest.raises(SystemExit, match=f"beside jax=={jax.__version__}, .* depends on jax>=99$"):
        pip.run()
