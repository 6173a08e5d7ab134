"""Reading ahead and encoding behind."""

import threading
from fractions import Fraction

import pytest

from dysr_jax.video.pacing import Pacer
from dysr_jax.video.prefetch import Prefetched
from dysr_jax.video.worker import Worker


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


def test_a_worker_does_all_in_order_before_it_is_finished():
    done: list[int] = []
    worker = Worker(done.append, 2)
    for number in range(20):
        worker.put(number)
    worker.finish()
    worker.finish()
    assert done == list(range(20)) and worker.error is None


def test_a_worker_drops_what_comes_after_an_error():
    done = []

    def work(number):
        if number == 3:
            raise BoomError
        done.append(number)

    worker = Worker(work, 1)
    for number in range(50):
        worker.put(number)
    worker.finish()
    assert done == [0, 1, 2] and isinstance(worker.error, BoomError)


def test_an_even_pace_repeats_and_drops_nothing():
    pacer = Pacer(Fraction(30000, 1001))
    for number in range(100):  # times in milliseconds, from 7 ms on
        assert pacer.place(Fraction(round(number * 1001 / 30) + 7, 1000)) == (0, True)
    assert (pacer.repeated, pacer.dropped, pacer.written) == (0, 0, 100)
