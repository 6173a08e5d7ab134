"""The command line `dysr`: whatever happens, it ends with an exit code and at most one line of error.

This file imports next to nothing, so that the slow imports of the packages can be interrupted too.
"""

import logging
import signal
import sys
import threading
from collections.abc import Sequence
from typing import Final

from dysr_jax.commands.failures import describe, quiet_threads
from dysr_jax.commands.signals import Received, TerminatedError, interruptible
from dysr_jax.commands.terminal import output
from dysr_jax.version import package_version

_LEFT: Final = {
    "search": "; the same command goes on from here",
    "stream": "; what was encoded until then is kept",
    "data": "; nothing half is left",
    "export": "; the files that are named above are whole",
}
"""What an interrupted command leaves."""


def abandon(code: int) -> int:
    """End a process of a job at once; else return the code."""
    if "jax" in sys.modules:
        from dysr_jax import distributed

        distributed.abandon(code)
    return code


def _begin(args: Sequence[str]) -> int:
    """Run the command; the exit code of one that does not fail."""
    if args[:1] == ["--version"]:
        print(f"dysr_jax {package_version()}")
        return 0
    import absl.logging

    from dysr_jax.commands.parsing import command, usage

    absl.logging.set_verbosity(absl.logging.FATAL)  # Orbax prints traces of errors that it raises too
    asks = args[1:] if args[:1] in (["bench"], ["data"]) else args
    if not args or asks[:1] in (["-h"], ["--help"]):
        print(usage())
        return 0 if args else 2
    command(args)()
    return 0


def _end(args: Sequence[str], received: Received) -> int:
    """Run the command, and turn a failure into a line and its code."""
    first = args[0] if args else ""
    try:
        return _begin(args)
    except SystemExit as stop:  # of --help
        if stop.code not in (0, None):
            raise
        return 0
    except (KeyboardInterrupt, TerminatedError):
        return _interrupted(first, received)
    except Exception as error:
        if received.number:  # a library made an error of its own of it
            return _interrupted(first, received)
        failure = describe(error, first)
        if failure is None:
            raise
        print(f"dysr: error: {failure.line}", file=sys.stderr)
        return abandon(failure.code) if failure.code == 1 else failure.code


def _interrupted(first: str, received: Received) -> int:
    received.told = True
    name, code = ("terminated", 143) if received.number == signal.SIGTERM else ("interrupted", 130)
    print(f"\ndysr: {name}{_LEFT.get(first, '')}", file=sys.stderr)
    return abandon(code)


def main(args: Sequence[str] | None = None) -> int:
    """The entry point of `dysr`: returns the exit code.

    0 for success, 2 for bad input, 1 for what the machine refuses (such as a full disk) and for a job that
    lost a process, 130 for Ctrl-C, 143 for SIGTERM. A pipe that its reader closes changes nothing.
    """
    with output() as out, quiet_threads(), interruptible() as received:
        code = _end(list(sys.argv[1:] if args is None else args), received)
        out.flush()
        if out.refused and not code:
            reason = out.refused.strerror or out.refused
            print(f"dysr: error: standard output cannot be written: {reason}", file=sys.stderr)
            code = 1
    if args is None and code:
        _shut_down()
    return code


def _shut_down() -> None:
    """Silence what fails again while it is torn down, and let Ctrl-C end at once: the user was told."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    logging.disable()
    for module, name in ((sys, "unraisablehook"), (sys, "excepthook"), (threading, "excepthook")):
        setattr(module, name, lambda *_: None)


if __name__ == "__main__":
    sys.exit(main())
