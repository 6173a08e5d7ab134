"""One command per output."""

import os
import pathlib
import signal
import subprocess
import sys

import pytest

from dysr_jax.atomic import exclusive
from dysr_jax.errors import InputError

HOLD = """
import sys
from dysr_jax.atomic import exclusive
with exclusive(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


def other(path) -> subprocess.Popen[str]:
    """Another process that holds `path` until its standard input ends."""
    held = subprocess.Popen(
        [sys.executable, "-c", HOLD, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert held.stdout is not None
    assert held.stdout.readline() == "held\n"
    return held


def test_the_second_is_refused_and_the_next_is_not(tmp_path):
    with exclusive(tmp_path / "out.mp4"):
        told = pytest.raises(InputError, match=r"out\.mp4' is being written by another dysr command")
        with told, exclusive(tmp_path / "out.mp4"):
            pass
        with exclusive(tmp_path / "other.mp4"):
            pass
    with exclusive(tmp_path / "out.mp4"):
        pass
    assert not list(tmp_path.iterdir())


def test_one_place_under_two_names(tmp_path, monkeypatch):
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    monkeypatch.chdir(tmp_path)
    with exclusive(tmp_path / "folder"), pytest.raises(InputError), exclusive("link"):
        pass


def test_a_killed_process_holds_nothing(tmp_path):
    held = other(tmp_path / "out")
    with pytest.raises(InputError), exclusive(tmp_path / "out"):
        pass
    held.send_signal(signal.SIGKILL)
    held.communicate()
    with exclusive(tmp_path / "out"):
        pass
    assert not list(tmp_path.iterdir())


def test_a_name_as_long_as_the_system_takes(tmp_path):
    name = "a" * 255
    with exclusive(tmp_path / name), pytest.raises(InputError), exclusive(tmp_path / name):
        pass


@pytest.mark.parametrize("path", ["gs://bucket/run", "/proc/none/out"])
def test_where_nothing_can_be_locked_the_command_goes_on(path):
    with exclusive(path), exclusive(path):
        assert not pathlib.Path(os.fspath(path)).exists()
