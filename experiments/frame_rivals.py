r"""Frames per second of members, beside PyTorch's with the same sub-graph, weights and precision.

    python experiments/frame_rivals.py --members fastest best --rounds 3 --seconds 0.6 --json FILE

Runs `dysr bench fps` and then, row by row, PyTorch on the device alone. Not in turn: on a CPU each library's
idle threads spin for a while and slow the other. `max_levels` and `mean_levels` are how far PyTorch's pixels
are from ours, of 255. Recorded: `experiments/results/fps_h200.json`.
"""

import dataclasses
import pathlib
from typing import Any, Literal

import jax
import numpy as np
import tyro
from baselines.torch_presence import torch_device, without_torch

from dysr_jax.atomic import write_json
from dysr_jax.bench import (
    OUTPUT_ROWS,
    FrameCall,
    TimeBudget,
    bench_fps,
    device_fps,
    frame_calls,
    output_size,
    photograph,
)
from dysr_jax.bundle import Bundle, find_bundle
from dysr_jax.model import served_dtype
from dysr_jax.report import format_number, format_table

TorchMode = Literal["auto", "max-autotune", "reduce-overhead", "eager"]


@dataclasses.dataclass(frozen=True)
class Options:
    """What is measured."""

    bundle: str | None = None
    """A bundle directory; default: dysr_jax's own weights."""
    scale: int | None = None
    """Side of the output over side of the input; default: the bundle's, or 4."""
    members: tuple[str, ...] = ()
    """Members' names, fastest or best; default: all."""
    outputs: tuple[int, ...] = OUTPUT_ROWS
    """Rows of the 16:9 output frames."""
    rounds: int = 5
    """Timed rounds; medians count."""
    seconds: float = 2.0
    """Time of one measurement, at most: what is begun is finished."""
    limit_s: float | None = None
    """Leave out sizes at which a frame would take longer, going by the size before."""
    dtype: str = "auto"
    """Compute dtype of both; auto is bfloat16 on accelerators and float32 on the CPU."""
    torch_mode: TorchMode = "auto"
    """How PyTorch runs; auto is max-autotune (with CUDA graphs) on a GPU and eager on a CPU, whose kernels
    are oneDNN's too."""
    json: pathlib.Path | None = None
    """Write the figures to this file too."""


def torch_mode(mode: TorchMode) -> str:
    """What `auto` stands for on this device."""
    if mode != "auto":
        return mode
    return "max-autotune" if jax.default_backend() == "gpu" else "eager"


def torch_row(bundle: Bundle, row: dict[str, Any], options: Options) -> tuple[dict[str, Any], str]:
    """PyTorch's columns of a row of `bench_fps`, and how it ran."""
    from baselines.torch_frames import FrameModule, serve

    member, scale = bundle.member(row["member"]), bundle.space.scale
    frame = photograph(output_size(int(row["output"].split("x")[1]), scale).over(scale))
    place = {"device": torch_device(), "dtype": np.dtype(bundle.net.dtype).name}
    module = FrameModule(bundle.space, bundle.params, member.arch, **place)
    served = serve(module, frame, torch_mode(options.torch_mode), place["device"])
    call = FrameCall(served.frames.start, served.frames.finish)
    budget = TimeBudget(options.rounds, options.seconds)
    fps = device_fps(call, budget, in_flight=jax.default_backend() != "cpu")
    ours, _ = frame_calls(bundle, member, frame)
    apart = np.abs(np.asarray(ours.start()).astype(np.int16) - served.frames.pixels())
    figures = {
        "torch_fps": fps,
        "over_torch": row["device_fps"] / fps,
        "max_levels": int(apart.max()),
        "mean_levels": float(apart.mean()),
    }
    return figures, served.how


def measure(options: Options) -> dict[str, Any]:
    """What `dysr bench fps` finds, with PyTorch's columns; `pytorch` says how it ran or why not."""
    bundle = find_bundle(options.bundle, options.scale)
    found = bench_fps(
        bundle,
        members=options.members,
        outputs=options.outputs,
        rounds=options.rounds,
        seconds=options.seconds,
        limit_s=options.limit_s,
        dtype=options.dtype,
    ).to_json()
    reason = without_torch()
    if reason:
        return {**found, "pytorch": reason}
    served = dataclasses.replace(bundle, dtype=served_dtype(options.dtype))
    ways: dict[str, None] = {}
    rows = []
    for row in found["rows"]:
        figures, how = torch_row(served, row, options)
        ways[how] = None
        rows.append({**row, **figures})
    return {**found, "rows": tuple(rows), "pytorch": "; ".join(ways)}


def table(result: dict[str, Any]) -> str:
    """A row per member and size."""
    rows = result["rows"]
    cells = [[format_number(v) if isinstance(v, float) else str(v) for v in row.values()] for row in rows]
    head = f"{result['device']}, x{result['scale']}, {result['dtype']}; PyTorch: {result['pytorch']}"
    return f"{head}\n{format_table(list(rows[0]), cells)}"


def main() -> None:
    """Run it."""
    options = tyro.cli(Options)
    result = measure(options)
    print(table(result))
    if options.json:
        write_json(options.json, result)


if __name__ == "__main__":
    main()
