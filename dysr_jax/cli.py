"""The command line `dysr`: finds the command, parses its options, tells errors in one line."""

import argparse
import contextlib
import dataclasses
import difflib
import functools
import io
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import absl.logging
import tyro

from dysr_jax.commands import COMMANDS
from dysr_jax.config import PRESETS, load_config
from dysr_jax.errors import InputError, LostProcessError
from dysr_jax.processes import abandon
from dysr_jax.version import package_version


def _usage() -> str:
    lines = [
        "usage: dysr COMMAND [OPTIONS]",
        "",
        "DySR in JAX: a searched super-resolution supernet.",
        "",
    ]
    for name, kind in COMMANDS.items():
        lines.append(f"  dysr {name:<17} {(kind.__doc__ or '').splitlines()[0]}")
    lines += [
        "",
        "`dysr COMMAND --help` lists the options of a command; `dysr --version` the version.",
    ]
    return "\n".join(lines)


def _printed(parse: Callable[[], Any]) -> tuple[str, str]:
    """What tyro prints to stdout and stderr, drawn alike whatever the terminal's encoding is."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        contextlib.suppress(SystemExit),
    ):
        parse()
    out.seek(0), err.seek(0)
    return out.read(), err.read()


def _first_line(box: str) -> str:
    """What went wrong, out of tyro's boxed message: the text above its first rule, in one line."""
    words: list[str] = []
    for line in box.splitlines():
        inner = line.strip("╭╮╰╯│ ")
        if inner and not set(inner) - {"─"} and words:
            break
        if not line.lstrip().startswith("╭"):
            words += inner.split()
    return " ".join(words)


def _parse(kind: type[Any], name: str, args: Sequence[str], default: Any | None) -> Any:
    """Parse a command's options; what is wrong with them becomes one line."""
    start = tyro.MISSING_NONPROP if default is None else default
    parse = functools.partial(
        tyro.cli, kind, args=args, prog=f"dysr {name}", default=start, return_unknown_args=True
    )
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            command, unknown = parse()
    except SystemExit as stop:
        if stop.code in (0, None):
            raise
        raise InputError(f"{_first_line(_printed(parse)[1])} (see dysr {name} --help)") from None
    if unknown:
        listed = re.findall(r"--[\w.-]+", _printed(functools.partial(parse, args=["--help"]))[0])
        close = difflib.get_close_matches(unknown[0], listed, n=1)
        hint = f", did you mean {close[0]}?" if close else ","
        raise InputError(f"unknown option {unknown[0]!r}{hint} see dysr {name} --help")
    return command


def _default(kind: type[Any], args: Sequence[str]) -> Any:
    """The command with the config that `--config` names, which other options then change."""
    fields = {field.name for field in dataclasses.fields(kind)}
    if "config" not in fields:
        return None
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    first.add_argument("--config", default="quickstart", nargs="?")
    known, _ = first.parse_known_args(list(args))
    if known.config is None:
        raise InputError(f"--config needs a value: {', '.join(PRESETS)} or a .json file")
    given = {"config": known.config, "run": load_config(known.config)}
    return kind(**given, **({"out": tyro.MISSING} if "out" in fields else {}))


def _command(args: Sequence[str]) -> tuple[str, Sequence[str]]:
    for length in (2, 1):
        name = " ".join(args[:length])
        if name in COMMANDS:
            return name, args[length:]
    allowed = ", ".join(COMMANDS)
    raise InputError(f"unknown command {' '.join(args[:2])!r}; allowed are {allowed}")


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Ctrl-C raises here, at once, wherever it comes.

    Python's own handler does too, but asyncio replaces it while Orbax waits for its files, and loses an
    interruption that comes just as it is done. It leaves other handlers alone.
    """
    before = signal.getsignal(signal.SIGINT)
    here = threading.current_thread() is threading.main_thread()
    if not here or before is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _interrupt(number: int, frame: Any) -> None:
    raise KeyboardInterrupt


def main(args: Sequence[str] | None = None) -> int:
    """The entry point of `dysr`: returns the exit code, 2 for bad input, 1 for a job that
    lost a process and 130 for Ctrl-C.
    """
    args = list(sys.argv[1:] if args is None else args)
    if (
        not args
        or args[0] in ("-h", "--help")
        or (args[0] in ("bench", "data") and args[1:2] in (["-h"], ["--help"]))
    ):
        print(_usage())
        return 0 if args else 2
    if args[0] == "--version":
        print(f"dysr_jax {package_version()}")
        return 0
    absl.logging.set_verbosity(absl.logging.ERROR)  # Orbax tells of every kill it mends
    try:
        name, rest = _command(args)
        kind = COMMANDS[name]
        with _interruptible():
            _parse(kind, name, rest, _default(kind, rest))()
    except InputError as error:
        print(f"dysr: error: {error}", file=sys.stderr)
        return 2
    except LostProcessError as error:
        print(f"dysr: error: {error}", file=sys.stderr)
        return abandon(1)
    except KeyboardInterrupt:
        more = {
            "search": "; the same command goes on from here",
            "stream": "; what was encoded until then is kept",
            "data": "; nothing half is left",
        }
        print(f"\ndysr: interrupted{more.get(args[0], '')}", file=sys.stderr)
        return abandon(130)
    return 0


if __name__ == "__main__":
    sys.exit(main())
