"""The bank prepares in the background: frames go on, and after closing nothing more is compiled."""

import concurrent.futures
import threading

import pytest

from dysr_jax.aot.accounting import count_compilations
from dysr_jax.errors import InputError
from dysr_jax.runtime.bank import Background, Bank

NAMES = ["2id-u1", "s3-c3-u1", "2r1-u2"]
SHAPE = (6, 8)


def test_frames_go_on_while_others_are_prepared(three_members, frame, monkeypatch):
    may_go_on, begun, real = threading.Event(), threading.Event(), Background.compile_lowered

    def slow(self, lowered):
        begun.set()
        assert may_go_on.wait(60)
        return real(self, lowered)

    monkeypatch.setattr(Background, "compile_lowered", slow)
    bank = Bank(three_members, cache=None)
    bank.prepare(SHAPE, NAMES[:1])
    soon = bank.prepare_soon(SHAPE)
    assert begun.wait(60)
    for _ in range(3):
        assert bank(frame, NAMES[0]).shape == (12, 16, 3)
    assert [bank.is_ready(name, SHAPE) for name in NAMES] == [True, False, False]
    assert not soon.done()
    with pytest.raises(InputError, match="not prepared"):
        bank(frame, NAMES[1])
    may_go_on.set()
    assert soon.result(60) is None
    with count_compilations() as compilations:
        assert len({bank(frame, name).tobytes() for name in NAMES}) == len(NAMES)
    assert compilations.value == 0


def test_a_closed_bank_prepares_no_more_in_the_background(three_members, frame, monkeypatch):
    may_go_on, begun, real = threading.Event(), threading.Event(), Background.compile_lowered

    def slow(self, lowered):
        compiled = real(self, lowered)
        begun.set()
        assert may_go_on.wait(60)
        return compiled

    monkeypatch.setattr(Background, "compile_lowered", slow)
    bank = Bank(three_members, cache=None)
    first, second = bank.prepare_soon(SHAPE), bank.prepare_soon((8, 6))
    assert begun.wait(60)
    bank.close()
    may_go_on.set()
    for future in (first, second):
        with pytest.raises(concurrent.futures.CancelledError):
            future.result(60)
    assert [bank.is_ready(name, SHAPE) for name in NAMES] == [True, False, False]
    assert bank(frame, NAMES[0]).shape == (12, 16, 3)


def test_what_cannot_be_prepared_soon_is_in_the_future(three_members, frame):
    bank = Bank(three_members)
    with pytest.raises(InputError, match="'2zz-u1'"):
        bank.prepare_soon(SHAPE, ["2zz-u1"]).result(60)
    bank.prepare_soon(SHAPE, NAMES[:1]).result(60)  # the thread goes on
    assert bank.is_ready(NAMES[0], SHAPE)


def test_a_closed_bank_prepares_nothing_more_and_says_so(three_members):
    closed = Bank(three_members)
    closed.close()
    assert closed.prepare_soon(SHAPE).cancelled()
