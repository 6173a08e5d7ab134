"""Searches with and without bounds, beside each other."""

from collections.abc import Mapping, Sequence
from typing import Any

from dysr_jax.report.figures import BLUE, GREY, ORANGE
from dysr_jax.search.archive import Record
from dysr_jax.search.config import SearchConfig
from dysr_jax.search.members import front
from dysr_jax.search.objectives import violation


def constraints_figure(searches: Mapping[str, Sequence[Record]], config: SearchConfig) -> Any:
    """A Matplotlib figure: what each search evaluated, what of it lies within the bounds, its front there.

    Args:
        searches: title to records.
        config: with the bounds, `max_latency_ms` and `min_psnr_y`; 0 is none.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5 * len(searches), 3.8))
    row = figure.subplots(1, len(searches), sharex=True, sharey=True, squeeze=False)[0]
    for axes, (title, records) in zip(row, searches.items(), strict=True):
        inside = violation(records, config) == 0
        within = [record for record, kept in zip(records, inside, strict=True) if kept]
        others = [record for record, kept in zip(records, inside, strict=True) if not kept]
        for chosen, colour in ((others, GREY), (within, ORANGE)):
            label = f"{'within' if chosen is within else 'outside'} ({len(chosen)})"
            points = [r.latency_ms for r in chosen], [r.psnr_y for r in chosen]
            axes.scatter(*points, s=8, color=colour, label=label)
        best = front(within)
        latency, quality = [r.latency_ms for r in best], [r.psnr_y for r in best]
        axes.step(latency, quality, where="post", color=BLUE, label=f"front within ({len(best)})")
        if config.max_latency_ms:
            axes.axvline(config.max_latency_ms, color="black", linestyle="--", linewidth=1)
        if config.min_psnr_y:
            axes.axhline(config.min_psnr_y, color="black", linestyle="--", linewidth=1)
        axes.set_title(f"{title}: {len(records)} candidates", fontsize=9)
        axes.set_xlabel("predicted latency, ms a frame")
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8, loc="lower right")
    row[0].set_ylabel("PSNR-Y on the validation patches, dB")
    figure.tight_layout()
    return figure
