"""Children: what they keep, what they raise, and what becomes of one that ends."""

import multiprocessing
import threading

import pytest

from dysr_jax.bench.switch import worker as process
from dysr_jax.bench.switch.worker import Child, ChildError
from dysr_jax.errors import InputError


@pytest.fixture
def answered(monkeypatch):
    """What a child that makes an object answers, in a thread of this process."""
    monkeypatch.setattr(process, "_set_up", lambda: None)
    started = []

    def make(kind, *given):
        here, there = multiprocessing.Pipe()
        thread = threading.Thread(target=process._answer, args=(there, kind, given))
        thread.start()
        started.append((here, thread))
        child = Child.__new__(Child)
        child._connection = here
        return child, thread

    yield make
    for connection, thread in started:
        connection.close()
        thread.join(5)
        assert not thread.is_alive()


class Obliging:
    """Does what it is asked."""

    def __init__(self, start):
        self.value = start

    def add(self, more):
        self.value += more
        return self.value

    def refuse(self):
        raise InputError("value 3: must be 4")

    def fail(self):
        raise FileNotFoundError("no such\nfile")

    def fail_mutely(self):
        raise MemoryError


def test_a_child_keeps_its_object(answered):
    child, _ = answered(Obliging, 3)
    assert [child.call("add", 2), child.call("add", 4)] == [5, 9]


@pytest.mark.parametrize(
    ("method", "kind", "message"),
    [
        ("refuse", InputError, "^value 3: must be 4$"),
        ("fail", ChildError, "^FileNotFoundError: no such$"),
        ("fail_mutely", ChildError, "^MemoryError$"),
        ("fly", ChildError, "^AttributeError: 'Obliging' object has no attribute 'fly'"),
    ],
)
def test_what_a_child_raises(answered, method, kind, message):
    child, thread = answered(Obliging, 3)
    with pytest.raises(kind, match=message):
        child.call(method)
    thread.join(5)
    assert not thread.is_alive()


def test_a_child_that_cannot_be_made(answered):
    child, _ = answered(Obliging)
    with pytest.raises(ChildError, match="TypeError"):
        child.call("add", 1)


@pytest.mark.parametrize(("code", "words"), [(-11, "signal 11"), (3, "exit code 3"), (-9, "killed")])
def test_how_a_process_ended(code, words):
    assert words in process._end(code)
