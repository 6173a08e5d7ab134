"""Ctrl-C and SIGTERM as exceptions, wherever they come: while packages are imported, programs compiled."""

import _thread
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final

SOON_S: Final = 0.01
"""Until an interruption comes again that a destructor lost."""


class TerminatedError(BaseException):
    """SIGTERM came: batch systems, `timeout` and `kill` send it."""


_RAISED: Final[dict[int, type[BaseException]]] = {
    signal.SIGINT: KeyboardInterrupt,
    signal.SIGTERM: TerminatedError,
}


class Received:
    """What came."""

    number: int = 0
    """Of the first signal, 0 before one."""
    told: bool = False
    """The user knows, or the work is done: what is left is not interrupted."""


def _handler(received: Received) -> Callable[[int, Any], None]:
    process = os.getpid()

    def handle(number: int, frame: Any) -> None:
        if os.getpid() != process:  # a fork, which has other work
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        received.number = received.number or number
        if not received.told:
            raise _RAISED[number]

    return handle


@contextlib.contextmanager
def interruptible() -> Iterator[Received]:
    """Both signals raise here, at once, and whoever swallows that is told by what this yields.

    Python's own handler of Ctrl-C raises too, but asyncio replaces it while Orbax waits for its files, and
    loses an interruption that comes just as it is done. Other handlers than Python's stay.
    """
    received = Received()
    expected: dict[int, Any] = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    here = threading.current_thread() is threading.main_thread()
    replaced = [n for n, usual in expected.items() if here and signal.getsignal(n) is usual]
    handle = _handler(received)
    for number in replaced:
        signal.signal(number, handle)
    try:
        with _none_lost(received):
            yield received
    finally:
        received.told = True
        for number in replaced:
            signal.signal(number, expected[number])


@contextlib.contextmanager
def _none_lost(received: Received) -> Iterator[None]:
    """An interruption of a destructor, which Python would print and pass over, comes again after it."""
    before = sys.unraisablehook

    def again() -> None:
        if not received.told:
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
