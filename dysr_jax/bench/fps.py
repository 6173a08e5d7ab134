"""Frames a second of a bundle's members at the sizes of screens, with PyTorch beside them."""

import dataclasses
import functools
import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import jax
import numpy as np

from dysr_jax.bench.frames import OUTPUTS, Budget, Call, device_fps, end_to_end, output_size, photograph
from dysr_jax.bench.torch import torch_device, without_torch
from dysr_jax.bundle import Bundle, Member, check_bundle
from dysr_jax.device import device_name, host_memory
from dysr_jax.errors import InputError
from dysr_jax.model import arch_params, compile_static, served_dtype

if TYPE_CHECKING:
    from dysr_jax.bench.torch import Served

DEPTH: Final = 3
"""Frames under way end to end on an accelerator: one comes, one is computed, one goes."""

TorchMode = Literal["auto", "max-autotune", "reduce-overhead", "eager"]
Row = dict[str, Any]


class Case(NamedTuple):
    """A member at a size."""

    bundle: Bundle
    member: Member
    frame: np.ndarray
    """LR, `[H, W, 3]` uint8 on the host."""
    budget: Budget


def _ours(case: Case) -> tuple[Call, Call]:
    """The static program from device to device, and from host to host."""
    bundle, arch, shape = case.bundle, case.member.arch, case.frame.shape[:2]
    read = jax.device_put(arch_params(bundle.params, bundle.space, arch))
    compiled = functools.partial(compile_static, bundle.net, arch, read, shape)
    memory = host_memory()
    run = compiled()
    to_host = compiled(output="host") if memory else run
    frame = jax.device_put(case.frame)
    # Frames differ, as a video's do.
    frames = itertools.cycle([np.roll(case.frame, shift, 1) for shift in range(4)])

    def start() -> jax.Array:
        output = to_host(read, next(frames))
        if memory is None:  # else it is on its way, and NumPy reads it where it arrives
            output.copy_to_host_async()
        return output

    return Call(lambda: run(read, frame), jax.block_until_ready), Call(start, np.asarray)


def _torch(case: Case, mode: str) -> "Served":
    """PyTorch's module of the same sub-graph, weights and precision, ready for the frame."""
    from dysr_jax.bench.torch import FrameModule, serve

    bundle, device = case.bundle, torch_device()
    assert device is not None
    dtype = np.dtype(bundle.net.dtype).name
    module = FrameModule(bundle.space, bundle.params, case.member.arch, device=device, dtype=dtype)
    return serve(module, case.frame, mode, device)


def _measure(case: Case, mode: str | None) -> tuple[Row, str]:
    """A row's figures, and how PyTorch was run; it is left out without a mode."""
    accelerated = jax.default_backend() != "cpu"
    ours, through = _ours(case)
    device = device_fps(ours, case.budget, in_flight=accelerated)
    host = end_to_end(through, case.budget, depth=DEPTH if accelerated else 1)
    row = {
        "device_fps": device,
        "end_to_end_fps": host.fps,
        "ratio": host.fps / device,
        "p50_ms": host.p50_ms,
        "p99_ms": host.p99_ms,
    }
    if not mode:
        return row, ""
    # Not in turn with ours: on a CPU each library's idle threads spin for a while and slow the other.
    served = _torch(case, mode)
    other = Call(served.frames.start, served.frames.finish)
    fps = device_fps(other, case.budget, in_flight=accelerated)
    apart = np.abs(np.asarray(ours.start()).astype(np.int16) - served.frames.pixels())
    beside = {
        "torch_fps": fps,
        "over_torch": device / fps,
        "max_levels": int(apart.max()),
        "mean_levels": float(apart.mean()),
    }
    return {**row, **beside}, served.how


def _torch_mode(mode: TorchMode) -> str:
    """`auto` compiles with CUDA graphs on a GPU; on a CPU it is eager, whose kernels are oneDNN's too."""
    if mode != "auto":
        return mode
    return "max-autotune" if jax.default_backend() == "gpu" else "eager"


def _check(rounds: int, seconds: float, limit_s: float | None) -> None:
    if rounds < 1:
        raise InputError(f"rounds {rounds}: allowed is 1 or more")
    for name, value in (("seconds", seconds), ("limit_s", limit_s)):
        if value is not None and not value > 0:
            raise InputError(f"{name} {value}: allowed is above 0")


def bench_fps(
    bundle: Bundle,
    *,
    members: Sequence[str] = (),
    outputs: Sequence[int] = OUTPUTS,
    rounds: int = 5,
    seconds: float = 2.0,
    limit_s: float | None = None,
    dtype: str = "auto",
    torch: bool = True,
    torch_mode: TorchMode = "auto",
) -> dict[str, Any]:
    """Frames a second of members by output size, uint8 in and out.

    `device_fps` is of frames that are on the device and stay there, in flight one behind the other (on a CPU
    one after the other). `end_to_end_fps` is from a NumPy array to a NumPy array, three frames under way, the
    output written to pinned memory where the backend has it; `p50_ms` and `p99_ms` are from a frame to the
    next. `ratio` is end to end over device. `torch_fps` is device only, of the same sub-graph, weights and
    precision; `max_levels` and `mean_levels` are how far its output is from ours, of 255.

    Args:
        bundle: of the members.
        members: names, `fastest`, `best`; without any, all.
        outputs: rows of the output frames, 16:9.
        rounds: of a measurement; medians count.
        seconds: of a measurement, over all its rounds.
        limit_s: leave out sizes at which a frame would take longer, going by the size before.
        dtype: compute dtype of both; `auto` is bfloat16 on accelerators and float32 on the CPU, which
            takes no other.
        torch: measure PyTorch where it can be imported.
        torch_mode: of `torch.compile`, or `eager`.

    Returns:
        Device, scale, dtype, frames in flight, where outputs go, `pytorch` (the mode, or why it is left out),
        `rows`, and `left_out`, the sizes beyond `limit_s`.

    Raises:
        InputError: no such member or dtype, a size that the scale does not divide, or a number out of range.
    """
    check_bundle(bundle)
    _check(rounds, seconds, limit_s)
    scale = bundle.space.scale
    if not outputs:
        raise InputError("outputs (): allowed is one or more")
    sizes = sorted({output_size(height, scale) for height in outputs})
    served = dataclasses.replace(bundle, dtype=served_dtype(dtype))
    chosen = [served.member(name) for name in members] or list(served.members)
    reason = without_torch() if torch else "left out, as asked"
    mode = _torch_mode(torch_mode)
    budget = Budget(rounds, seconds)
    rows: list[Row] = []
    left_out: list[Row] = []
    ways: dict[str, None] = {}
    for member in chosen:
        frame_s = 0.0
        for size, before in zip(sizes, [sizes[0], *sizes], strict=False):
            frame_s *= size.pixels / before.pixels
            named: Row = {"member": member.name, "output": str(size)}
            if limit_s is not None and frame_s > limit_s:
                left_out.append({**named, "expected_s": frame_s})
                continue
            case = Case(served, member, photograph(size.over(scale)), budget)
            row, how = _measure(case, None if reason else mode)
            frame_s = 1.0 / row["device_fps"]
            ways[how] = None
            rows.append({**named, **row})
    return {
        "device": device_name(),
        "scale": scale,
        "dtype": np.dtype(served.net.dtype).name,
        "in_flight": DEPTH if jax.default_backend() != "cpu" else 1,
        "output_memory": "pinned_host" if host_memory() else "device",
        "pytorch": reason or "; ".join(ways),
        "rows": rows,
        "left_out": left_out,
    }
