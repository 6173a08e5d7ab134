"""From the words of a command line to a command; an error in them becomes one line."""

import argparse
import contextlib
import dataclasses
import difflib
import functools
import inspect
import io
import re
from collections.abc import Callable, Sequence
from typing import Any, Final

import tyro

from dysr_jax.commands import bench
from dysr_jax.commands.data import DataList, DataPrepare
from dysr_jax.commands.demo import Demo
from dysr_jax.commands.export import Export
from dysr_jax.commands.images import Eval, Upscale
from dysr_jax.commands.runs import Merge, Profile, Report, Search
from dysr_jax.commands.video import Stream
from dysr_jax.config import PRESETS, load_config
from dysr_jax.errors import InputError
from dysr_jax.known import config_from_run
from dysr_jax.user_modules import register_modules

COMMANDS: Final[dict[str, Any]] = {
    "search": Search,
    "upscale": Upscale,
    "stream": Stream,
    "demo": Demo,
    "eval": Eval,
    "report": Report,
    "merge": Merge,
    "export": Export,
    "bench step": bench.BenchStep,
    "bench candidates": bench.BenchCandidates,
    "bench search": bench.BenchSearch,
    "bench scaling": bench.BenchScaling,
    "bench data": bench.BenchData,
    "bench front": bench.BenchFront,
    "bench fps": bench.BenchFps,
    "bench switch": bench.BenchSwitch,
    "bench steady": bench.BenchSteady,
    "bench stream": bench.BenchStream,
    "profile": Profile,
    "data prepare": DataPrepare,
    "data list": DataList,
}


REGISTER: Final = "--register"
"""Option of every command: a module of the user's own, imported before the command begins."""


_USAGE: Final = f"""usage: dysr COMMAND [OPTIONS]

DySR in JAX: a searched super-resolution supernet.

{{}}

`dysr COMMAND {REGISTER} MODULE` imports a module of yours first (may be repeated): its
branches, data sets, layer backends and policies can then be named. `dysr COMMAND --help`
lists the options of a command; `dysr --version` prints the version."""


def usage() -> str:
    """The commands, one per line."""
    lines = [f"  dysr {name:<17} {(kind.__doc__ or '').splitlines()[0]}" for name, kind in COMMANDS.items()]
    return _USAGE.format("\n".join(lines))


def take_registered(args: Sequence[str]) -> list[str]:
    """Import the modules that `--register` names, or raise an InputError; the other words."""
    words, names, rest = iter(args), [], []
    for word in words:
        option, equals, value = word.partition("=")
        if option != REGISTER:
            rest.append(word)
            continue
        name = value if equals else next(words, "")
        if not name or name.startswith("-"):
            raise InputError(f"{REGISTER} {name!r}: must be the name of a module, such as my_branches")
        names.append(name)
    register_modules(names)
    return rest


def _printed(parse: Callable[[], Any]) -> tuple[str, str]:
    """What tyro prints to stdout and stderr, the same in every terminal."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", "backslashreplace") for _ in range(2))
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), contextlib.suppress(SystemExit):
        parse()
    out.seek(0), err.seek(0)
    return out.read(), err.read()


def _first_line(box: str) -> str:
    """The error in tyro's boxed message, the text above its first rule, in one line."""
    words: list[str] = []
    for line in box.splitlines():
        inner = line.strip("╭╮╰╯│ ")
        if inner and not set(inner) - {"─"} and words:
            break
        if not line.lstrip().startswith("╭"):
            words += inner.split()
    return re.sub(r"^Error parsing run\.\w+: ", "", " ".join(words))  # a config names its own field


def _parse(kind: type[Any], name: str, args: Sequence[str], default: Any | None) -> Any:
    parse = functools.partial(
        tyro.cli,
        kind,
        args=args,
        prog=f"dysr {name}",
        description=f"{inspect.getdoc(kind)}\n\n{REGISTER} MODULE imports a module of yours first.",
        default=tyro.MISSING_NONPROP if default is None else default,
        return_unknown_args=True,
    )
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            command, unknown = parse()
    except SystemExit as stop:
        if stop.code in (0, None):
            raise
        reason, listed = _first_line(_printed(parse)[1]), _options(parse)
        # Tyro takes an unknown option for the list of an optional argument.
        odd = [arg for arg in args if arg.startswith("--") and arg.partition("=")[0] not in listed]
        if odd and reason.startswith("Error parsing ["):
            raise _unknown(odd[0], listed, name) from None
        raise InputError(f"{reason} (see dysr {name} --help)") from None
    if unknown:
        raise _unknown(unknown[0], _options(parse), name)
    return command


def _options(parse: Callable[..., Any]) -> list[str]:
    return [REGISTER, *re.findall(r"--[\w.-]+", _printed(functools.partial(parse, args=["--help"]))[0])]


def _unknown(option: str, listed: list[str], name: str) -> InputError:
    close = difflib.get_close_matches(option, listed, n=1)
    hint = f", did you mean {close[0]}?" if close else ","
    return InputError(f"unknown option {option!r}{hint} see dysr {name} --help")


def _default(kind: type[Any], args: Sequence[str]) -> Any:
    """The command with the config that `--config` or `--from` names, which other options then change."""
    fields = {field.name for field in dataclasses.fields(kind)}
    if "config" not in fields:
        return None
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    first.add_argument("--config", nargs="?", const="")
    first.add_argument("--from-run", nargs="?")
    known, _ = first.parse_known_args(list(args))
    if known.config == "":
        raise InputError(f"--config: must be {', '.join(PRESETS)} or a .json file")
    if known.from_run is None:
        config = load_config(known.config or "quickstart")
    elif known.config is None:
        config = config_from_run(known.from_run)
    else:
        raise InputError(f"--config {known.config!r}: must not come with --from, whose config counts")
    given = {"config": known.config or "quickstart", "run": config}
    return kind(**given, **({"out": tyro.MISSING} if "out" in fields else {}))


def _spelled(kind: type[Any], arg: str) -> str:
    """`--from`, which no field of a config can be called, as the option that it is short for."""
    name, equals, value = arg.partition("=")
    return f"--from-run{equals}{value}" if kind is Search and name == "--from" else arg


def command(args: Sequence[str]) -> Callable[[], None]:
    """The command with its options, to be called; an InputError, or a SystemExit after `--help`."""
    words = take_registered(args)
    for length in (2, 1):
        name = " ".join(words[:length])
        if kind := COMMANDS.get(name):
            rest = [_spelled(kind, word) for word in words[length:]]
            return _parse(kind, name, rest, _default(kind, rest))
    raise InputError(f"unknown command {' '.join(words[:2])!r}; must be one of {', '.join(COMMANDS)}")
