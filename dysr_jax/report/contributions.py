"""What each slot of an arch contributes to an image."""

from collections.abc import Sequence
from typing import Any

from dysr_jax.report.figures import BLUE, ORANGE
from dysr_jax.space import Arch, SearchSpace


def contributions_figure(
    space: SearchSpace, arch: Arch, replaced: Sequence[str], lost_db: Sequence[float]
) -> Any:
    """A Matplotlib figure: what an image loses when one slot of an arch takes another branch.

    Args:
        space: of the arch.
        arch: with all its own branches.
        replaced: the branch that each slot takes instead.
        lost_db: PSNR-Y, dB, that is lost by it; a slot that was not replaced has 0.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 3.2))
    axes = figure.subplots()
    slots = range(len(arch))
    colours = [BLUE if lost >= 0 else ORANGE for lost in lost_db]
    axes.bar(slots, lost_db, color=colours)
    names = [space.slots[slot][index] for slot, index in enumerate(arch)]
    labels = [f"{own}\n{other}" for own, other in zip(names, replaced, strict=True)]
    axes.set_xticks(slots, labels, fontsize=7)
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set_ylabel("PSNR-Y lost, dB")
    axes.set_xlabel("slot by slot: the member's branch, and below it the one that replaced it")
    axes.grid(alpha=0.3, axis="y")
    figure.tight_layout()
    return figure
