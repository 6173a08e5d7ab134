"""What errors mean to whoever called a command; what is the program's own fault means nothing."""

import errno
import os
import pathlib
import subprocess
import sys
import threading

import jax
import numpy as np
import pytest

import dysr_jax.cli
import dysr_jax.commands.runs
from dysr_jax.atomic import replacing
from dysr_jax.cli import main
from dysr_jax.commands.failures import describe, quiet_threads
from dysr_jax.errors import InputError, LostProcessError

TENSORSTORE = (
    'RESOURCE_EXHAUSTED: Error writing local file "/run/checkpoints/10.tmp/_sharding": Failed writing: '
    '"/run/_sharding.__lock": Failed to write 7869 bytes to file 9: No space left on device '
    "[os_error_code='28']"
)
XLA = "RESOURCE_EXHAUSTED: Out of memory while trying to allocate 12884901888 bytes."


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (InputError("train.steps 0: allowed is 1 or more"), 2, "train.steps 0: allowed is 1 or more"),
        (LostProcessError("gone"), 1, "another process of the job ended or cannot be reached"),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), 1, "No space left on device"),
        (OSError(errno.EMFILE, "Too many open files", "a.png"), 1, "'a.png': Too many open files"),
        (OSError(errno.EXDEV, "Invalid link", "a", None, "b"), 1, "'a' to 'b': Invalid link"),
        (PermissionError(errno.EACCES, "Permission denied", b"a\xe9"), 1, r"'a\udce9': Permission"),
        (OSError("no text of the system's"), 1, "no text of the system's"),
        (MemoryError(), 1, "not enough memory; try a smaller train.batch"),
        (np._core._exceptions._ArrayMemoryError((9,), np.dtype("int8")), 1, "not enough memory"),
        (jax.errors.JaxRuntimeError(XLA), 1, "not enough memory"),
        (jax.errors.JaxRuntimeError("INTERNAL: CUDA_ERROR_OUT_OF_MEMORY: out of memory"), 1, "not en"),
        (ValueError(TENSORSTORE), 1, "'/run/checkpoints/10.tmp/_sharding': No space left on device"),
        (RuntimeError("can't start new thread"), 1, "the system starts no more threads"),
    ],
)
def test_a_failure_is_one_line(error, code, line):
    found = describe(error, "search")
    assert found is not None
    assert (found.code, found.line[: len(line)]) == (code, line)
    assert "\n" not in found.line


@pytest.mark.parametrize("error", [ValueError("x"), KeyError("x"), RuntimeError("x"), StopIteration()])
def test_faults_of_the_program_are_none(error):
    assert describe(error) is None


def test_the_current_folder_is_gone(tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(FileNotFoundError) as told:
        pathlib.Path.cwd()
    assert describe(told.value).line == "the current folder is gone; start from another one"


def raising(monkeypatch, error):
    def search(*_, **__):
        raise error

    monkeypatch.setattr(dysr_jax.commands.runs, "run_search", search)


def test_main_prints_the_line_and_exits(monkeypatch, capsys, tmp_path):
    raising(monkeypatch, OSError(errno.EROFS, "Read-only file system", "run/a"))
    assert main(["search", "--out", str(tmp_path)]) == 1
    assert capsys.readouterr().err == "dysr: error: 'run/a': Read-only file system\n"


def test_a_fault_keeps_its_trace(monkeypatch, tmp_path):
    raising(monkeypatch, ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        main(["search", "--out", str(tmp_path)])


def test_threads_say_it_in_a_line_too(capsys):
    def fail():
        raise OSError(errno.ENOSPC, "No space left on device")

    before = threading.excepthook
    with quiet_threads():
        thread = threading.Thread(target=fail)
        thread.start()
        thread.join()
    assert capsys.readouterr().err == "dysr: error: No space left on device\n"
    assert threading.excepthook is before


PLATFORM = """
import os, sys
os.environ["JAX_PLATFORMS"] = sys.argv[1]
import jax
from dysr_jax.commands.failures import describe
try:
    jax.devices()
except Exception as error:
    print(*describe(error), sep="|")
"""


@pytest.mark.parametrize("name", ["cuda", "nonsense"])
def test_a_platform_that_is_not_there(name):
    """JAX raises an AssertionError without a text for some."""
    if name in {device.platform for device in jax.devices()}:
        pytest.skip(f"there is {name}")
    done = subprocess.run([sys.executable, "-c", PLATFORM, name], capture_output=True, text=True, check=True)
    line, _, code = done.stdout.strip().rpartition("|")
    assert line.startswith(f"JAX_PLATFORMS {name!r}: JAX finds no such device")
    assert line.endswith("; must be one of cpu")
    assert code == "2"


def test_a_refusal_to_write_names_the_file(tmp_path):
    with pytest.raises(OSError, match="No space") as told, replacing(tmp_path / "a.json"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert describe(told.value).line == f"{str(tmp_path / 'a.json')!r}: No space left on device"
    assert list(tmp_path.iterdir()) == []
