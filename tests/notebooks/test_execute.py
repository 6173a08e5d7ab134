"""The executor: outputs are stored whole or not at all, and nothing of this machine with them."""

import importlib.util
import pathlib
import platform
import sys

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

pytest.importorskip("ipykernel")
PATH = pathlib.Path(__file__).parents[2] / "notebooks" / "execute.py"

# The messaging of the kernel's client, not ours.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def module():
    spec = importlib.util.spec_from_file_location("execute", PATH)
    found = importlib.util.module_from_spec(spec)
    sys.modules["execute"] = found  # dataclasses look their module up
    spec.loader.exec_module(found)
    yield found
    del sys.modules["execute"]


@pytest.fixture
def run(module, tmp_path, monkeypatch):
    """Write a notebook of these cells, execute it, and return the exit code and what is stored."""

    def execute(*cells, options=()):
        path = tmp_path / "some.ipynb"
        nbformat.write(new_notebook(cells=[new_code_cell(cell) for cell in cells]), path)
        monkeypatch.setattr(sys, "argv", ["execute.py", str(path), *options])
        code = module.main()
        return code, nbformat.read(path, as_version=4).cells

    return execute


def test_outputs_are_stored_and_bars_end_in_their_last_state(run):
    bar = "import sys\nfor n in range(3):\n    print(f'\\r{n} of 2', end='', file=sys.stderr)"
    ask = "import os; print(os.environ.get('DYSR_NOTEBOOK_SMOKE'), os.listdir())"
    code, cells = run(bar, ask)
    assert code == 0
    assert cells[0].outputs[0].text == "2 of 2"
    assert cells[1].outputs[0].text == "None []\n"
    assert [cell.execution_count for cell in cells] == [1, 2]
    assert not cells[0].metadata


def test_the_small_setting_is_told_and_stores_nothing(run):
    assert_small = "import os; assert os.environ['DYSR_NOTEBOOK_SMOKE'] == '1'; print('here')"
    code, cells = run(assert_small, options=["--smoke"])
    assert code == 0
    assert cells[0].outputs == []


def test_a_cell_that_raises_fails_and_stores_nothing(run, capsys):
    code, cells = run("print('before')", "raise RuntimeError('no')", options=["--smoke"])
    assert code == 1
    assert cells[0].outputs == []
    err = capsys.readouterr().err
    assert "some.ipynb" in err
    assert "RuntimeError('no')" in err


def test_an_output_of_this_machine_or_too_large_a_one_is_refused(run, module, monkeypatch, capsys):
    code, cells = run("import os; print(os.getcwd())")
    assert (code, cells[0].outputs) == (1, [])
    assert "an output holds" in capsys.readouterr().err
    monkeypatch.setattr(module, "MOST_BYTES", 2000)
    code, cells = run("print(2000 * 'x')")
    assert (code, cells[0].outputs) == (1, [])
    assert "allowed are 2,000" in capsys.readouterr().err


def test_words_that_hold_a_name_of_the_machine_are_none(module, monkeypatch):
    monkeypatch.setattr(platform, "node", lambda: "vm")

    def said(text):
        output = new_output("stream", name="stdout", text=text)
        return module.private(new_notebook(cells=[new_code_cell(outputs=[output])]), "/tmp/x1")

    assert said("gcloud compute tpus tpu-vm create; vms") == ""
    assert said("on vm: 3") == "vm"
    assert said("at /tmp/x1/run") == "/tmp/x1"
