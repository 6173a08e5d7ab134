"""Work in threads: the order of results, and who is first where kernels are timed."""

import os
import threading

import jax
import pytest

from dysr_jax.threads import in_threads


@pytest.mark.parametrize("backend", ["cpu", "gpu"])
@pytest.mark.parametrize("count", [0, 1, 2, 40])
def test_results_are_in_the_order_of_the_items(backend, count, monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    assert in_threads(lambda x: x * x, range(count)) == [x * x for x in range(count)]


def test_on_an_accelerator_the_last_is_done_before_another_begins(monkeypatch):
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
