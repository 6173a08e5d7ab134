"""A search beside the true front of its space: table and figure."""

from collections.abc import Mapping, Sequence
from typing import Any

from dysr_jax.bench.front import FrontCheck
from dysr_jax.report.figures import BLUE, GREY, ORANGE
from dysr_jax.search.archive import Record
from dysr_jax.search.members import front


def truth_text(result: Mapping[str, Any]) -> str:
    """What `FrontCheck.to_json` holds, in a few lines."""
    missed = {row["name"] for row in result["true_front"]} - {
        row["name"] for row in result["found_front"]
    }
    lines = [
        f"{result['device']}: all {result['space_size']:,} archs in {result['seconds']:.1f} s, "
        f"{result['candidates_per_second']:.0f} a second",
        f"the search evaluated {result['evaluated']:,} of {result['allowed']:,} allowed ones and has "
        f"{100 * result['hypervolume_share']:.2f} % of the true front's hypervolume",
        f"{len(missed)} of the {len(result['true_front'])} archs of the true front are not on the one found",
    ]
    if result["evaluations_to_99"]:
        lines.append(f"99 % were reached after {result['evaluations_to_99']:,} evaluations")
    return "\n".join(lines)


def truth_figure(check: FrontCheck) -> Any:
    """A Matplotlib figure: the whole space with both fronts, and how the search came near.

    Args:
        check: of `bench_front`.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.2))
    left, right = figure.subplots(1, 2, width_ratios=[3, 2])
    _scatter(left, check.every, GREY, f"every arch ({len(check.every):,})", size=3)
    _scatter(left, check.found, ORANGE, f"seen by the search ({len(check.found):,})", size=8)
    _steps(left, front(check.every), "black", "true front", 4.0)
    _steps(left, front(check.found), BLUE, "front of the search", 1.5)
    left.set_xlabel("predicted latency, ms a frame")
    left.set_ylabel("PSNR-Y on the validation patches, dB")
    left.legend(fontsize=8, loc="lower right")
    shares = check.shares
    right.plot(range(1, len(shares) + 1), [100 * share for share in shares], color=BLUE)
    right.axhline(100, color="black", linewidth=0.8)
    right.set_ylim(min(90.0, 100 * shares[-1] - 5) if shares else 0, 100.5)
    right.set_xlabel("archs evaluated")
    right.set_ylabel("hypervolume, % of the true front's")
    for axes in (left, right):
        axes.grid(alpha=0.3)
    figure.tight_layout()
    return figure


def _scatter(axes: Any, records: Sequence[Record], colour: str, label: str, *, size: int) -> None:
    latency, quality = [r.latency_ms for r in records], [r.psnr_y for r in records]
    axes.scatter(latency, quality, s=size, color=colour, label=label, rasterized=True)


def _steps(axes: Any, records: Sequence[Record], colour: str, label: str, width: float) -> None:
    latency, quality = [r.latency_ms for r in records], [r.psnr_y for r in records]
    axes.step(latency, quality, where="post", color=colour, label=label, linewidth=width)
