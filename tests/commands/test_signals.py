"""Ctrl-C and SIGTERM end a command in a line, wherever they come."""

import os
import signal
import subprocess
import sys
import time

import pytest

import dysr_jax.commands.runs
from dysr_jax.cli import main
from dysr_jax.commands.signals import TerminatedError, interruptible

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}
WORDS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}


@pytest.fixture(params=CODES, ids=lambda number: number.name)
def number(request):
    """A signal whose handler is Python's own, as when `dysr` starts."""
    usual = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    before = signal.signal(request.param, usual[request.param])
    yield request.param
    assert signal.getsignal(request.param) is usual[request.param]  # given back
    signal.signal(request.param, before)


def search(monkeypatch, work, tmp_path):
    monkeypatch.setattr(dysr_jax.commands.runs, "run_search", lambda *_, **__: work())
    return main(["search", "--out", str(tmp_path)])


class Destroyed:
    """Its destructor is where the signal comes."""

    def __init__(self, number):
        self.number = number

    def __del__(self):
        os.kill(os.getpid(), self.number)
        for _ in range(1000):
            pass


def wrapped(number):
    """As a library does that makes an error of its own of whatever a callback raises."""
    try:
        os.kill(os.getpid(), number)
        for _ in range(1000):
            pass
    except BaseException as error:
        raise RuntimeError("callback failed") from error


@pytest.mark.parametrize("where", ["at once", "in a destructor", "wrapped"])
def test_a_signal_is_a_line_and_a_code(monkeypatch, capsys, tmp_path, number, where):
    def work():
        if where == "at once":
            os.kill(os.getpid(), number)
        elif where == "wrapped":
            wrapped(number)
        else:
            Destroyed(number)
        for _ in range(2000):  # an interruption that a destructor lost comes between two of Python's steps
            time.sleep(0.005)
        pytest.fail("went on")

    assert search(monkeypatch, work, tmp_path) == CODES[number]
    printed = capsys.readouterr().err
    assert printed == f"\ndysr: {WORDS[number]}; the same command goes on from here\n"


def test_a_fork_ends_as_forks_do(number, monkeypatch):
    """It has the handler of its parent, and none of its work."""
    sent = []
    with interruptible():
        handler = signal.getsignal(number)
        monkeypatch.setattr(os, "getpid", lambda: 1)
        monkeypatch.setattr(os, "kill", lambda *args: sent.append((*args, signal.getsignal(number))))
        handler(number, None)
    assert sent == [(1, number, signal.SIG_DFL)]


def test_other_handlers_stay():
    mine = lambda *_: None  # noqa: E731
    before = signal.signal(signal.SIGTERM, mine)
    try:
        with interruptible():
            assert signal.getsignal(signal.SIGTERM) is mine
    finally:
        signal.signal(signal.SIGTERM, before)
    assert not issubclass(TerminatedError, Exception)  # nobody means to catch it


IMPORTING = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)

class Finder:
    def find_spec(self, name, *_):
        if name == "jax.numpy":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Finder())
from dysr_jax.cli import main
sys.argv = ["dysr", "data", "list"]
sys.exit(main())
"""


def test_ctrl_c_while_packages_are_imported():
    done = subprocess.run([sys.executable, "-c", IMPORTING], capture_output=True, text=True, check=False)
    assert done.returncode == 130
    assert done.stderr == "\ndysr: interrupted; nothing half is left\n"
