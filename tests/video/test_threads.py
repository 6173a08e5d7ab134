"""Reading ahead and encoding behind."""

import _thread
import threading
import time
from fractions import Fraction

import numpy as np
import pytest

from dysr_jax.threads import Prefetched, Worker
from dysr_jax.video.encoding import Pacer
from dysr_jax.video.reader import open_video
from dysr_jax.video.writer import open_writer


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


def test_an_interruption_while_a_file_is_closed_waits_until_it_is(tmp_path, monkeypatch):
    from dysr_jax.video.encoding import Encoding

    slow = Encoding.finish

    def finish(self):
        _thread.interrupt_main()
        time.sleep(0.2)
        slow(self)

    monkeypatch.setattr(Encoding, "finish", finish)
    path = tmp_path / "out.mkv"
    writer = open_writer(path, width=32, height=24, rate=Fraction(25))
    for number in range(8):
        writer.write(np.full((24, 32, 3), number, np.uint8), Fraction(number, 25))
    with pytest.raises(KeyboardInterrupt):
        writer.close()
    with open_video(path) as reader:
        assert sum(1 for _ in reader.frames()) == 8


def test_a_file_that_a_thread_hangs_in_is_left_to_it(tmp_path):
    with open_writer(tmp_path / "in.mkv", width=32, height=24, rate=Fraction(25)) as writer:
        writer.write(np.zeros((24, 32, 3), np.uint8), Fraction(0))
    reader = open_video(tmp_path / "in.mkv")
    entered, leave = threading.Event(), threading.Event()

    def hanging():
        entered.set()
        leave.wait(30)
        yield

    reader._frames = hanging()
    thread = threading.Thread(target=next, args=(reader._frames, None))
    thread.start()
    entered.wait(30)
    reader.close()
    leave.set()
    thread.join()
