"""`dysr bench`: one command per bench, which prints a table and writes its figures with --json."""

import dataclasses
import pathlib
from typing import Annotated

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
)
from dysr_jax.bench.switch import STRATEGIES, bench_switch
from dysr_jax.bundle import find_bundle
from dysr_jax.commands.common import (
    BundleOptions,
    ConfigOptions,
    JsonOption,
    check_output,
    make_folder,
    report,
)
from dysr_jax.report import bench_table, front_summary, steady_table, switch_tables, write_timelines
from dysr_jax.report.plots import save_figure, truth_figure


@dataclasses.dataclass(frozen=True)
class BenchStep(ConfigOptions, JsonOption):
    """Time a training step of the search program against the static program of the same archs."""

    rounds: int = 15
    """Timed rounds; their median counts."""

    def __call__(self) -> None:
        """Run it."""
        check_output(self.json_path)
        report(bench_step(self.run, rounds=self.rounds), bench_table, self.json_path)


@dataclasses.dataclass(frozen=True)
class BenchCandidates(ConfigOptions, JsonOption):
    """Time the evaluation of candidates: the search program against compiling each one."""

    rounds: int = 15
    """Timed rounds; their median counts."""
    compiled: int = 4
    """Candidates to compile as static programs."""

    def __call__(self) -> None:
        """Run it."""
        check_output(self.json_path)
        result = bench_candidates(self.run, rounds=self.rounds, compiled=self.compiled)
        report(result, bench_table, self.json_path)


@dataclasses.dataclass(frozen=True)
class BenchSearch(ConfigOptions, JsonOption):
    """Candidates per second: the search program against compiling each one."""

    populations: tuple[int, ...] = (64, 256, 1024)
    """Candidates per call of the search program."""
    patch_counts: tuple[int, ...] = ()
    """Validation patches; default: a quarter of the config's, and all of them."""
    compiled: int = 4
    """Candidates to compile as static programs."""
    rounds: int = 5
    """Timed rounds; their median counts."""

    def __call__(self) -> None:
        """Run it."""
        check_output(self.json_path)
        result = bench_search(
            self.run,
            populations=self.populations,
            patch_counts=self.patch_counts,
            compiled=self.compiled,
            rounds=self.rounds,
        )
        report(result, bench_table, self.json_path)


@dataclasses.dataclass(frozen=True)
class BenchScaling(ConfigOptions, JsonOption):
    """Training steps and candidates per second on 1, 2, 4, ... and all devices of this machine."""

    steps: int = 20
    """Training steps per dispatch."""
    rounds: int = 5
    """Timed rounds; their median counts."""

    def __call__(self) -> None:
        """Run it."""
        check_output(self.json_path)
        result = bench_scaling(self.run, steps=self.steps, rounds=self.rounds)
        report(result, bench_table, self.json_path)


@dataclasses.dataclass(frozen=True)
class BenchData(ConfigOptions, JsonOption):
    """Patches per second of the pool and of Grain, beside what a training step consumes."""

    workers: tuple[int, ...] = (0, 2)
    """Numbers of Grain's worker processes; 0 decodes in threads."""
    steps: int = 5
    """Training steps per dispatch."""
    rounds: int = 5
    """Timed rounds on the device; their median counts."""
    seconds: float = 2.0
    """Seconds, at least, that Grain is measured alone, and again while it feeds training."""

    def __call__(self) -> None:
        """Run it."""
        check_output(self.json_path)
        result = bench_data(
            self.run, workers=self.workers, steps=self.steps, rounds=self.rounds, seconds=self.seconds
        )
        report(result, bench_table, self.json_path)


@dataclasses.dataclass(frozen=True)
class BenchFront(JsonOption):
    """How near a search came to the true front of its space, all of which is evaluated."""

    run: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="RUN")]
    """Directory of a finished search, or gs://BUCKET/RUN; its space must have at most 50,000 archs."""
    figure: pathlib.Path | None = None
    """Draw both fronts to this PNG file."""

    def __call__(self) -> None:
        """Run it."""
        check_output(self.json_path)
        check_output(self.figure, "figure")
        found = bench_front(self.run)
        report(found, front_summary, self.json_path)
        if self.figure is not None:
            save_figure(truth_figure(found), self.figure)


@dataclasses.dataclass(frozen=True)
class BenchFps(BundleOptions, JsonOption):
    """Frames per second by output size: on the device, and from host to host."""

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

    def __call__(self) -> None:
        """Run it."""
        check_output(self.json_path)
        result = bench_fps(
            find_bundle(self.bundle, self.scale),
            members=self.members,
            outputs=self.outputs,
            rounds=self.rounds,
            seconds=self.seconds,
            limit_s=self.limit_s,
            dtype=self.dtype,
        )
        report(result, bench_table, self.json_path)


@dataclasses.dataclass(frozen=True)
class BenchSwitch(BundleOptions, JsonOption):
    """What a switch between members costs: shared executables beside chained ones and four rivals."""

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
        """Run it."""
        check_output(self.json_path)
        result = bench_switch(
            self.bundle,
            scale=self.scale,
            frame=self.frame,
            members=self.members,
            strategies=self.strategies,
            switches=self.switches,
            steady=self.steady,
            fps=self.fps,
            progress=True,
        )
        report(result, switch_tables, self.json_path)


@dataclasses.dataclass(frozen=True)
class BenchSteady(JsonOption):
    """Whether a stream holds its rate while other programs come and go: adapting, fixed, and reloading."""

    bundle: str | None = None
    """Bundle directory, such as RUN/bundle; default: dysr_jax's own weights."""
    stream: Annotated[SteadyOptions, tyro.conf.arg(name="")] = SteadyOptions()
    figures: pathlib.Path | None = None
    """Draw a timeline of each stream into this folder."""

    def __call__(self) -> None:
        """Run it."""
        check_output(self.json_path)
        if self.figures is not None:
            make_folder(self.figures, "figures")
        result = bench_steady(self.bundle, self.stream)
        report(result, steady_table, self.json_path)
        if self.figures is not None:
            write_timelines(self.figures, result)
