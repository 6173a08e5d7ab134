"""Ctrl-C and SIGTERM as exceptions, at any time: also while packages are imported and programs compiled."""

import _thread
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any, Final

SOON_S: Final = 0.01  # seconds until an interruption that a destructor lost is raised again


class TerminatedError(BaseException):
    """SIGTERM came, as batch systems, `timeout` and `kill` send it."""


_RAISED: Final = {int(signal.SIGINT): KeyboardInterrupt, int(signal.SIGTERM): TerminatedError}


class Received:
    """The signal that came."""

    number: int = 0
    """Number of the first signal; 0 before one."""
    told: bool = False
    """Whether the user was told or the work is done: the rest is not interrupted."""

    def __init__(self) -> None:
        self._process = os.getpid()

    def handle(self, number: int, frame: Any) -> None:
        """Note the signal, and interrupt the work."""
        if os.getpid() != self._process:  # in a fork
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        self.number = self.number or number
        if not self.told:
            raise _RAISED[number]


@contextlib.contextmanager
def interruptible() -> Iterator[Received]:
    """Raise an exception here for either signal; the yielded record tells whoever swallows it.

    Python's own handler of Ctrl-C raises too, but asyncio replaces it while Orbax waits for its files and
    loses an interruption that comes as it ends. Handlers that are not Python's stay.
    """
    received = Received()
    expected: dict[int, Any] = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    here = threading.current_thread() is threading.main_thread()
    replaced = [n for n, usual in expected.items() if here and signal.getsignal(n) is usual]
    for number in replaced:
        signal.signal(number, received.handle)
    try:
        with _none_lost(received):
            yield received
    finally:
        received.told = True
        for number in replaced:
            signal.signal(number, expected[number])


@contextlib.contextmanager
def _none_lost(received: Received) -> Iterator[None]:
    """Raise an interruption again that came in a destructor: Python only prints it there."""
    before, main = sys.unraisablehook, threading.main_thread()

    def again() -> None:
        if received.told:
            return
        if hasattr(signal, "pthread_kill"):  # the other one wakes no call that waits
            signal.pthread_kill(main.ident or 0, received.number)
        else:
            _thread.interrupt_main(signal.Signals(received.number))

    def hook(unraisable: Any) -> None:
        if issubclass(unraisable.exc_type, tuple(_RAISED.values())):
            threading.Timer(SOON_S, again).start()
        else:
            before(unraisable)

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = before
