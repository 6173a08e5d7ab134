"""`dysr bench`: one command per bench, which prints a table and writes its figures with --json."""

import dataclasses
import pathlib
from collections.abc import Callable
from typing import Annotated, Any, ClassVar

import tyro

from dysr_jax.bench import (
    OUTPUT_ROWS,
    SteadyOptions,
    bench_candidates,
    bench_data,
    bench_fps,
    bench_front,
    bench_scaling,
    bench_search,
    bench_steady,
    bench_step,
    bench_stream,
)
from dysr_jax.bench.switch import STRATEGIES, bench_switch
from dysr_jax.bundle import find_bundle
from dysr_jax.commands import common
from dysr_jax.commands.common import ConfigOptions, JsonOption, ServerOptions, check_output
from dysr_jax.report import (
    bench_table,
    front_summary,
    search_tables,
    steady_table,
    switch_tables,
    write_timelines,
)
from dysr_jax.report.plots import save_figure, truth_figure


@dataclasses.dataclass(frozen=True)
class Bench(JsonOption):
    """A command that hands its own options on, by name, to a bench, and reports the result."""

    bench: ClassVar[Callable[..., Any]]
    table: ClassVar[Callable[[Any], str]] = bench_table

    def _measure(self, *first: Any, **more: Any) -> None:
        """Run the bench, which is looked up here by its name, so that another can take its place."""
        own = {name: getattr(self, name) for name in type(self).__annotations__}
        result = globals()[type(self).bench.__name__](*first, **own, **more)
        common.report(result, type(self).table, self.json_path)


@dataclasses.dataclass(frozen=True)
class ConfigBench(ConfigOptions, Bench):
    """A bench of a config."""

    def __call__(self) -> None:
        check_output(self.json_path)
        self._measure(self.run)


@dataclasses.dataclass(frozen=True)
class BenchStep(ConfigBench):
    """Time a training step of the search program against the static program of the same archs."""

    bench = bench_step
    rounds: int = 15
    """Timed rounds; their median counts."""


@dataclasses.dataclass(frozen=True)
class BenchCandidates(ConfigBench):
    """Time the evaluation of candidates: the search program against compiling each one."""

    bench = bench_candidates
    rounds: int = 15
    """Timed rounds; their median counts."""
    compiled: int = 4
    """Candidates to compile as static programs."""


@dataclasses.dataclass(frozen=True)
class BenchSearch(ConfigBench):
    """Candidates per second: the search program against compiling each one."""

    bench = bench_search
    table = search_tables
    populations: tuple[int, ...] = (64, 256, 1024)
    """Candidates per call of the search program."""
    patch_counts: tuple[int, ...] = ()
    """Validation patches; default: a quarter of the config's, and all of them."""
    compiled: int = 4
    """Candidates to compile as static programs."""
    rounds: int = 5
    """Timed rounds; their median counts."""
    generations: int = 3
    """Generations of a whole search, of the config's population, that tells where its time goes; 0: none."""


@dataclasses.dataclass(frozen=True)
class BenchScaling(ConfigBench):
    """Training steps and candidates per second on 1, 2, 4, ... and all devices of this machine."""

    bench = bench_scaling
    steps: int = 20
    """Training steps per dispatch."""
    rounds: int = 5
    """Timed rounds; their median counts."""


@dataclasses.dataclass(frozen=True)
class BenchData(ConfigBench):
    """Patches per second of the pool and of Grain, beside what a training step consumes."""

    bench = bench_data
    workers: tuple[int, ...] = (0, 2)
    """Numbers of Grain's worker processes; 0 decodes in threads."""
    steps: int = 5
    """Training steps per dispatch."""
    rounds: int = 5
    """Timed rounds on the device; their median counts."""
    seconds: float = 2.0
    """Seconds, at least, that Grain is measured alone, and again while it feeds training."""


@dataclasses.dataclass(frozen=True)
class BenchFront(JsonOption):
    """How near a search came to the true front of its space, all of which is evaluated."""

    run: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="RUN")]
    """Directory of a finished search, or gs://BUCKET/RUN; its space must have at most 50,000 archs."""
    figure: pathlib.Path | None = None
    """Draw both fronts to this PNG file."""

    def __call__(self) -> None:
        check_output(self.json_path)
        check_output(self.figure, "figure")
        found = bench_front(self.run)
        common.report(found, front_summary, self.json_path)
        if self.figure is not None:
            save_figure(truth_figure(found), self.figure)


@dataclasses.dataclass(frozen=True)
class BenchFps(ServerOptions, Bench):
    """Frames per second by output size: on the device, and from host to host."""

    bench = bench_fps
    members: tuple[str, ...] = ()
    """Members' names, fastest or best; default: all."""
    outputs: tuple[int, ...] = OUTPUT_ROWS
    """Rows of the 16:9 output frames."""
    rounds: int = 5
    """Timed rounds; their median counts."""
    seconds: float = 2.0
    """Seconds per measurement, at most; a frame that has begun is finished."""
    limit_s: float | None = None
    """Leave out sizes whose frames would take longer, judging by the size before."""
    dtype: str = "auto"
    """Compute dtype; auto is bfloat16 on accelerators and float32 on a CPU."""
    rivals: Annotated[tuple[str, ...], tyro.conf.arg(aliases=["--rival"])] = ()
    """To measure beside: on a CPU other runtimes (onnxruntime, openvino, torch, or all that are installed),
    and networks of others (MODEL.onnx) in ONNX Runtime."""

    def __call__(self) -> None:
        check_output(self.json_path)
        self._measure(find_bundle(self.bundle, self.scale), backend=self.backend)


@dataclasses.dataclass(frozen=True)
class BenchSwitch(ServerOptions, Bench):
    """What a switch between members costs: shared executables beside chained ones and four rivals."""

    bench = bench_switch
    table = switch_tables
    frame: tuple[int, int] | None = None
    """LR rows and columns; default: the bundle's."""
    members: tuple[str, ...] = ()
    """Members' names; default: all. Those too slow for --fps at rest are left out."""
    strategies: tuple[str, ...] = tuple(STRATEGIES)
    """Strategies to compare."""
    switches: int = 200
    """Switches per strategy."""
    steady: int = 4
    """Frames after the first one, before the next switch."""
    fps: float = 30.0
    """Frames due per second."""

    def __call__(self) -> None:
        check_output(self.json_path)
        self._measure(self.bundle, scale=self.scale, backend=self.backend, progress=True)


@dataclasses.dataclass(frozen=True)
class BenchStream(ServerOptions, Bench):
    """Frames per second of a stream, beside those of its decoder, network and encoder alone."""

    bench = bench_stream
    frame: tuple[int, int] = (270, 480)
    """LR rows and columns."""
    members: tuple[str, ...] = ()
    """Members' names, fastest or best; default: fastest and best."""
    frames: int = 300
    """Frames of the clip."""
    encoder: str = "auto"
    """FFmpeg's name, as `dysr stream --encoders` lists them; raw frames are streamed as well."""

    def __call__(self) -> None:
        check_output(self.json_path)
        self._measure(find_bundle(self.bundle, self.scale), backend=self.backend)


@dataclasses.dataclass(frozen=True)
class BenchSteady(JsonOption):
    """Whether a stream holds its rate while other programs come and go: adapting, fixed, and reloading."""

    bundle: str | None = None
    """Bundle directory, such as RUN/bundle; default: dysr_jax's own weights."""
    against: str | None = None
    """Another bundle directory, whose members take turns with these, such as those chosen for a load."""
    stream: Annotated[SteadyOptions, tyro.conf.arg(name="")] = SteadyOptions()
    figures: pathlib.Path | None = None
    """Draw a timeline of each stream into this folder."""

    def __call__(self) -> None:
        check_output(self.json_path)
        if self.figures is not None:
            common.make_folder(self.figures, "figures")
        result = bench_steady(self.bundle, self.stream, against=self.against)
        common.report(result, steady_table, self.json_path)
        if self.figures is not None:
            write_timelines(self.figures, result)
