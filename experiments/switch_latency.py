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
from collections.abc import Callable, Mapping

import tyro

from dysr_jax.atomic import write_json
from dysr_jax.bench.switch import StrategyResult, SwitchResult, bench_switch
from dysr_jax.errors import InputError
from dysr_jax.report import format_number, switch_tables
from dysr_jax.report.plots import save_figure, switching_figure


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
    """Frames per second that are due."""
    recorded: pathlib.Path | None = None
    """Draw these results and measure nothing."""


def measure(options: Options) -> SwitchResult:
    """Run the benchmark."""
    return bench_switch(
        options.bundle,
        scale=options.scale,
        frame=options.frame,
        members=options.members,
        switches=options.switches,
        fps=options.fps,
        progress=True,
    )


def ratios(found: SwitchResult) -> list[str]:
    """What the comparison comes to, a line each, as far as the strategies are there."""
    rows = found.finished
    lines = [
        f"{name}: first frames reach {row.switch_over_steady_p99:.3g} times the same member's steady p99 "
        f"(their p99)"
        for name, row in rows.items()
    ]
    for name in ("reload_cached", "reload_compiled", "ensemble", "lax_switch", "chained"):
        lines += _ratio(rows, "first frame, p50", lambda row: row.switch_ms_p50, name, "fused")
        lines += _ratio(rows, "first frame, p99", lambda row: row.switch_ms_p99, name, "fused")
    lines += _ratio(rows, "weights", lambda row: row.weight_bytes, "fused", "ensemble")
    for name in ("fused", "chained", "lax_switch"):
        resident = "weights and executables"
        lines += _ratio(rows, resident, lambda row: row.weight_bytes + row.executable_bytes, name, "ensemble")
        lines += _ratio(rows, "memory of the device", lambda row: row.device_bytes, name, "ensemble")
    lines += _own_workspaces(rows)
    for name, row in rows.items():
        if row.ready_warm_s is not None:
            ratio = format_number(row.ready_warm_s / row.ready_s)
            lines.append(f"ready, {name} from its cache / compiled: {ratio}")
    return lines


def _own_workspaces(rows: Mapping[str, StrategyResult]) -> list[str]:
    """The bank beside models that run apart: each with its own workspace."""
    fused, ensemble = rows.get("fused"), rows.get("ensemble")
    if not (fused and ensemble and ensemble.own_workspace_bytes):
        return []
    apart = ensemble.device_bytes - ensemble.workspace_bytes + ensemble.own_workspace_bytes
    return [
        f"memory of the device, fused / ensemble, own workspaces: {format_number(fused.device_bytes / apart)}"
    ]


def _ratio(
    rows: Mapping[str, StrategyResult],
    what: str,
    figure: Callable[[StrategyResult], float],
    name: str,
    other: str,
) -> list[str]:
    """Nothing where one of the two failed or was not measured."""
    if name not in rows or other not in rows or not figure(rows[other]):
        return []
    return [f"{what}, {name} / {other}: {format_number(figure(rows[name]) / figure(rows[other]))}"]


def main() -> None:
    """Run it."""
    options = tyro.cli(Options)
    try:
        if options.recorded:
            found = SwitchResult.from_json(json.loads(options.recorded.read_text()))
        else:
            found = measure(options)
    except InputError as error:
        sys.exit(f"error: {error}")
    options.out.mkdir(parents=True, exist_ok=True)
    write_json(options.out / "switch_latency.json", found.to_json())
    save_figure(switching_figure(found), options.out / "switch_latency.png")
    print(switch_tables(found))
    print("\n" + "\n".join(ratios(found)))


if __name__ == "__main__":
    main()
