"""Work in threads: beside each other, ahead and behind; what comes first, and what becomes of errors."""

import os
import threading

import jax
import pytest

from dysr_jax.threads import Prefetched, Worker, in_threads


@pytest.mark.parametrize("backend", ["cpu", "gpu"])
@pytest.mark.parametrize("count", [0, 1, 2, 40])
def test_results_are_in_the_order_of_the_items(backend, count, monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    assert in_threads(lambda x: x * x, range(count)) == [x * x for x in range(count)]


def test_on_an_accelerator_the_last_item_is_done_first(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    marks = []

    def make(item):
        marks.append(("begin", item))
        threading.Event().wait(0.02)
        marks.append(("end", item))

    in_threads(make, "abc")
    assert marks[:2] == [("begin", "c"), ("end", "c")]


def test_on_a_cpu_all_go_at_once(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    together = threading.Barrier(2, timeout=20)  # passed only by two that are there at one time
    assert sorted(in_threads(lambda _: together.wait(), "ab")) == [0, 1]


def test_what_is_raised_is_raised_here():
    with pytest.raises(ZeroDivisionError):
        in_threads(lambda x: 1 // x, [1, 0, 2])


class BoomError(Exception):
    """What goes wrong in a thread."""


def test_prefetched_items_come_in_order_then_the_error():
    def items():
        yield from range(5)
        raise BoomError

    ahead = Prefetched(items(), 2)
    assert [next(ahead) for _ in range(5)] == list(range(5))
    with pytest.raises(BoomError):
        next(ahead)
    assert list(ahead) == []


def test_prefetching_is_bounded_and_ends_when_closed():
    taken = []

    def items():
        for number in range(100):
            taken.append(number)
            yield number

    ahead = Prefetched(items(), 3)
    assert next(ahead) == 0
    while ahead.waiting < 3:
        threading.Event().wait(0.001)
    assert ahead.close()
    assert len(taken) <= 6
    assert list(ahead) == []


def test_the_end_is_no_item_that_waits():
    ahead = Prefetched(iter([1]), 4)
    ahead._thread.join()
    assert ahead.waiting == 1
    assert next(ahead) == 1 and ahead.waiting == 0
    assert list(ahead) == []


def test_a_worker_does_all_in_order_before_it_is_finished():
    done: list[int] = []
    worker = Worker(done.append, lambda: done.append(-1), 2)
    for number in range(20):
        worker.put(number)
    worker.finish()
    worker.finish()
    assert done == [*range(20), -1] and worker.error is None


def test_a_worker_drops_what_comes_after_an_error():
    done = []

    def work(number):
        if number == 3:
            raise BoomError
        done.append(number)

    worker = Worker(work, lambda: done.append(-1), 1)
    for number in range(50):
        worker.put(number)
    worker.finish()
    assert done == [0, 1, 2, -1] and isinstance(worker.error, BoomError)


@pytest.mark.parametrize("first", ["put", "join"])
def test_an_interruption_anywhere_in_the_end_waits_for_the_last_work(first, monkeypatch):
    done = []

    def last():
        threading.Event().wait(0.1)
        done.append("last")

    worker = Worker(done.append, last, 2)
    worker.put("item")
    place = worker._queue if first == "put" else worker._thread
    usual = getattr(place, first)

    def interrupted(*args):
        monkeypatch.setattr(place, first, usual)
        raise KeyboardInterrupt

    monkeypatch.setattr(place, first, interrupted)
    with pytest.raises(KeyboardInterrupt):
        worker.finish()
    assert done == ["item", "last"]


def test_a_queue_that_drops_keeps_the_newest():
    made = threading.Event()

    def items():
        yield from range(10)
        made.set()

    ahead = Prefetched(items(), 3, drop=True)
    assert made.wait(60)
    assert list(ahead) == [7, 8, 9] and ahead.dropped == 7


def test_whoever_waits_for_an_item_is_told_of_the_close():
    gate, ended = threading.Event(), threading.Event()

    def items():
        gate.wait(60)
        yield 1

    ahead = Prefetched(items(), 1)

    def take():
        assert list(ahead) == []
        ended.set()

    threading.Thread(target=take, daemon=True).start()
    closing = threading.Thread(target=ahead.close)
    closing.start()
    assert ended.wait(60)
    gate.set()
    closing.join(60)
