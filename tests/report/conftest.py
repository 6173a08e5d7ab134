"""A finished run with all that a figure can be of, and its figures as Matplotlib has them."""

import json
import pathlib
import shutil

import pytest

from dysr_jax.report.paper_figures import run_figures
from dysr_jax.report.plots.style import paper_style
from dysr_jax.report.rundata import read_run

RESULTS = pathlib.Path(__file__).parents[2] / "experiments" / "results"


@pytest.fixture(scope="session")
def whole_run(tiny_run, tmp_path_factory):
    """TINY's run with switches and a stream, which another machine measured."""
    path = tmp_path_factory.mktemp("whole") / "run"
    shutil.copytree(tiny_run.path, path, ignore=shutil.ignore_patterns("checkpoints"))
    shutil.copy(RESULTS / "switch_quickstart_cpu.json", path / "switch.json")
    steady = json.loads((RESULTS / "steady_quickstart_cpu.json").read_text())
    (path / "steady.json").write_text(json.dumps({**steady, "strategies": steady["strategies"][:1]}))
    return path


@pytest.fixture(scope="session")
def data(whole_run):
    return read_run(whole_run)


@pytest.fixture(scope="session")
def drawn(data):
    """Every figure by name, laid out."""
    with paper_style():
        figures = {name: draw() for name, draw in run_figures(data)}
        for figure in figures.values():
            figure.draw_without_rendering()
    return figures
