"""A run's directory as data: everything that a report shows, whatever state the run is in.

What `dysr bench switch`, `dysr stream` and the steady-rate experiment left as JSON.
"""

import dataclasses
import json
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeVar

from etils import epath

from dysr_jax.atomic import is_remote
from dysr_jax.config import RunConfig, from_dict
from dysr_jax.errors import InputError
from dysr_jax.model import SearchSpace
from dysr_jax.report.candidates import Candidates, from_records
from dysr_jax.report.comparison import FOLDER, Comparison, read_comparison
from dysr_jax.results import Results, read_results
from dysr_jax.runtime import Load, Trace, trace_from_json
from dysr_jax.search import Archive, LatencyTable, load_table
from dysr_jax.train import Curve, read_curves


class Streamed(NamedTuple):
    """One stream of frames in time."""

    name: str
    trace: Trace
    load: Sequence[Load]
    """When other processes came and went; empty where it is not known."""
    true_psnr_y: float | None
    """dB, the mean over the frames, each against its HR frame; None where that was not measured."""


def _json(path: epath.PathLike, option: str) -> Any:
    name = os.fspath(path)
    try:
        return json.loads(epath.Path(path).read_text())
    except OSError:
        raise InputError(f"{option} {name!r}: the file cannot be read") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{option} {name!r} is not JSON: {error}") from None


def read_switch(path: epath.PathLike) -> dict[str, Any]:
    """What `dysr bench switch --json FILE` wrote.

    Raises:
        InputError: the file cannot be read, or is something else.
    """
    found = _json(path, "switch")
    columns = ("name", "switch_ms_p50", "switch_ms_p99", "steady_ms_p50", "steady_ms_p99")
    try:
        whole = all(name in row for row in found["strategies"] for name in columns)
        whole = whole and {"device", "frame", "scale", "fps"} <= {*found}
    except (TypeError, KeyError):
        whole = False
    if not whole:
        raise InputError(f"switch {os.fspath(path)!r}: allowed is a file that dysr bench switch --json wrote")
    return found


def _streamed(fields: Mapping[str, Any], name: str) -> Streamed:
    load = [(float(seconds), float(busy)) for seconds, busy in fields.get("load", [])]
    return Streamed(name, trace_from_json(fields), load, fields.get("true_psnr_y"))


def read_steady(path: epath.PathLike) -> tuple[Streamed, ...]:
    """Streams: of `experiments/steady_fps.py --json FILE`, or the one of `dysr stream --json FILE`.

    Raises:
        InputError: the file cannot be read, or is something else.
    """
    found = _json(path, "steady")
    try:
        if "trace" in found:
            return (_streamed(found, "stream"),)
        return tuple(_streamed(fields, fields["name"]) for fields in found["strategies"])
    except (TypeError, LookupError, ValueError, AttributeError):
        raise InputError(
            f"steady {os.fspath(path)!r}: allowed is a file that dysr stream --json or "
            f"experiments/steady_fps.py wrote"
        ) from None


T = TypeVar("T")
TABLE, ARCHIVE, RESULTS = "latency.json", "archive.jsonl", "pareto.json"
FORMAT_VERSIONS: Final = {RESULTS: 1, TABLE: 1, "bundle/manifest.json": 1}
"""That this version reads."""
SWITCH: Final = "switch.json"
DAMAGE: Final = (OSError, ValueError, TypeError, LookupError, ArithmeticError, RecursionError)
"""What a file of another content makes of its reader."""
STEADY: Final = "steady.json"
"""Where a run's own measurements of switches and streams are looked for."""


@dataclasses.dataclass(frozen=True, eq=False)
class RunData:
    """What there is of a run. A part that is not there is None or empty, and `missing` says why."""

    path: str
    config: RunConfig
    space: SearchSpace
    finished: bool
    table: LatencyTable | None
    """The device's latencies that the search used."""
    training: dict[str, Curve]
    """Scalars of the training by name."""
    candidates: Candidates | None
    results: Results | None
    """The measured members."""
    comparison: Comparison | None
    """Of a validation image."""
    switch: dict[str, Any] | None
    """Of `dysr bench switch`."""
    steady: tuple[Streamed, ...]
    """Of the steady-rate experiment, or of `dysr stream`."""
    missing: list[str]
    """What is not there and why, a line each."""


class _Reader:
    """Reads the parts of a run, and remembers what is missing."""

    def __init__(self, run: epath.Path) -> None:
        self._run = run
        self.missing: list[str] = []

    def part(self, name: str, file: str, read: Callable[[], T], why: str) -> T | None:
        """What `read` makes of a file; None where that is absent (`why`), or damaged."""
        try:
            if (self._run / file).exists():
                return read()
            self.missing.append(f"{name}: {why}")
        except InputError as error:
            self.missing.append(f"{name}: {error}")
        except DAMAGE as error:
            self.missing.append(f"{name}: {file} is damaged ({type(error).__name__})")
        return None


def _open(path: epath.PathLike) -> tuple[epath.Path, RunConfig]:
    """The run's folder and its config."""
    name = os.fspath(path)
    try:
        file = epath.Path(path) / "config.json"
        content = file.read_bytes() if file.is_file() else None
    except Exception as error:  # whatever a store raises
        if not is_remote(name) and not isinstance(error, OSError):
            raise
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"run {name!r} cannot be read: {reason}") from None
    if content is None:
        raise InputError(f"run {name!r} has no config.json; allowed is a folder that dysr search wrote")
    try:
        fields = json.loads(content)
    except (ValueError, RecursionError):
        raise InputError(f"run {name!r}: its config.json is damaged") from None
    return epath.Path(path), from_dict(RunConfig, fields, file)


def _check_versions(run: epath.Path) -> None:
    for name, known in FORMAT_VERSIONS.items():
        try:
            version = json.loads((run / name).read_text())["format_version"]
        except DAMAGE:
            continue  # whoever reads the file says what is wrong with it
        if version != known:
            raise InputError(
                f"run {os.fspath(run)!r}: {name} has format {version}; this version of dysr_jax reads {known}"
            )


def _candidates(run: epath.Path, space: SearchSpace, config: RunConfig) -> Candidates:
    archive = Archive(run / ARCHIVE, write=False)
    if not archive.records:
        raise InputError(f"{ARCHIVE} is empty")
    return from_records(space, list(archive.records.values()), config.search)


def _given(path: epath.PathLike | None, own: epath.Path) -> epath.PathLike | None:
    """The file that was named, or the run's own where there is one."""
    return path if path is not None or not own.exists() else own


def _stage(config: RunConfig, training: dict[str, Curve], found: Candidates | None) -> str:
    """How far an unfinished run came."""
    if found is not None:
        done = int(found.generation.max()) + 1
        return f"it came to generation {done} of {config.search.generations}"
    if "loss" in training and not config.weights:
        return f"it came to step {training['loss'].step[-1]} of {config.train.steps} of the training"
    return "neither training nor search left anything"


def read_run(
    path: epath.PathLike, *, switch: epath.PathLike | None = None, steady: epath.PathLike | None = None
) -> RunData:
    """Read a run that is finished, still running or was interrupted; nothing is written.

    Args:
        path: directory of the run; it may lie in a bucket (`gs://`).
        switch: a file of `dysr bench switch --json`; without it `switch.json` of the run, if it is there.
        steady: a file of `dysr stream --json` or of `experiments/steady_fps.py`; without it
            `steady.json` of the run, if it is there.

    Raises:
        InputError: a folder that is no run; a run, or a file in it, of a newer format; a branch that is
            not registered here; or a given file that cannot be read.
    """
    run, config = _open(path)
    _check_versions(run)
    space = config.space.build()
    switch, steady = _given(switch, run / SWITCH), _given(steady, run / STEADY)
    reader = _Reader(run)
    training = reader.part(
        "training curves",
        "tensorboard",
        lambda: read_curves(run / "tensorboard"),
        "the weights were given, nothing was trained" if config.weights else "no tensorboard/",
    )
    table = reader.part("latency table", TABLE, lambda: load_table(run / TABLE), f"no {TABLE}")
    candidates = reader.part("candidates", ARCHIVE, lambda: _candidates(run, space, config), f"no {ARCHIVE}")
    results = reader.part(
        "members",
        RESULTS,
        lambda: read_results(run, space),
        f"the run is not finished; {_stage(config, training or {}, candidates)}",
    )
    comparison = reader.part(
        "images",
        FOLDER,
        lambda: read_comparison(run),
        "none were kept (dysr report RUN --image FILE compares on an HR image)",
    )
    if switch is None:
        reader.missing.append(f"switch latencies: not measured (dysr bench switch --json RUN/{SWITCH})")
    if steady is None:
        reader.missing.append(f"steady rate: not measured (dysr stream --json RUN/{STEADY})")
    return RunData(
        path=os.fspath(path),
        config=config,
        space=space,
        finished=(run / RESULTS).exists(),
        table=table,
        training=training or {},
        candidates=candidates,
        results=results,
        comparison=comparison,
        switch=None if switch is None else read_switch(switch),
        steady=() if steady is None else read_steady(steady),
        missing=reader.missing,
    )
