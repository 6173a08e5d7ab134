"""Benches of what runs: frames a second, switches, a steady rate."""

import dataclasses
import pathlib
from typing import Annotated

import tyro

from dysr_jax.bench import OUTPUTS, SteadyOptions, TorchMode, bench_fps, bench_steady
from dysr_jax.bench.switch import STRATEGIES, bench_switch
from dysr_jax.bundle import find_bundle
from dysr_jax.commands.common import JsonPath, check_output, make_folder, report
from dysr_jax.report import bench_table, steady_table, switch_tables, write_timelines


@dataclasses.dataclass(frozen=True)
class BenchFps:
    """Frames a second by output size: on the device, from host to host, and PyTorch's where it is there."""

    bundle: str | None = None
    """A bundle directory, such as RUN/bundle or gs://BUCKET/RUN/bundle; without it dysr_jax's own weights."""
    scale: int | None = None
    """Side of the output over side of the input; 4 without it, or what the bundle has."""
    members: tuple[str, ...] = ()
    """Members' names, fastest or best; without any, all."""
    outputs: tuple[int, ...] = OUTPUTS
    """Rows of the 16:9 output frames."""
    json_path: JsonPath = None
    """Write the figures to this file too."""
    rounds: int = 5
    """Timed rounds; medians count."""
    seconds: float = 2.0
    """Time of one measurement, at most: what is begun is finished."""
    limit_s: float | None = None
    """Leave out sizes at which a frame would take longer, going by the size before."""
    dtype: str = "auto"
    """Compute dtype; auto is bfloat16 on accelerators and float32 on the CPU."""
    torch: bool = True
    """Measure PyTorch too, where it can be imported."""
    torch_mode: TorchMode = "auto"
    """How PyTorch runs; auto is max-autotune (with CUDA graphs) on a GPU and eager on a CPU."""

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
            torch=self.torch,
            torch_mode=self.torch_mode,
        )
        report(result, bench_table, self.json_path)


@dataclasses.dataclass(frozen=True)
class BenchSwitch:
    """What a switch between members costs: shared executables beside chained ones and four rivals."""

    bundle: str | None = None
    """A bundle directory, such as RUN/bundle; without it dysr_jax's own weights."""
    scale: int | None = None
    """Side of the output over side of the input; 4 without it, or what the bundle has."""
    frame: tuple[int, int] | None = None
    """LR rows and columns; without them the bundle's."""
    members: tuple[str, ...] = ()
    """Members' names; without any, all. Those too slow for --fps at rest are left out."""
    strategies: tuple[str, ...] = tuple(STRATEGIES)
    """Which are compared."""
    switches: int = 200
    """Switches of each strategy."""
    steady: int = 4
    """Frames after the first one, before the next switch."""
    fps: float = 30.0
    """Frames a second that are due."""
    json_path: JsonPath = None
    """Write the figures to this file too."""

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
class BenchSteady:
    """Does a stream hold its rate while other programs come and go: adapting, fixed, and reloading."""

    bundle: str | None = None
    """A bundle directory, such as RUN/bundle; without it dysr_jax's own weights."""
    stream: Annotated[SteadyOptions, tyro.conf.arg(name="")] = SteadyOptions()
    json_path: JsonPath = None
    """Write the figures, and every frame, to this file too."""
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
