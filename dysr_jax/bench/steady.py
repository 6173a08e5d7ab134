"""A stream in real time while other programs take the processor: what holds the rate, at what quality."""

import dataclasses
import math
import os
import pathlib
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any, Final

import numpy as np

from dysr_jax.aot import ExecutableCache
from dysr_jax.bench.burners import Burners
from dysr_jax.bench.steady_result import AGAINST, SteadyResult, SteadyStream
from dysr_jax.bench.switch import Reload, write_weights_store
from dysr_jax.bundle import Bundle, find_bundle
from dysr_jax.data import bicubic_downscale, crop_to_scale, load_source
from dysr_jax.device import device_name
from dysr_jax.errors import InputError
from dysr_jax.fields import normalise, require
from dysr_jax.metrics import PSNR_CAP_DB, psnr_y
from dysr_jax.runtime import Bank, Stream, StreamOptions, measure_timings
from dysr_jax.runtime.policy import AdaptivePolicy, FixedPolicy, MemberTiming, Policy

LOAD: Final = ((0.0, 0), (1 / 6, 2), (1 / 3, 0), (1 / 2, 4), (2 / 3, 1), (5 / 6, 0))
"""Busy processes from these parts of the time on: the machine is free half of it."""
LARGEST_SHARE: Final = 0.7  # share of a frame's period that the largest member may take on a free machine


@dataclasses.dataclass(frozen=True)
class SteadyOptions:
    """What is streamed."""

    source: str = "embedded"
    """HR images over whose last one (the held-out one of `embedded`) the frames wander, as `data.source`."""
    frame: tuple[int, int] = (116, 124)
    """LR rows and columns."""
    fps: float = 30.0
    """Frames per second."""
    seconds: float = 60.0
    """Of each stream; the schedule of busy processes is stretched to it."""
    frames: int = 48
    """Different frames, which are repeated."""

    def __post_init__(self) -> None:
        normalise(self)


@dataclasses.dataclass(frozen=True, eq=False)
class SteadyCase:
    """What all streams of a bundle share."""

    options: SteadyOptions
    bank: Bank  # ready for the frames
    members: Sequence[MemberTiming]  # those that hold the rate on a free machine
    lr: Sequence[np.ndarray]
    psnr_y: dict[str, list[float]]  # of each member, by frame

    def source(self) -> Iterator[tuple[np.ndarray, Fraction]]:
        """Frames with their times."""
        rate = Fraction(self.options.fps).limit_denominator(1000)
        for number in range(round(self.options.seconds * self.options.fps)):
            yield self.lr[number % len(self.lr)], number / rate

    @property
    def schedule(self) -> tuple[tuple[float, int], ...]:
        """Seconds, and the busy processes from then on."""
        return tuple((part * self.options.seconds, count) for part, count in LOAD)


STRATEGIES: Final[Mapping[str, Callable[[SteadyCase, pathlib.Path], tuple[Bank | Reload, Policy[Any]]]]] = {
    "adaptive": lambda case, _: (case.bank, AdaptivePolicy()),
    "fixed largest": lambda case, _: (case.bank, FixedPolicy(case.members[-1].name)),
    "fixed smallest": lambda case, _: (case.bank, FixedPolicy(case.members[0].name)),
    "adaptive, reloading": lambda case, folder: (_reloading(case, folder), AdaptivePolicy()),
}
"""What is compared; a folder is for what a strategy keeps on disk."""


def moving_windows(image: np.ndarray, shape: tuple[int, int], count: int) -> list[np.ndarray]:
    """Windows of this shape that go around once over an image `[H, W, 3]`, which must be as large."""
    free = [side - length for side, length in zip(image.shape[:2], shape, strict=True)]
    if min(free) < 0:
        raise InputError(f"frame of {shape} HR pixels: must fit into the image of {image.shape[:2]}")
    frames = []
    for angle in np.linspace(0.0, 2 * np.pi, count, endpoint=False):
        row, column = round(free[0] * (1 + np.sin(angle)) / 2), round(free[1] * (1 + np.cos(angle)) / 2)
        frames.append(image[row : row + shape[0], column : column + shape[1]])
    return frames


def make_case(bundle: Bundle, options: SteadyOptions) -> SteadyCase:
    """Frames, members, and what each member makes of each frame.

    An InputError says that an option is out of range, the image smaller than a frame, or no two members fit.
    """
    require(0.0 < options.fps <= 1000.0, "fps", options.fps, "in (0, 1000]")
    long_enough = 1.0 <= options.seconds * options.fps < math.inf
    require(long_enough, "seconds", options.seconds, f"at least {1.0 / options.fps:.3g}, a frame's time")
    require(options.frames >= 1, "frames", options.frames, "at least 1")
    require(min(options.frame) >= 1, "frame", options.frame, "at least one row and one column")
    scale, (rows, columns) = bundle.space.scale, options.frame
    image = load_source(options.source, scale)[-1].hr
    hr = moving_windows(crop_to_scale(image, scale), (rows * scale, columns * scale), options.frames)
    lr = [bicubic_downscale(np.ascontiguousarray(frame), scale) for frame in hr]
    bank = Bank(bundle, output="host")
    bank.prepare(options.frame)
    period_ms = 1e3 / options.fps
    timed = measure_timings(bank, lr[0], bundle.members, deadline_ms=period_ms)
    members = [member for member in timed if member.frame_ms <= LARGEST_SHARE * period_ms]
    if len(members) < 2:
        quickest = min(member.frame_ms for member in timed)
        raise InputError(
            f"fps {options.fps}: {len(members)} members take up to {LARGEST_SHARE:.0%} of a period, the "
            f"fastest {quickest:.1f} ms; two are needed (fewer fps, or a smaller frame)"
        )

    def quality(name: str) -> list[float]:
        pairs = zip(lr, hr, strict=True)
        return [min(PSNR_CAP_DB, float(psnr_y(bank(x, name), y, scale))) for x, y in pairs]

    found = {member.name: quality(member.name) for member in members}
    return SteadyCase(options, bank, members, lr, found)


def bench_steady(
    bundle: str | os.PathLike[str] | None = None,
    options: SteadyOptions | None = None,
    *,
    against: str | os.PathLike[str] | None = None,
    log: Callable[[str], Any] = print,
) -> SteadyResult:
    """Does a stream hold its rate while other programs come and go?

    Sends the same frames at the same rate through the same members, beside the same schedule of busy
    processes, four times: with the adaptive policy, with the largest member that holds the rate on a free
    machine, with the smallest, and with the adaptive policy where a switch drops a member and loads the next
    one's weights and (cached) executable from disk. Nothing is encoded. With `against`, another bundle, each
    of the four is followed by the same one through that bundle's members. `log` gets a line as each begins.

    Raises InputError: no such bundle, another scale, or see `make_case`.
    """
    options = options or SteadyOptions()
    bundles = [find_bundle(bundle), *([find_bundle(against)] if against is not None else [])]
    scales = [each.space.scale for each in bundles]
    if len(set(scales)) > 1:
        raise InputError(f"against {os.fspath(against or '')!r}: must be for x{scales[0]}, got x{scales[1]}")
    cases = [make_case(each, options) for each in bundles]
    streams: list[list[SteadyStream]] = [[] for _ in cases]
    with tempfile.TemporaryDirectory(prefix="dysr_") as folder:
        for strategy, start in STRATEGIES.items():
            for place, case in enumerate(cases):
                log(f"{strategy}{AGAINST * place}: {options.seconds:g} s")
                server, policy = start(case, pathlib.Path(folder, str(place)))
                streams[place].append(_run(strategy, case, server, policy))
    first, *rest = map(_result, cases, streams)
    return dataclasses.replace(first, against=rest[0] if rest else None)


def _result(case: SteadyCase, streams: Sequence[SteadyStream]) -> SteadyResult:
    return SteadyResult(
        device=device_name(),
        frame=case.options.frame,
        fps=case.options.fps,
        members=tuple(case.members),
        member_psnr_y={name: float(np.mean(each)) for name, each in case.psnr_y.items()},
        schedule=case.schedule,
        strategies=tuple(streams),
    )


def _run(name: str, case: SteadyCase, server: Bank | Reload, policy: Policy[Any]) -> SteadyStream:
    options = StreamOptions(case.options.fps, real_time=True, repeat_threshold=-1)
    stream = Stream(server, policy, case.members, options)
    with Burners(case.schedule) as load:
        trace = stream.run(case.source(), lambda image, time: None)
    true = np.array([case.psnr_y[f.member][f.number % len(case.lr)] for f in trace.frames])
    on_time = [not f.late for f in trace.frames]
    came = len(trace.frames) + trace.dropped
    return SteadyStream(name, trace, load.log, float(true.mean()), float((true * on_time).sum() / came))


def _reloading(case: SteadyCase, folder: pathlib.Path) -> Reload:
    folder.mkdir()
    store = write_weights_store(folder, case.bank.bundle, [member.name for member in case.members])
    server = Reload(store, ExecutableCache(folder / "executables"))
    server.prepare(case.options.frame)
    return server
