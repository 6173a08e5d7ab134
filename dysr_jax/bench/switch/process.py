"""Child processes that each do a part of a benchmark when they are asked, and sleep in between.

A process pool of one would do, but for three things that only its private parts tell or do: why a child
ended, that it ends now though it computes, and that Ctrl-C reaches the parent alone.
"""

import contextlib
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from typing import Any

import jax

from dysr_jax.errors import InputError


class ChildError(RuntimeError):
    """A child raised, or ended before it answered."""


class Child(contextlib.AbstractContextManager["Child"]):
    """An object that lives in a process of its own; a context, at whose end the process ends.

    `make`, a class or function of a module, makes the object there from the arguments `given`.
    """

    def __init__(self, make: Callable[..., Any], *given: Any) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self.process = context.Process(target=_answer, args=(theirs, make, given), daemon=True)
        with _uninterrupted():
            self.process.start()
        theirs.close()

    def __exit__(self, *_: object) -> None:
        """End the process, whatever it does."""
        self.process.kill()
        self.process.join()
        self._connection.close()

    def call(self, method: str, *given: Any) -> Any:
        """Call a method of the object, and wait for what it returns.

        Raises:
            InputError: the method raised it.
            ChildError: it raised anything else, or the process ended; one line.
        """
        try:
            with contextlib.suppress(OSError):  # it has ended; perhaps it said why
                self._connection.send((method, given))
            outcome, value = self._connection.recv()
        except (EOFError, OSError):
            self.process.join()
            raise ChildError(_end(self.process.exitcode)) from None
        if outcome is not None:
            raise outcome(value)
        return value


def _end(code: int | None) -> str:
    if code == -signal.SIGKILL:
        return "its process was killed (out of memory?)"
    return f"its process ended ({'signal' if code and code < 0 else 'exit code'} {abs(code or 0)})"


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """A process that starts here never receives Ctrl-C; this one receives it afterwards."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # its start would unblock the signal
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _answer(connection: Connection, make: Callable[..., Any], given: tuple[Any, ...]) -> None:
    """Make the object, and call its methods, until the parent ends or one of them raises.

    An answer is an exception's class and text, or None and what the method returned.
    """
    _set_up()
    with contextlib.suppress(EOFError, OSError):  # the parent ended
        try:
            made = make(*given)
            while True:
                method, arguments = connection.recv()
                connection.send((None, getattr(made, method)(*arguments)))
        except (EOFError, BrokenPipeError):
            pass
        except InputError as error:
            connection.send((InputError, str(error)))
        except Exception as error:
            first = (str(error).strip().splitlines() or [""])[0]
            connection.send((ChildError, f"{type(error).__name__}: {first}".removesuffix(": ")))


def _set_up() -> None:
    """Before JAX is used: children share a GPU, and every compilation is a real one."""
    os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"
    jax.config.update("jax_enable_compilation_cache", False)
