"""A stream in real time while other programs take the processor: what holds the rate, at what quality.

What the streams of the steady-rate experiment share: frames, members, what each makes of each frame.
"""

import dataclasses
import math
import os
import pathlib
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import Any, Final

import jax
import numpy as np

from dysr_jax.aot import ExecutableCache
from dysr_jax.bench.burners import Schedule, burning
from dysr_jax.bench.switch import ReloadCached, write_shelf
from dysr_jax.bundle import Bundle, find_bundle
from dysr_jax.data import crop_to_scale, downscale, load_source
from dysr_jax.device import device_name
from dysr_jax.errors import InputError
from dysr_jax.fields import normalise
from dysr_jax.metrics import PSNR_CAP_DB, psnr_y
from dysr_jax.runtime import Bank, Dispatch, Stream, StreamOptions, Trace, measure_rungs
from dysr_jax.runtime.policy import AdaptivePolicy, FixedPolicy, Policy, Rung

SCHEDULE: Final = ((0.0, 0), (1 / 6, 2), (1 / 3, 0), (1 / 2, 4), (2 / 3, 1), (5 / 6, 0))
"""Busy processes from these parts of the time on: the machine is free half of it."""

FREE: Final = 0.7
"""Share of a frame's period that the largest member may take on a free machine."""


@dataclasses.dataclass(frozen=True)
class SteadyOptions:
    """What is streamed."""

    source: str = "embedded"
    """HR images over whose last one (the held-out one of `embedded`) the frames wander, as `data.source`."""
    frame: tuple[int, int] = (116, 124)
    """LR rows and columns."""
    fps: float = 30.0
    """Frames a second."""
    seconds: float = 60.0
    """Of each stream; the schedule of busy processes is stretched to it."""
    frames: int = 48
    """Different frames, which are repeated."""

    def __post_init__(self) -> None:
        normalise(self)


@dataclasses.dataclass(frozen=True, eq=False)
class Case:
    """What all streams share."""

    options: SteadyOptions
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

    def schedule(self) -> Schedule:
        """Seconds, and the busy processes from then on."""
        return [(part * self.options.seconds, count) for part, count in SCHEDULE]


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
            round(f * (1 + w) / 2) for f, w in zip(free, (np.sin(angle), np.cos(angle)), strict=True)
        )
        frames.append(image[row : row + shape[0], column : column + shape[1]])
    return frames


def _check(options: SteadyOptions) -> None:
    if not 0.0 < options.fps <= 1000.0:
        raise InputError(f"fps {options.fps}: allowed is above 0, up to 1000")
    if not 1.0 <= options.seconds * options.fps < math.inf:
        least = 1.0 / options.fps
        raise InputError(f"seconds {options.seconds}: allowed is {least:.3g} or more, a frame's time")
    if options.frames < 1:
        raise InputError(f"frames {options.frames}: allowed is 1 or more")
    if min(options.frame) < 1:
        raise InputError(f"frame {options.frame}: allowed are rows and columns of 1 or more")


def make_case(bundle: Bundle, options: SteadyOptions) -> tuple[Case, Bank]:
    """Frames, members, and what each member makes of each frame.

    Args:
        bundle: the members.
        options: of the streams.

    Returns:
        The case, and the bank that is ready for its frames.

    Raises:
        InputError: an option that cannot be, an unknown source, an image smaller than a frame, or
            fewer than two members that hold the rate.
    """
    _check(options)
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
        quickest = min(rung.frame_ms for rung in every)
        raise InputError(
            f"fps {options.fps}: {len(rungs)} members take up to {FREE:.0%} of a period, the fastest "
            f"{quickest:.1f} ms; two are needed (fewer fps, or a smaller frame)"
        )
    quality = {
        rung.name: [
            min(PSNR_CAP_DB, float(psnr_y(bank(x, rung.name), y, scale))) for x, y in zip(lr, hr, strict=True)
        ]
        for rung in rungs
    }
    return Case(options, bundle, rungs, lr, quality), bank


Say = Callable[[str], Any]


def bench_steady(
    bundle: str | os.PathLike[str] | None = None, options: SteadyOptions | None = None, *, say: Say = print
) -> dict[str, Any]:
    """Does a stream hold its rate while other programs come and go?

    Sends the same frames at the same rate through the same members, beside the same schedule of busy
    processes, four times: with the adaptive policy, with the largest member that holds the rate on a free
    machine, with the smallest, and with the adaptive policy where a switch drops a member and loads the next
    one's weights and (cached) executable from disk, as without a resident meta-graph. Nothing is encoded.

    Args:
        bundle: a bundle directory; without one the weights that come with the package.
        options: of the streams; those of `SteadyOptions()` without.
        say: called with a line as each stream begins.

    Returns:
        Device, members, schedule, and `strategies` with a row for each stream: when the load changed,
        `true_psnr_y` (of each frame by the member that made it, against its HR frame, worked out beforehand),
        and `Trace.to_json`.

    Raises:
        InputError: no such bundle, or options that cannot be (see `make_case`).
    """
    case, bank = make_case(find_bundle(bundle), options or SteadyOptions())
    folder = pathlib.Path(tempfile.mkdtemp(prefix="dysr_"))
    try:
        rows = []
        for name, (dispatch, policy) in _strategies(case, bank, folder).items():
            say(f"{name}: {case.options.seconds:g} s")
            rows.append(_row(name, case, *_run(case, dispatch(), policy)))
    finally:
        shutil.rmtree(folder)
    return {
        "device": device_name(),
        "frame": list(case.options.frame),
        "fps": case.options.fps,
        "members": [dataclasses.asdict(rung) for rung in case.rungs],
        "member_psnr_y": {name: float(np.mean(each)) for name, each in case.psnr_y.items()},
        "schedule": list(case.schedule()),
        "strategies": rows,
    }


def _strategies(
    case: Case, bank: Bank, folder: pathlib.Path
) -> dict[str, tuple[Callable[[], Dispatch], Policy[Any]]]:
    """Name to what makes the frames, and what chooses the member."""
    smallest, largest = case.rungs[0].name, case.rungs[-1].name
    return {
        "adaptive": (lambda: bank.dispatch, AdaptivePolicy()),
        "fixed largest": (lambda: bank.dispatch, FixedPolicy(largest)),
        "fixed smallest": (lambda: bank.dispatch, FixedPolicy(smallest)),
        "adaptive, reloading": (lambda: _reloading(case, folder), AdaptivePolicy()),
    }


def _run(case: Case, dispatch: Dispatch, policy: Policy[Any]) -> tuple[Trace, Any]:
    """One stream beside its load, and when the load changed."""
    options = StreamOptions(case.options.fps, real_time=True)
    stream = Stream(dispatch, policy, case.rungs, options)
    with burning(case.schedule()) as load:
        trace = stream.run(case.source(), lambda image, time: None)
    return trace, load.log


def _row(name: str, case: Case, trace: Trace, load: Any) -> dict[str, Any]:
    true = [case.psnr_y[f.member][f.number % len(case.lr)] for f in trace.frames]
    return {"name": name, "load": load, "true_psnr_y": float(np.mean(true)), **trace.to_json()}


def _reloading(case: Case, folder: pathlib.Path) -> Dispatch:
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
