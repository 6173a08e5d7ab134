r"""A stream in real time while other programs take the processor: what holds the rate, at what quality.

    python experiments/steady_fps.py --bundle runs/quickstart/bundle --out runs/steady

Sends the same frames at the same rate through the same members, beside the same schedule of busy processes,
four times: with the adaptive policy, with the largest member that holds the rate on a free machine, with the
smallest, and with the adaptive policy where a switch drops a member and loads the next one's weights and
(cached) executable from disk, as without a resident meta-graph. PSNR-Y is that of each frame
by the member that made it, against its HR frame, worked out beforehand. Nothing is encoded.

Writes `steady_fps.json` and a timeline of each to `--out` and prints the table; with `--recorded FILE` it
draws and prints what an earlier call measured.
"""

import dataclasses
import json
import pathlib
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import Any

import burners
import jax
import numpy as np
import tyro

from dysr_jax.atomic import write_json
from dysr_jax.data.degradation import crop_to_scale, downscale
from dysr_jax.data.sources import load_source
from dysr_jax.device import device_name
from dysr_jax.errors import InputError
from dysr_jax.metrics import MOST_DB, psnr_y
from dysr_jax.report.tables import format_table
from dysr_jax.report.timeline import timeline_figure
from dysr_jax.runtime.adaptive import AdaptivePolicy
from dysr_jax.runtime.bank import Bank
from dysr_jax.runtime.baselines.reload import ReloadCached
from dysr_jax.runtime.baselines.shelf import write_shelf
from dysr_jax.runtime.bundle import Bundle
from dysr_jax.runtime.executables import ExecutableCache
from dysr_jax.runtime.policy import FixedPolicy, Policy, Rung
from dysr_jax.runtime.pretrained import find_bundle
from dysr_jax.runtime.rungs import measure_rungs
from dysr_jax.runtime.stream import Dispatch, Stream, StreamOptions
from dysr_jax.runtime.trace import Trace, trace_from_json

SCHEDULE = ((0.0, 0), (10.0, 2), (20.0, 0), (30.0, 4), (40.0, 2), (50.0, 0))
"""Busy processes from these seconds on: the machine is free half of the minute."""

FREE = 0.7
"""Share of a frame's period that the largest member may take on a free machine."""


@dataclasses.dataclass(frozen=True)
class Options:
    """What is streamed."""

    out: pathlib.Path
    """Folder for the results."""
    bundle: str | None = None
    """A bundle directory; without it the weights that come with the package."""
    source: str = "embedded"
    """HR images over whose last one (the held-out one of `embedded`) the frames wander, as `data.source`."""
    frame: tuple[int, int] = (124, 124)
    """LR rows and columns."""
    fps: float = 30.0
    """Frames a second."""
    seconds: float = 60.0
    """Of each stream; the schedule is stretched to it."""
    frames: int = 48
    """Different frames, which are repeated."""
    recorded: pathlib.Path | None = None
    """Draw and print these results and measure nothing."""


def wander(image: np.ndarray, shape: tuple[int, int], count: int) -> list[np.ndarray]:
    """Windows of this shape that go around once over an image `[H, W, 3]`.

    Raises:
        InputError: the image is smaller than a window.
    """
    free = [side - length for side, length in zip(image.shape[:2], shape, strict=True)]
    if min(free) < 0:
        raise InputError(f"image of {image.shape[:2]}: frames of {shape} HR pixels do not fit")
    frames = []
    for angle in np.linspace(0.0, 2 * np.pi, count, endpoint=False):
        row, column = (
            round(f * (1 + w) / 2)
            for f, w in zip(free, (np.sin(angle), np.cos(angle)), strict=True)
        )
        frames.append(image[row : row + shape[0], column : column + shape[1]])
    return frames


@dataclasses.dataclass(frozen=True)
class Case:
    """What all four streams share."""

    options: Options
    bundle: Bundle
    rungs: Sequence[Rung]
    """The members that hold the rate on a free machine."""
    lr: Sequence[np.ndarray]
    psnr_y: dict[str, list[float]]
    """Of each member, by frame."""

    def source(self) -> Iterator[tuple[np.ndarray, Fraction]]:
        """Frames with their times."""
        rate = Fraction(self.options.fps).limit_denominator(1000)
        for number in range(round(self.options.seconds * self.options.fps)):
            yield self.lr[number % len(self.lr)], number / rate

    def schedule(self) -> list[tuple[float, int]]:
        """Of this many seconds."""
        return [(at * self.options.seconds / 60.0, count) for at, count in SCHEDULE]


def make_case(options: Options) -> tuple[Case, Bank]:
    """Frames, members, and what each member makes of each frame."""
    bundle = find_bundle(options.bundle)
    scale, (rows, columns) = bundle.space.scale, options.frame
    image = load_source(options.source, scale)[-1].hr
    hr = wander(crop_to_scale(image, scale), (rows * scale, columns * scale), options.frames)
    lr = [downscale(np.ascontiguousarray(frame), scale) for frame in hr]
    bank = Bank(bundle, output="host")
    bank.prepare(options.frame)
    period_ms = 1e3 / options.fps
    every = measure_rungs(bank.dispatch, lr[0], bundle.members, deadline_ms=period_ms)
    rungs = [rung for rung in every if rung.frame_ms <= FREE * period_ms]
    if len(rungs) < 2:
        raise InputError(
            f"fps {options.fps}: {len(rungs)} members take up to {FREE:.0%} of a period; two are needed"
        )
    quality = {
        rung.name: [
            min(MOST_DB, float(psnr_y(bank(x, rung.name), y, scale)))
            for x, y in zip(lr, hr, strict=True)
        ]
        for rung in rungs
    }
    return Case(options, bundle, rungs, lr, quality), bank


def run_stream(case: Case, dispatch: Dispatch, policy: Policy[Any]) -> tuple[Trace, Any]:
    """One stream beside its load, and when the load changed."""
    options = StreamOptions(case.options.fps, real_time=True)
    stream = Stream(dispatch, policy, case.rungs, options)
    with burners.burning(case.schedule()) as load:
        trace = stream.run(case.source(), lambda image, time: None)
    return trace, load.log


def reloading(case: Case, folder: pathlib.Path) -> Dispatch:
    """Frames through a server that holds one member at a time."""
    shelf = write_shelf(folder, case.bundle, [rung.name for rung in case.rungs])
    server = ReloadCached(shelf, ExecutableCache(folder / "executables"))
    server.prepare(case.options.frame)
    current = ""

    def dispatch(frame: np.ndarray, member: str) -> jax.Array:
        nonlocal current
        if member != current:
            server.switch(member)
            current = member
        return server.dispatch(frame, member)

    return dispatch


def measure(options: Options) -> dict[str, Any]:
    """All four streams, one after the other."""
    case, bank = make_case(options)
    folder = pathlib.Path(tempfile.mkdtemp())
    smallest, largest = case.rungs[0].name, case.rungs[-1].name
    strategies: dict[str, tuple[Callable[[], Dispatch], Policy[Any]]] = {
        "adaptive": (lambda: bank.dispatch, AdaptivePolicy()),
        "fixed largest": (lambda: bank.dispatch, FixedPolicy(largest)),
        "fixed smallest": (lambda: bank.dispatch, FixedPolicy(smallest)),
        "adaptive, reloading": (lambda: reloading(case, folder), AdaptivePolicy()),
    }
    rows = []
    try:
        for name, (dispatch, policy) in strategies.items():
            print(f"{name}: {options.seconds:g} s", flush=True)
            trace, load = run_stream(case, dispatch(), policy)
            true = [case.psnr_y[f.member][f.number % len(case.lr)] for f in trace.frames]
            rows.append(
                {
                    "name": name,
                    "load": load,
                    "true_psnr_y": float(np.mean(true)),
                    **trace.to_json(),
                }
            )
    finally:
        shutil.rmtree(folder)
    return {
        "device": device_name(),
        "frame": list(options.frame),
        "fps": options.fps,
        "members": [dataclasses.asdict(rung) for rung in case.rungs],
        "member_psnr_y": {name: float(np.mean(each)) for name, each in case.psnr_y.items()},
        "schedule": case.schedule(),
        "strategies": rows,
    }


def gain(result: dict[str, Any]) -> float:
    """Of the distance from the smallest to the largest member's PSNR-Y, the share that adapting gains."""
    quality = result["member_psnr_y"]
    low, high = (quality[result["members"][end]["name"]] for end in (0, -1))
    adaptive = next(row for row in result["strategies"] if row["name"] == "adaptive")
    return (adaptive["true_psnr_y"] - low) / (high - low)


def table(result: dict[str, Any]) -> str:
    """A row for each stream."""
    rows = [
        [
            row["name"],
            f"{100 * row['on_time']:.1f} %",
            str(row["late"]),
            str(row["interruptions"]),
            f"{row['longest_gap_ms']:.0f}",
            str(row["switches"]),
            f"{row['true_psnr_y']:.2f}",
        ]
        for row in result["strategies"]
    ]
    header = [
        "stream",
        "on time",
        "late",
        "interruptions",
        "longest gap ms",
        "switches",
        "PSNR-Y dB",
    ]
    members = [
        [m["name"], f"{m['frame_ms']:.1f}", f"{result['member_psnr_y'][m['name']]:.2f}"]
        for m in result["members"]
    ]
    size = "x".join(str(side) for side in reversed(result["frame"]))
    return "\n".join(
        [
            f"{result['device']}, {size}, {result['fps']:g} frames a second",
            format_table(["member", "ms at rest", "PSNR-Y dB"], members),
            "",
            format_table(header, rows),
            f"adapting gains {100 * gain(result):.0f} % of the way from the smallest to the largest member",
        ]
    )


def draw(result: dict[str, Any], out: pathlib.Path) -> None:
    """A timeline of each stream."""
    for row in result["strategies"]:
        keys = ("fps", "real_time", "trace")
        trace = trace_from_json({k: row[k] for k in keys} | {"psnr_y": result["member_psnr_y"]})
        load = [tuple(change) for change in row["load"] if change[0] <= trace.seconds]
        title = f"{row['name']}: {100 * row['on_time']:.1f} % on time, {row['true_psnr_y']:.2f} dB"
        path = out / f"steady_{row['name'].replace(', ', '_').replace(' ', '_')}.png"
        timeline_figure(path, trace, load=load, title=title)


def main() -> None:
    """Run it."""
    options = tyro.cli(Options)
    options.out.mkdir(parents=True, exist_ok=True)
    if options.recorded:
        result = json.loads(options.recorded.read_text())
    else:
        try:
            result = measure(options)
        except InputError as error:
            sys.exit(f"error: {error}")
        write_json(options.out / "steady_fps.json", result)
    draw(result, options.out)
    print(table(result))


if __name__ == "__main__":
    main()
