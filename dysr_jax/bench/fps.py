"""Frames per second of a bundle's members at the sizes of screens."""

import dataclasses
import functools
import itertools
import time
from collections.abc import Callable, Sequence
from typing import Final

import jax
import numpy as np

from dysr_jax.aot import backend_name, find_provider, tune_static
from dysr_jax.bench import frames
from dysr_jax.bench.frames import OUTPUT_ROWS, FrameCall, TimeBudget
from dysr_jax.bench.rivals import choose_rivals, rival_call
from dysr_jax.bench.setup import BenchResult
from dysr_jax.bundle import Bundle, Member, check_bundle
from dysr_jax.device import device_name, host_memory
from dysr_jax.fields import require
from dysr_jax.model import arch_params, compile_static, served_dtype
from dysr_jax.runtime import OnnxBank, OnnxModel, open_rivals
from dysr_jax.timing import median_ms

ONNX_SUFFIX: Final = ".onnx"
PIPELINE_DEPTH: Final = 3
"""Frames under way end to end on an accelerator: one comes, one is computed, one goes."""


@dataclasses.dataclass(frozen=True)
class FpsRow:
    """A member at a size: on the device, in flight one behind the other (on a CPU one after the other), and
    from NumPy array to NumPy array, `ratio` times as fast; percentiles are from a frame to the next.
    """

    member: str
    output: str
    device_fps: float
    end_to_end_fps: float
    ratio: float
    p50_ms: float
    p99_ms: float


@dataclasses.dataclass(frozen=True)
class LeftOut:
    """A member at a size beyond `limit_s`, with the seconds that a frame would take."""

    member: str
    output: str
    expected_s: float


@dataclasses.dataclass(frozen=True)
class RivalRow:
    """A member at a size in another runtime, or another network at that size, from NumPy array to NumPy
    array, in turn with ours: `ratio` is our time over that of the rival, and `best_ratio` that over the
    fastest one's.
    """

    member: str
    output: str
    rival: str
    rival_ms: float
    ours_ms: float
    ratio: float
    best_ratio: float
    max_abs_diff: int | None
    """Of pixels, in levels; above 1 the rival computes something else. None: it is another network."""


@dataclasses.dataclass(frozen=True)
class FpsResult(BenchResult):
    """What `bench_fps` found; `in_flight` frames were under way end to end."""

    device: str
    scale: int
    dtype: str
    in_flight: int
    output_memory: str
    runtime: str
    """`xla`, or `onnxruntime 1.32.0 cpu`."""
    rows: tuple[FpsRow, ...]
    left_out: tuple[LeftOut, ...]
    rivals: tuple[RivalRow, ...] = ()


def frame_calls(
    bundle: Bundle, member: Member, frame: np.ndarray, backend: str = "auto"
) -> tuple[FrameCall, FrameCall]:
    """A member from device to device, and from host to host; in ONNX Runtime both are from host to host.

    `frame` is LR, `[H, W, 3]` uint8 on the host.
    """
    arch, shape = member.arch, frame.shape[:2]
    video = itertools.cycle([np.roll(frame, shift, 1) for shift in range(4)])  # its frames differ
    if find_provider(backend) is not None:
        server = OnnxBank(bundle, backend)
        server.prepare((shape[0], shape[1]), [member.name])
        call = FrameCall(lambda: server(next(video), member.name), np.asarray)
        return call, call
    read = jax.device_put(arch_params(bundle.params, bundle.space, arch))
    form = tune_static(bundle.net, arch, read, shape)
    compiled = functools.partial(compile_static, bundle.net, arch, read, shape, form=form)
    memory = host_memory()
    run, on_device = compiled(), jax.device_put(frame)
    to_host = compiled(output="host") if memory else run

    def start() -> jax.Array:
        output = to_host(read, next(video))
        if memory is None:  # else it is on its way, and NumPy reads it where it arrives
            output.copy_to_host_async()
        return output

    return FrameCall(lambda: run(read, on_device), jax.block_until_ready), FrameCall(start, np.asarray)


def _accelerated(backend: str) -> bool:
    """Whether frames are in flight: ONNX Runtime is waited for."""
    return jax.default_backend() != "cpu" and find_provider(backend) is None


def _measure(
    bundle: Bundle, member: Member, output: str, frame: np.ndarray, budget: TimeBudget, backend: str
) -> FpsRow:
    accelerated = _accelerated(backend)
    on_device, through = frame_calls(bundle, member, frame, backend)
    host = frames.end_to_end(through, budget, depth=PIPELINE_DEPTH if accelerated else 1)
    alone = on_device is not through
    device = frames.device_fps(on_device, budget, in_flight=accelerated) if alone else host.fps
    return FpsRow(member.name, output, device, host.fps, host.fps / device, host.p50_ms, host.p99_ms)


def _race(
    bundle: Bundle,
    member: Member,
    output: str,
    frame: np.ndarray,
    runtimes: Sequence[str],
    models: Sequence[OnnxModel],
    budget: TimeBudget,
    backend: str,
) -> list[RivalRow]:
    """A row per rival, beside us and the others; `frame` as of `frame_calls`."""
    _, through = frame_calls(bundle, member, frame, backend)
    calls: dict[str, Callable[[], object]] = {"": lambda: through.finish(through.start())}
    expected = np.asarray(through.start())  # its first frame is `frame`
    levels: dict[str, int | None] = {model.name: None for model in models}
    calls |= {model.name: functools.partial(model, frame) for model in models}
    for name in runtimes:
        rival = rival_call(name, bundle, member, frame.shape[:2])
        levels[name] = int(np.abs(rival(frame).astype(np.int16) - expected).max())
        calls[name] = functools.partial(rival, frame)
    begin = time.perf_counter()
    for call in calls.values():
        call()
    turn_s = time.perf_counter() - begin
    ms = median_ms(calls, max(1, min(budget.rounds, round(len(calls) * budget.seconds / turn_s))), warmup=0)
    ours, best = ms.pop(""), min(ms.values())
    return [
        RivalRow(member.name, output, name, ms[name], ours, ours / ms[name], ours / best, levels[name])
        for name in levels
    ]


def bench_fps(
    bundle: Bundle,
    *,
    members: Sequence[str] = (),
    outputs: Sequence[int] = OUTPUT_ROWS,
    rounds: int = 5,
    seconds: float = 2.0,
    limit_s: float | None = None,
    dtype: str = "auto",
    rivals: Sequence[str] = (),
    backend: str = "auto",
) -> FpsResult:
    """Frames per second of members by output size, uint8 in and out.

    `members` are names, `fastest` or `best`; without any, all. `outputs` are rows of 16:9 output frames. A
    measurement takes `rounds`, whose median counts, or `seconds`. Sizes at which a frame would take longer
    than `limit_s`, going by the size before, are left out. `dtype` is the compute dtype; `auto` is bfloat16
    on accelerators and float32 on the CPU, which takes no other. On a CPU each member can be measured beside
    `rivals`: onnxruntime, openvino and torch, or all that can be imported; and beside networks of others, by
    their files, MODEL.onnx (`OnnxModel`). `backend` is what runs the members (`dysr_jax.aot.find_provider`).

    Raises InputError: no such member, dtype or rival, a size that the scale does not divide, or a number out
    of range.
    """
    check_bundle(bundle)
    require(rounds >= 1, "rounds", rounds, "at least 1")
    require(seconds > 0, "seconds", seconds, "above 0")
    require(limit_s is None or limit_s > 0, "limit_s", limit_s, "above 0")
    require(bool(outputs), "outputs", outputs, "one or more")
    scale = bundle.space.scale
    sizes = sorted({frames.output_size(height, scale) for height in outputs})
    if find_provider(backend) is not None:
        require(dtype in ("auto", "float32"), "dtype", dtype, "auto or float32 in ONNX Runtime")
        dtype = "float32"
    served = dataclasses.replace(bundle, dtype=served_dtype(dtype))
    chosen = [served.member(name) for name in members] or list(served.members)
    budget = TimeBudget(rounds, seconds)
    files = [name for name in rivals if str(name).lower().endswith(ONNX_SUFFIX)]
    runtimes = choose_rivals([name for name in rivals if name not in files])
    models = open_rivals(files, scale, backend)
    for model, size in itertools.product(models, sizes):
        model.check_size(size.over(scale))
    rows: list[FpsRow] = []
    raced: list[RivalRow] = []
    left_out: list[LeftOut] = []
    for member in chosen:
        frame_s = 0.0
        for size, before in zip(sizes, [sizes[0], *sizes], strict=False):
            frame_s *= size.pixels / before.pixels
            if limit_s is not None and frame_s > limit_s:
                left_out.append(LeftOut(member.name, str(size), frame_s))
                continue
            frame = frames.photograph(size.over(scale))
            rows.append(_measure(served, member, str(size), frame, budget, backend))
            if runtimes or models:
                raced += _race(served, member, str(size), frame, runtimes, models, budget, backend)
            frame_s = 1.0 / rows[-1].device_fps
    return FpsResult(
        device=device_name(),
        scale=scale,
        dtype=np.dtype(served.net.dtype).name,
        in_flight=PIPELINE_DEPTH if _accelerated(backend) else 1,
        runtime=backend_name(backend) or "xla",
        output_memory="pinned_host" if host_memory() else "device",
        rows=tuple(rows),
        left_out=tuple(left_out),
        rivals=tuple(raced),
    )
