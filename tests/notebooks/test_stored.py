"""The notebooks as they are stored: badges, the first cell, outputs. `make notebooks-smoke` executes them."""

import configparser
import pathlib
import re

import nbformat
import pytest

ROOT = pathlib.Path(__file__).parents[2]
FILES = sorted((ROOT / "notebooks").glob("*.ipynb"))
MOST_BYTES = 1_500_000
each = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)


def url():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    return setup["metadata"]["url"]


def code_cells(path):
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


def outputs(path):
    return [output for cell in code_cells(path) for output in cell.outputs]


def written(path):
    """The texts of the outputs."""
    for output in outputs(path):
        yield output.get("text", "")
        yield from (v for kind, v in output.get("data", {}).items() if kind.startswith("text/"))


def test_they_are_numbered_in_reading_order():
    topics = ["quickstart", "search", "pareto", "switch_latency", "tpu_pods"]
    assert [path.stem for path in FILES] == [f"{n:02d}_{t}" for n, t in enumerate(topics, 1)]


@each
def test_the_format_is_valid_and_small(path):
    nbformat.validate(nbformat.read(path, as_version=4))
    assert path.stat().st_size < MOST_BYTES


@each
def test_the_badge_opens_this_notebook_in_colab(path):
    first = nbformat.read(path, as_version=4).cells[0]
    assert first.cell_type == "markdown"
    (target,) = re.findall(r"\[!\[Open In Colab\]\([^)]*\)\]\(([^)]*)\)", first.source)
    repository = url().removeprefix("https://github.com/")
    place = f"{repository}/blob/main/notebooks/{path.name}"
    assert target == f"https://colab.research.google.com/github/{place}"


@each
def test_links_to_other_notebooks_lead_somewhere(path):
    text = "\n".join(cell.source for cell in nbformat.read(path, as_version=4).cells)
    for name in re.findall(r"\]\((\w+\.ipynb)\)", text):
        assert (path.parent / name).exists()


@each
def test_every_cell_was_executed_once_in_order_and_none_raised(path):
    counts = [cell.execution_count for cell in code_cells(path)]
    assert counts == list(range(1, len(counts) + 1))
    assert "error" not in {output.output_type for output in outputs(path)}


@each
def test_there_are_figures_and_text_between_cells(path):
    kinds = {kind for output in outputs(path) for kind in output.get("data", {})}
    assert "image/png" in kinds
    cells = nbformat.read(path, as_version=4).cells
    told = sum(cell.cell_type == "markdown" for cell in cells)
    assert told >= 0.4 * len(cells)


@each
def test_outputs_are_of_the_full_setting_and_of_no_machine(path):
    text = "\n".join(map(str, written(path)))
    assert not re.search(r"(?<![\w.])/(tmp|home|root|Users|work|content)/", text)
    assert "Traceback" not in text
    assert "Warning" not in text


def test_notebooks_define_nothing_but_one_program_to_map():
    defined = {
        path.stem: re.findall(r"^(?:def|class) (\w+)", cell.source, re.M)
        for path in FILES
        for cell in code_cells(path)
        if re.search(r"^(def|class) ", cell.source, re.M)
    }
    assert defined == {"05_tpu_pods": ["per_device_program"]}
