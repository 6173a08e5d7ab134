r"""What a switch between compiled paths costs, by how they are served, and what each way takes of the device.

Runs `dysr bench switch` on a bundle and draws it:

    python experiments/switch_latency.py --out runs/switching --bundle runs/mine/bundle --frame 90 160

or draws and prints what an earlier run or `dysr bench switch --json FILE` measured:

    python experiments/switch_latency.py --out runs/switching \
        --recorded experiments/results/switch_quickstart_cpu.json
"""

import dataclasses
import json
import pathlib
import sys
from collections.abc import Mapping
from typing import Any

import tyro

from dysr_jax.atomic import write_json
from dysr_jax.bench.switch import bench_switch
from dysr_jax.errors import InputError
from dysr_jax.report import format_number, switch_tables
from dysr_jax.report.plots import finished, save_figure, switching_figure


@dataclasses.dataclass(frozen=True)
class Options:
    """What is measured, or drawn."""

    out: pathlib.Path
    """Folder for the results."""
    bundle: pathlib.Path | None = None
    """A bundle directory; without it the weights that come with the package."""
    scale: int | None = None
    """Of the package's weights; 4 without it."""
    frame: tuple[int, int] | None = None
    """LR rows and columns; without them the bundle's."""
    members: tuple[str, ...] = ()
    """Names; without any, all that hold the frame rate at rest."""
    switches: int = 200
    """Switches of each strategy."""
    fps: float = 30.0
    """Frames a second that are due."""
    recorded: pathlib.Path | None = None
    """Draw these results and measure nothing."""


def measure(options: Options) -> dict[str, Any]:
    """Run the benchmark."""
    return bench_switch(
        options.bundle,
        scale=options.scale,
        frame=options.frame,
        members=options.members,
        switches=options.switches,
        fps=options.fps,
        progress=True,
    ).to_json()


def ratios(result: Mapping[str, Any]) -> list[str]:
    """What the comparison comes to, a line each, as far as the strategies are there."""
    rows = {
        name: {**row, "resident_bytes": row["weight_bytes"] + row["executable_bytes"]}
        for name, row in finished(result).items()
    }
    lines = []
    for name, row in rows.items():
        lines.append(
            f"{name}: first frames reach {row['switch_over_steady_p99']:.3g} times the same member's "
            f"steady p99 (their p99)"
        )
    for name in ("reload_cached", "reload_compiled", "ensemble", "lax_switch", "chained"):
        lines += _line(rows, "first frame, p50", "switch_ms_p50", name, "fused")
        lines += _line(rows, "first frame, p99", "switch_ms_p99", name, "fused")
    lines += _line(rows, "weights", "weight_bytes", "fused", "ensemble")
    for name in ("fused", "chained", "lax_switch"):
        lines += _line(rows, "weights and executables", "resident_bytes", name, "ensemble")
        lines += _line(rows, "memory of the device", "device_bytes", name, "ensemble")
    for name, row in rows.items():
        if row["ready_warm_s"] is not None:
            ratio = row["ready_warm_s"] / row["ready_s"]
            lines.append(f"ready, {name} from its cache / compiled: {format_number(ratio)}")
    return lines


def _line(rows: Mapping[str, Mapping[str, Any]], what: str, key: str, name: str, other: str) -> list[str]:
    """Nothing where one of the two failed or was not measured."""
    if name not in rows or other not in rows or not rows[other][key]:
        return []
    return [f"{what}, {name} / {other}: {format_number(rows[name][key] / rows[other][key])}"]


def main() -> None:
    """Run it."""
    options = tyro.cli(Options)
    try:
        result = json.loads(options.recorded.read_text()) if options.recorded else measure(options)
    except InputError as error:
        sys.exit(f"error: {error}")
    options.out.mkdir(parents=True, exist_ok=True)
    write_json(options.out / "switch_latency.json", result)
    save_figure(switching_figure(result), options.out / "switch_latency.png")
    print(switch_tables(result))
    print("\n" + "\n".join(ratios(result)))


if __name__ == "__main__":
    main()
