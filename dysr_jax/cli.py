"""The command line: `dysr search`, `upscale`, `eval`, `profile`, `bench ...`."""

import argparse
import contextlib
import dataclasses
import difflib
import functools
import importlib.metadata
import io
import pathlib
import re
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final

import absl.logging
import tyro

from dysr_jax.atomic import write_json
from dysr_jax.bench.candidates import bench_candidates
from dysr_jax.bench.profile import profile
from dysr_jax.bench.scaling import bench_scaling
from dysr_jax.bench.search import bench_search
from dysr_jax.bench.step import bench_step
from dysr_jax.config import RunConfig, load_config
from dysr_jax.errors import InputError, LostProcessError
from dysr_jax.processes import OPTIONS, abandon, job
from dysr_jax.report.latency import latency_figure
from dysr_jax.report.tables import bench_table, profile_table, scores_table
from dysr_jax.run import run_search
from dysr_jax.runtime.bundle import load_bundle
from dysr_jax.runtime.images import evaluate_folder, upscale_files
from dysr_jax.search.latency import save_table

JsonPath = Annotated[pathlib.Path | None, tyro.conf.arg(name="json")]


@dataclasses.dataclass(frozen=True)
class Search:
    """Train a supernet, search it on this device, and leave a bundle whose executables switch.

    The same command goes on with a run that was interrupted.
    """

    out: str
    """Directory of the run, or gs://BUCKET/RUN."""
    config: str = "quickstart"
    """Preset (quickstart, base) or a .json file as a run writes it; the options below change it."""
    distributed: bool = False
    """This is one process of a job of several, which share the work; the same command starts each."""
    coordinator: str | None = None
    """HOST:PORT of process 0; without it the cluster is the one that JAX detects, as on a TPU VM pod."""
    processes: int | None = None
    """Processes of the job."""
    process_id: int | None = None
    """Number of this process, from 0."""
    run: Annotated[RunConfig, tyro.conf.arg(name="")] = RunConfig()

    def __call__(self) -> None:
        """Run it."""
        place = (self.coordinator, self.processes, self.process_id)
        if not self.distributed:
            if place != (None, None, None):
                raise InputError(f"{OPTIONS}: allowed with --distributed")
            run_search(self.run, self.out)
            return
        with job(*place):
            run_search(self.run, self.out)


@dataclasses.dataclass(frozen=True)
class Upscale:
    """Upscale an image, or every image of a folder."""

    bundle: Annotated[tyro.conf.Positional[pathlib.Path], tyro.conf.arg(metavar="BUNDLE")]
    """A bundle directory, such as RUN/bundle."""
    source: Annotated[tyro.conf.Positional[pathlib.Path], tyro.conf.arg(name="in", metavar="IN")]
    """An image, or a folder of images."""
    target: Annotated[tyro.conf.Positional[pathlib.Path], tyro.conf.arg(name="out", metavar="OUT")]
    """An image, or a folder."""
    member: str | None = None
    """A member's name; the best one without it."""

    def __call__(self) -> None:
        """Run it."""
        for path in upscale_files(load_bundle(self.bundle), self.source, self.target, self.member):
            print(path)


@dataclasses.dataclass(frozen=True)
class Eval:
    """PSNR-Y and SSIM-Y of every member, and of bicubic, on a folder of HR images."""

    bundle: Annotated[tyro.conf.Positional[pathlib.Path], tyro.conf.arg(metavar="BUNDLE")]
    """A bundle directory, such as RUN/bundle."""
    folder: Annotated[tyro.conf.Positional[pathlib.Path], tyro.conf.arg(metavar="FOLDER")]
    """HR images; the LR ones are made by MATLAB's bicubic."""
    json_path: JsonPath = None
    """Write the scores to this file too."""

    def __call__(self) -> None:
        """Run it."""
        _check_json(self.json_path)
        scores = evaluate_folder(load_bundle(self.bundle), self.folder)
        print(scores_table(scores))
        if self.json_path:
            write_json(self.json_path, {name: s._asdict() for name, s in scores.items()})


@dataclasses.dataclass(frozen=True)
class BenchStep:
    """Time a training step of the search program against the static program of the same archs."""

    config: str = "quickstart"
    """Preset, or a .json file as a run writes it."""
    json_path: JsonPath = None
    """Write the figures to this file too."""
    rounds: int = 15
    """Timed rounds; medians count."""
    run: Annotated[RunConfig, tyro.conf.arg(name="")] = RunConfig()

    def __call__(self) -> None:
        """Run it."""
        _check_json(self.json_path)
        _report(bench_step(self.run, rounds=self.rounds), bench_table, self.json_path)


@dataclasses.dataclass(frozen=True)
class BenchCandidates:
    """Time the evaluation of candidates: the search program against compiling each one."""

    config: str = "quickstart"
    """Preset, or a .json file as a run writes it."""
    json_path: JsonPath = None
    """Write the figures to this file too."""
    rounds: int = 15
    """Timed rounds; medians count."""
    compiled: int = 4
    """Candidates that are compiled as static programs."""
    run: Annotated[RunConfig, tyro.conf.arg(name="")] = RunConfig()

    def __call__(self) -> None:
        """Run it."""
        _check_json(self.json_path)
        result = bench_candidates(self.run, rounds=self.rounds, compiled=self.compiled)
        _report(result, bench_table, self.json_path)


@dataclasses.dataclass(frozen=True)
class BenchSearch:
    """Candidates a second: the search program, compiling each one, and eager PyTorch where it is there."""

    config: str = "quickstart"
    """Preset, or a .json file as a run writes it."""
    json_path: JsonPath = None
    """Write the figures to this file too."""
    populations: tuple[int, ...] = (64, 256, 1024)
    """Candidates in a call of the search program."""
    patch_counts: tuple[int, ...] = ()
    """Validation patches; without any, a quarter of the config's and all of it."""
    compiled: int = 4
    """Candidates that are compiled as static programs."""
    rounds: int = 5
    """Timed rounds; medians count."""
    run: Annotated[RunConfig, tyro.conf.arg(name="")] = RunConfig()

    def __call__(self) -> None:
        """Run it."""
        _check_json(self.json_path)
        result = bench_search(
            self.run,
            populations=self.populations,
            patch_counts=self.patch_counts,
            compiled=self.compiled,
            rounds=self.rounds,
        )
        _report(result, bench_table, self.json_path)


@dataclasses.dataclass(frozen=True)
class BenchScaling:
    """Training steps and candidates a second on 1, 2, 4, ... and all devices of this machine."""

    config: str = "quickstart"
    """Preset, or a .json file as a run writes it."""
    json_path: JsonPath = None
    """Write the figures to this file too."""
    steps: int = 20
    """Training steps in a dispatch."""
    rounds: int = 5
    """Timed rounds; medians count."""
    run: Annotated[RunConfig, tyro.conf.arg(name="")] = RunConfig()

    def __call__(self) -> None:
        """Run it."""
        _check_json(self.json_path)
        result = bench_scaling(self.run, steps=self.steps, rounds=self.rounds)
        _report(result, bench_table, self.json_path)


@dataclasses.dataclass(frozen=True)
class Profile:
    """Measure this device's latency table, and how well it predicts archs that it has not seen.

    Writes the table (for `dysr search --search.latency FILE`) and, beside it, a figure.
    """

    out: pathlib.Path
    """The table's file, .json; the figure gets the same name with .png."""
    config: str = "quickstart"
    """Preset, or a .json file as a run writes it."""
    archs: int = 32
    """Random archs that the table is fitted to and checked with, each by a fit to the others."""
    run: Annotated[RunConfig, tyro.conf.arg(name="")] = RunConfig()

    def __call__(self) -> None:
        """Run it."""
        _check_json(self.out, "out")
        if self.out.suffix != ".json":
            raise InputError(f"out {str(self.out)!r}: allowed is a .json file")
        found = profile(self.run, archs=self.archs)
        save_table(self.out, found.table)
        figure = self.out.with_suffix(".png")
        latency_figure(figure, found)
        print(f"{profile_table(found)}\n  {self.out}\n  {figure}")


def _check_json(path: pathlib.Path | None, option: str = "json") -> None:
    """Before the work, and not after it."""
    if path and (path.is_dir() or not path.parent.is_dir()):
        raise InputError(f"{option} {str(path)!r}: allowed is a file in a folder that exists")


def _report(
    result: dict[str, Any], table: Callable[[dict[str, Any]], str], path: pathlib.Path | None
) -> None:
    print(table(result))
    if path:
        write_json(path, result)


COMMANDS: Final[dict[str, Any]] = {
    "search": Search,
    "upscale": Upscale,
    "eval": Eval,
    "bench step": BenchStep,
    "bench candidates": BenchCandidates,
    "bench search": BenchSearch,
    "bench scaling": BenchScaling,
    "profile": Profile,
}


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
        raise InputError("--config needs a value: quickstart, base or a .json file")
    given = {"config": known.config, "run": load_config(known.config)}
    return kind(**given, **({"out": tyro.MISSING} if "out" in fields else {}))


def _command(args: Sequence[str]) -> tuple[str, Sequence[str]]:
    for length in (2, 1):
        name = " ".join(args[:length])
        if name in COMMANDS:
            return name, args[length:]
    allowed = ", ".join(COMMANDS)
    raise InputError(f"unknown command {' '.join(args[:2])!r}; allowed are {allowed}")


def main(args: Sequence[str] | None = None) -> int:
    """The entry point of `dysr`: returns the exit code, 2 for bad input, 1 for a job that
    lost a process and 130 for Ctrl-C.
    """
    args = list(sys.argv[1:] if args is None else args)
    if (
        not args
        or args[0] in ("-h", "--help")
        or args[:2] in (["bench", "-h"], ["bench", "--help"])
    ):
        print(_usage())
        return 0 if args else 2
    if args[0] == "--version":
        print(f"dysr_jax {importlib.metadata.version('dysr_jax')}")
        return 0
    absl.logging.set_verbosity(absl.logging.ERROR)  # Orbax tells of every kill it mends
    try:
        name, rest = _command(args)
        kind = COMMANDS[name]
        _parse(kind, name, rest, _default(kind, rest))()
    except InputError as error:
        print(f"dysr: error: {error}", file=sys.stderr)
        return 2
    except LostProcessError as error:
        print(f"dysr: error: {error}", file=sys.stderr)
        return abandon(1)
    except KeyboardInterrupt:
        more = "; the same command goes on from here" if args[0] == "search" else ""
        print(f"\ndysr: interrupted{more}", file=sys.stderr)
        return abandon(130)
    return 0


if __name__ == "__main__":
    sys.exit(main())
