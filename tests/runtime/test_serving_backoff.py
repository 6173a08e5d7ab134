"""When a background job starts, and when again."""

import concurrent.futures
import itertools
import threading

import pytest

from dysr_jax.errors import InputError
from dysr_jax.runtime.serving import FIRST_PAUSE_S, LONGEST_PAUSE_S, Backoff


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


class Jobs:
    """Starts jobs that nobody runs: a test ends them."""

    def __init__(self):
        self.started = []

    def __call__(self):
        self.started.append(concurrent.futures.Future())
        return self.started[-1]

    def end(self, error=None):
        if error is None:
            self.started[-1].set_result(None)
        else:
            self.started[-1].set_exception(error)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def backoff(clock):
    return Backoff(clock)


@pytest.fixture
def jobs():
    return Jobs()


def test_a_job_that_runs_is_not_started_again(backoff, jobs, clock):
    assert backoff.start("a", jobs) is jobs.started[0]
    clock.now += 10 * LONGEST_PAUSE_S
    assert backoff.start("a", jobs) is None
    assert backoff.start("b", jobs) is not None
    assert len(jobs.started) == 2


@pytest.mark.parametrize("error", [None, RuntimeError("out of memory")])
def test_what_is_asked_for_again_starts_after_ever_longer_pauses(backoff, jobs, clock, error):
    """What was ready may have been let go of, what failed may work: but not at every frame."""
    begun = []
    for _ in range(4000):
        if backoff.start("a", jobs) is not None:
            begun.append(clock.now)
            jobs.end(error)
        clock.now += FIRST_PAUSE_S / 4
    pauses = [round(b - a, 6) for a, b in itertools.pairwise(begun)]
    assert pauses[:7] == [FIRST_PAUSE_S * 2**i for i in range(7)]
    assert {*pauses[6:]} == {LONGEST_PAUSE_S}


def test_after_a_long_time_it_begins_anew(backoff, jobs, clock):
    for _ in range(3):
        backoff.start("a", jobs)
        jobs.end()
        clock.now += 10
    clock.now += 3 * LONGEST_PAUSE_S
    backoff.start("b", jobs)
    jobs.end()
    assert backoff.last("a") is None
    backoff.start("a", jobs)
    jobs.end()
    clock.now += FIRST_PAUSE_S
    assert backoff.start("a", jobs) is not None


@pytest.mark.parametrize("end", ["refused", "cancelled"])
def test_what_can_never_be_is_not_tried_again(backoff, jobs, clock, end):
    job = backoff.start("a", jobs)
    if end == "refused":
        jobs.end(InputError("budget 1 bytes"))
    else:
        job.cancel()
    clock.now += 10 * LONGEST_PAUSE_S
    backoff.start("b", jobs)
    assert backoff.start("a", jobs) is None


def test_many_frames_that_ask_at_once_start_one_job(backoff, jobs):
    barrier = threading.Barrier(8)

    def ask():
        barrier.wait(30)
        return backoff.start("a", jobs)

    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        found = [future.result() for future in [threads.submit(ask) for _ in range(8)]]
    assert len(jobs.started) == 1
    assert [job for job in found if job is not None] == jobs.started
