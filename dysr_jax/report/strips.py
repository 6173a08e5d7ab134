"""Archs as strips: the branch in every slot, and what changes from one arch to the next."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from dysr_jax.report.figures import BLUE, ORANGE
from dysr_jax.space import Arch, SearchSpace, branch_mult_adds


def _work(space: SearchSpace, archs: Sequence[Arch]) -> np.ndarray:
    """Multiply-adds of each slot for one LR pixel: `[N, slots]`."""
    each = [branch_mult_adds(space, slot) for slot in range(len(space.slots))]
    return np.array([[each[slot][index] for slot, index in enumerate(arch)] for arch in archs])


def changed_slots(archs: Sequence[Arch]) -> list[tuple[int, int]]:
    """Row and slot of each branch that is not the one in the row before."""
    genes = np.asarray(archs)
    rows, slots = np.nonzero(genes[1:] != genes[:-1])
    return [(int(row) + 1, int(slot)) for row, slot in zip(rows, slots, strict=True)]


def strips_figure(
    space: SearchSpace, archs: Sequence[Arch], labels: Sequence[str], *, title: str = ""
) -> Any:
    """A Matplotlib figure: a row an arch, a column a slot, the darker the more a branch computes.

    What differs from the row above is framed.

    Args:
        space: of the archs.
        archs: in the order of the ladder.
        labels: for each arch, such as its PSNR-Y.
        title: above all.
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    work = _work(space, archs)
    figure = Figure(figsize=(10, 1.2 + 0.32 * len(archs)))
    axes = figure.subplots()
    image = axes.imshow(work, cmap="Blues", aspect="auto", vmin=0, vmax=1.4 * work.max())
    for row, arch in enumerate(archs):
        for slot, index in enumerate(arch):
            dark = work[row, slot] > 0.8 * work.max()
            axes.text(
                slot,
                row,
                space.slots[slot][index],
                ha="center",
                va="center",
                fontsize=7,
                color="white" if dark else "black",
            )
    for row, slot in changed_slots(archs):
        frame = (slot - 0.46, row - 0.44)
        axes.add_patch(Rectangle(frame, 0.92, 0.88, fill=False, edgecolor=ORANGE, linewidth=2))
    last = len(space.body)
    axes.set_xticks(range(last + 1), [*map(str, range(last)), "up"], fontsize=7)
    axes.set_yticks(range(len(archs)), labels, fontsize=7)
    axes.set_xlabel("slot (orange: another branch than in the row above)", fontsize=8)
    axes.set_title(title, fontsize=9)
    bar = figure.colorbar(image, ax=axes, pad=0.01)
    bar.set_label("multiply-adds an LR pixel", fontsize=7)
    bar.ax.tick_params(labelsize=7)
    figure.tight_layout()
    return figure


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
