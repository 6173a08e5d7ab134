"""Benches of training and search."""

import dataclasses
import pathlib
from typing import Annotated

import tyro

from dysr_jax.bench import bench_candidates, bench_data, bench_front, bench_scaling, bench_search, bench_step
from dysr_jax.commands.common import JsonPath, check_output, report
from dysr_jax.config import RunConfig
from dysr_jax.report import bench_table
from dysr_jax.report.plots import save_figure, truth_figure, truth_text


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
        check_output(self.json_path)
        report(bench_step(self.run, rounds=self.rounds), bench_table, self.json_path)


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
        check_output(self.json_path)
        result = bench_candidates(self.run, rounds=self.rounds, compiled=self.compiled)
        report(result, bench_table, self.json_path)


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
        check_output(self.json_path)
        result = bench_scaling(self.run, steps=self.steps, rounds=self.rounds)
        report(result, bench_table, self.json_path)


@dataclasses.dataclass(frozen=True)
class BenchData:
    """Patches a second of the pool and of Grain, beside what a training step consumes."""

    config: str = "quickstart"
    """Preset, or a .json file as a run writes it."""
    json_path: JsonPath = None
    """Write the figures to this file too."""
    workers: tuple[int, ...] = (0, 2)
    """Numbers of Grain's worker processes; 0 decodes in threads."""
    steps: int = 5
    """Training steps in a dispatch."""
    rounds: int = 5
    """Timed rounds on the device; medians count."""
    seconds: float = 2.0
    """Time, at least, that Grain is measured alone, and again while it feeds training."""
    run: Annotated[RunConfig, tyro.conf.arg(name="")] = RunConfig()

    def __call__(self) -> None:
        """Run it."""
        check_output(self.json_path)
        result = bench_data(
            self.run, workers=self.workers, steps=self.steps, rounds=self.rounds, seconds=self.seconds
        )
        report(result, bench_table, self.json_path)


@dataclasses.dataclass(frozen=True)
class BenchFront:
    """How near a search came to the true front of its space, all of which is evaluated."""

    run: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="RUN")]
    """Directory of a finished search, or gs://BUCKET/RUN; of 50,000 archs at most."""
    json_path: JsonPath = None
    """Write the figures to this file too."""
    figure: pathlib.Path | None = None
    """Draw both fronts to this PNG file."""

    def __call__(self) -> None:
        """Run it."""
        check_output(self.json_path)
        check_output(self.figure, "figure")
        found = bench_front(self.run)
        report(found.to_json(), truth_text, self.json_path)
        if self.figure is not None:
            save_figure(truth_figure(found), self.figure)
