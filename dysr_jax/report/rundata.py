"""A run's directory as data: everything that a report shows, whatever state the run is in."""

import contextlib
import dataclasses
import functools
import json
import os
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar

from etils import epath

from dysr_jax.atomic import is_remote
from dysr_jax.bench import AGAINST, SteadyResult, SteadyStream
from dysr_jax.bench.switch import SwitchResult
from dysr_jax.bundle import load_bundle
from dysr_jax.config import RunConfig, load_config
from dysr_jax.errors import InputError
from dysr_jax.model import SearchSpace
from dysr_jax.report.candidates import Candidates, as_columns
from dysr_jax.report.comparison import FOLDER, Comparison, compare_on, read_comparison
from dysr_jax.results import RESULTS_FILE, Results, read_results
from dysr_jax.search import CLOCK_FILE, Archive, Laps, LatencyTable, load_table
from dysr_jax.train import Curve, read_curves

T = TypeVar("T")
STEADY_COMMANDS: Final = "dysr stream --json or dysr bench steady --json"
TABLE_FILE, ARCHIVE_FILE = "latency.json", "archive.jsonl"
SWITCH_FILE, STEADY_FILE = "switch.json", "steady.json"  # a run's own measurements, if any
FORMAT_VERSIONS: Final = {RESULTS_FILE: 1, TABLE_FILE: 2, "bundle/manifest.json": 2}
"""The newest that this version reads; older ones too."""
DAMAGE: Final = (OSError, ValueError, TypeError, LookupError, ArithmeticError, RecursionError)
"""What a file of another content makes its reader raise."""


@dataclasses.dataclass(frozen=True, eq=False)
class RunData:
    """What there is of a run. A part that is not there is None or empty; a line of `missing` says why."""

    path: str
    config: RunConfig
    space: SearchSpace
    finished: bool
    table: LatencyTable | None  # the device's latencies that the search used
    training: dict[str, Curve]  # scalars by name
    candidates: Candidates | None
    laps: Laps | None  # where the search's time went
    results: Results | None
    comparison: Comparison | None
    switch: SwitchResult | None
    steady: tuple[SteadyStream, ...]
    missing: list[str]


def read_run(
    path: epath.PathLike, *, switch: epath.PathLike | None = None, steady: epath.PathLike | None = None
) -> RunData:
    """Read a run (also in `gs://`) that is finished, still running or was interrupted; nothing is written.

    `switch` is a file of `dysr bench switch --json`, `steady` one of `dysr bench steady --json` or `dysr
    stream --json`; by default the run's own `switch.json` and `steady.json`, if there are any.

    Raises InputError: a folder that is no run; a run, or a file in it, of a newer format; a branch that is
    not registered here; or a given file that cannot be read.
    """
    run, config = _open_run(path)
    _check_versions(run)
    space = config.space.build()
    if switch is None and (own := run / SWITCH_FILE).exists():
        switch = own
    if steady is None and (own := run / STEADY_FILE).exists():
        steady = own
    missing: list[str] = []
    part = functools.partial(_read_part, run, missing)
    untrained = "the weights were given, nothing was trained" if config.weights else "no tensorboard/"
    training = part("training curves", "tensorboard", lambda: read_curves(run / "tensorboard"), untrained)
    table = part("latency table", TABLE_FILE, lambda: load_table(run / TABLE_FILE))
    candidates = part("candidates", ARCHIVE_FILE, lambda: _read_candidates(run, space, config))
    laps = part("time of the search", CLOCK_FILE, lambda: Laps(run / CLOCK_FILE, write=False))
    unfinished = f"the run is not finished; {_progress(config, training or {}, candidates)}"
    results = part("members", RESULTS_FILE, lambda: read_results(run, space), unfinished)
    none_kept = "none were kept (dysr report RUN --image FILE compares on an HR image)"
    comparison = part("images", FOLDER, lambda: read_comparison(run), none_kept)
    if switch is None:
        missing.append(f"switch latencies: not measured (dysr bench switch --json RUN/{SWITCH_FILE})")
    if steady is None:
        missing.append(f"steady rate: not measured (dysr stream --json RUN/{STEADY_FILE})")
    return RunData(
        path=os.fspath(path),
        config=config,
        space=space,
        finished=(run / RESULTS_FILE).exists(),
        table=table,
        training=training or {},
        candidates=candidates,
        laps=laps,
        results=results,
        comparison=comparison,
        switch=_read_measured("switch", switch, SwitchResult.from_json, "dysr bench switch --json"),
        steady=_read_measured("steady", steady, _streams, STEADY_COMMANDS) or (),
        missing=missing,
    )


def with_image(data: RunData, image: epath.PathLike) -> RunData:
    """The run with members, which it must have, compared on this HR image in place of its own."""
    if data.results is None:
        raise InputError(f"image {os.fspath(image)!r}: the run is not finished and has no members")
    found = compare_on(load_bundle(epath.Path(data.path) / "bundle"), image)
    missing = [line for line in data.missing if not line.startswith("images:")]
    return dataclasses.replace(data, comparison=found, missing=missing)


def _streams(fields: Any) -> tuple[SteadyStream, ...]:
    """Those of `dysr bench steady --json`, or the one of `dysr stream --json`."""
    if "trace" in fields:
        return (SteadyStream.from_json({"name": "stream", **fields}),)
    found = SteadyResult.from_json(fields)
    other = found.against.strategies if found.against else ()
    named = (dataclasses.replace(stream, name=f"{stream.name}{AGAINST}") for stream in other)
    return (*found.strategies, *named)


def _read_measured(option: str, path: epath.PathLike | None, read: Callable[[Any], T], by: str) -> T | None:
    """What a command wrote, if a file is given; an InputError where it is another one."""
    if path is None:
        return None
    what = f"{option} {os.fspath(path)!r}"
    try:
        fields = json.loads(epath.Path(path).read_text())
    except OSError:
        raise InputError(f"{what}: the file cannot be read") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{what} is not JSON: {error}") from None
    try:
        return read(fields)
    except (*DAMAGE, AttributeError):
        raise InputError(f"{what}: must be a file that {by} wrote") from None


def _read_part(
    run: epath.Path, missing: list[str], name: str, file: str, read: Callable[[], T], why: str = ""
) -> T | None:
    """What `read` makes of a file; None, and a line more in `missing`, where it is absent or damaged."""
    try:
        if (run / file).exists():
            return read()
        missing.append(f"{name}: {why or f'no {file}'}")
    except InputError as error:
        missing.append(f"{name}: {error}")
    except DAMAGE as error:
        missing.append(f"{name}: {file} is damaged ({type(error).__name__})")
    return None


@contextlib.contextmanager
def writing(what: str, place: epath.PathLike) -> Iterator[None]:
    """What a disk or a store refuses becomes one line."""
    try:
        yield
    except Exception as error:  # whatever a store raises
        if not is_remote(place) and not isinstance(error, OSError):
            raise
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise InputError(f"{what} {os.fspath(place)!r} cannot be written: {reason}") from None


def _open_run(path: epath.PathLike) -> tuple[epath.Path, RunConfig]:
    name = os.fspath(path)
    try:
        run = epath.Path(path)
        exists = (run / "config.json").is_file()
    except Exception as error:  # whatever a store raises
        if not is_remote(name) and not isinstance(error, OSError):
            raise
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"run {name!r} cannot be read: {reason}") from None
    if not exists:
        raise InputError(f"run {name!r} has no config.json: must be a folder that dysr search wrote")
    return run, load_config(run / "config.json", trained=True)


def _check_versions(run: epath.Path) -> None:
    for name, known in FORMAT_VERSIONS.items():
        try:
            version = json.loads((run / name).read_text())["format_version"]
        except DAMAGE:
            continue  # whoever reads the file says what is wrong with it
        if version not in range(1, known + 1):
            reads = f"this version of dysr_jax reads up to {known}"
            raise InputError(f"run {os.fspath(run)!r}: {name} has format {version}; {reads}")


def _read_candidates(run: epath.Path, space: SearchSpace, config: RunConfig) -> Candidates:
    archive = Archive(run / ARCHIVE_FILE, write=False)
    if not archive.records:
        raise InputError(f"{ARCHIVE_FILE} is empty")
    return as_columns(space, list(archive.records.values()), config.search)


def _progress(config: RunConfig, training: dict[str, Curve], found: Candidates | None) -> str:
    if found is not None:
        done = int(found.generation.max()) + 1
        return f"it came to generation {done} of {config.search.generations}"
    if "loss" in training and not config.weights:
        return f"it came to step {training['loss'].step[-1]} of {config.train.steps} of the training"
    return "neither training nor search left anything"
