"""Tables for the terminal."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from dysr_jax.bench.profile import Profile
from dysr_jax.runtime.bundle import Bundle
from dysr_jax.runtime.ladder import Step
from dysr_jax.runtime.switching import SwitchReport

LISTED: Final = 3
"""Changed slots of a step that are written out; more are counted."""


def format_table(header: Sequence[str], rows: Sequence[Sequence[str]], *, left: int = 1) -> str:
    """Columns aligned, the first `left` of them to the left and the others to the right."""
    columns = list(zip(header, *rows, strict=True))
    widths = [max(len(cell) for cell in column) for column in columns]

    def line(cells: Sequence[str]) -> str:
        pairs = enumerate(zip(cells, widths, strict=True))
        return "  ".join(cell.ljust(w) if i < left else cell.rjust(w) for i, (cell, w) in pairs)

    return "\n".join([line(header), "  ".join("-" * width for width in widths), *map(line, rows)])


def members_table(bundle: Bundle) -> str:
    """The front, fastest first, with bicubic above it."""
    rows = [["bicubic", f"{bundle.bicubic_psnr_y:.2f}", "", "", "", ""]]
    for member in bundle.members:
        rows.append(
            [
                member.name,
                f"{member.psnr_y:.2f}",
                f"{member.latency_ms:.2f}",
                f"{member.fps:.1f}",
                f"{member.params / 1e3:.1f}K",
                f"{member.macs / 1e9:.2f}G",
            ]
        )
    return format_table(["member", "PSNR-Y dB", "ms/frame", "fps", "weights", "mult-adds"], rows)


def _changes(step: Step) -> str:
    """`2: slot03 id->r1, upsampler u1->u2`."""
    listed = [f"{change.name} {change.old}->{change.new}" for change in step.slots[:LISTED]]
    if len(step.slots) > LISTED:
        listed.append(f"+{len(step.slots) - LISTED}")
    return f"{len(step.slots)}: {', '.join(listed)}"


def steps_table(steps: Sequence[Step]) -> str:
    """What each step between neighbours changes; KB (1,000 bytes) that only one of the two reads."""
    rows = [
        [f"{step.source} -> {step.target}", _changes(step), f"{step.unshared_bytes / 1e3:.1f}"]
        for step in steps
    ]
    return format_table(["from -> to", "slots that change", "KB not shared"], rows, left=2)


def switch_table(report: SwitchReport) -> str:
    """Steady and first frames by member, and what the switches compiled."""
    rows = [
        [name, f"{report.steady_ms[name]:.2f}", f"{report.first_ms[name]:.2f}"]
        for name in report.steady_ms
    ]
    table = format_table(["member", "steady ms", "first frame after switch ms"], rows)
    return f"{table}\n{report.switches} switches, {report.compilations} compilations during them"


def format_number(value: float) -> str:
    """Three significant digits, or all before the point: `0.0352`, `7.34`, `7,339`."""
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e7 else f"{value:.3g}"


def _cell(value: Any) -> str:
    return format_number(value) if isinstance(value, float) else str(value)


def bench_table(result: Mapping[str, Any]) -> str:
    """A benchmark's result: its lists of rows as tables, everything else a line each."""
    parts = []
    for name, value in result.items():
        if value == []:
            continue
        if isinstance(value, list):
            parts.append(
                format_table(list(value[0]), [list(map(_cell, r.values())) for r in value])
            )
        else:
            parts.append(f"{name}: {_cell(value)}")
    return "\n".join(parts)


def profile_table(found: Profile) -> str:
    """A latency table's terms, and how well it predicts."""
    table, fidelity = found.table, found.fidelity
    terms = {"(every frame)": table.intercept_ms, **table.body_ms, **table.upsampler_ms}
    rows = [[name, f"{ms:.4f}"] for name, ms in terms.items()]
    return (
        f"{format_table(['branch', 'ms a frame'], rows)}\n"
        f"fitted to {len(table.measured_ms)} executables; {len(fidelity.archs)} of them, each predicted "
        f"from the others: Kendall's tau {fidelity.kendall_tau:.3f}, mean error "
        f"{100 * fidelity.mean_error:.1f} %"
    )
