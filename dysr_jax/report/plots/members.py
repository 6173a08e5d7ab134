"""A strip a member: the branch in every slot, and where it differs from the member above.

What each slot of an arch contributes to an image.

The same detail of several images beside each other.

The members: measured, branch by branch, in bytes, and what they make of an image.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from dysr_jax.bundle import Member
from dysr_jax.model import Arch, SearchSpace, ensemble_weight_bytes, union_weight_bytes
from dysr_jax.report.comparison import Comparison
from dysr_jax.report.plots.front import BLUE, ORANGE, busiest_corner, draw_members, draw_samples
from dysr_jax.report.plots.style import COLOURS, COLUMN, PAGE, new_figure
from dysr_jax.results import Results

HEIGHT: Final = 0.2
"""Of a strip, inches."""
LABELS: Final = 1.6
"""Width of what is written beside the strips, inches, about."""
_IDENTITY: Final = "#EEEEEE"
_LETTER: Final = 5.2
"""Width of a letter in points, about."""


def _palette(space: SearchSpace) -> dict[str, str]:
    """A colour for each branch, the same in all slots; identity is nearly white.

    More branches than colours take them again: the name in the cell, or the legend, tells them apart.
    """
    names = dict.fromkeys(name for slot in space.slots for name in slot if name != "id")
    repeated = COLOURS * (1 + len(names) // len(COLOURS))
    return {"id": _IDENTITY} | dict(zip(names, repeated, strict=False))


def _ink(colour: str) -> str:
    """Black or white, whichever can be read on it (relative luminance, WCAG 2)."""
    parts = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    luminance = sum(share * c for share, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
    return "black" if luminance > 0.18 else "white"


def _cell(axes: Any, slot: int, row: int, colour: str, *, changed: bool) -> None:
    from matplotlib.patches import Rectangle

    axes.add_patch(Rectangle((slot, row), 1, 1, facecolor=colour, edgecolor="white", linewidth=0.8))
    if changed:
        inner = (slot + 0.07, row + 0.09)
        axes.add_patch(Rectangle(inner, 0.86, 0.82, fill=False, edgecolor="black", linewidth=1.4))


def _legend(axes: Any, palette: Mapping[str, str]) -> None:
    """What the colours are, where the cells are too narrow for names."""
    from matplotlib.patches import Patch

    marks = [Patch(facecolor=colour, label=name) for name, colour in palette.items()]
    place = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.12), "frameon": False}
    axes.legend(handles=marks, ncols=min(len(marks), 10), **place)


def strips_figure(space: SearchSpace, members: Sequence[Member]) -> Any:
    """A row a member, fastest first; a slot whose branch the member above does not have is framed."""
    palette, slots = _palette(space), len(space.slots)
    rows = [[names[i] for names, i in zip(space.slots, m.arch, strict=True)] for m in members]
    used = {name: palette[name] for name in palette if any(name in row for row in rows)}
    room = 72 * (PAGE - LABELS) / slots
    labelled = _LETTER * max(map(len, used)) + 3 <= room
    figure = new_figure(PAGE, 0.75 + HEIGHT * len(rows))
    axes = figure.subplots()
    for number, row in enumerate(rows):
        above = rows[max(0, number - 1)]
        for slot, name in enumerate(row):
            colour = palette[name]
            _cell(axes, slot, number, colour, changed=name != above[slot])
            if labelled:
                place = {"ha": "center", "va": "center", "color": _ink(colour)}
                axes.text(slot + 0.5, number + 0.53, name, **place)
    if not labelled:
        _legend(axes, used)
    _axes(axes, members, slots)
    return figure


def _axes(axes: Any, members: Sequence[Member], slots: int) -> None:
    axes.set_xlim(0, slots)
    axes.set_ylim(len(members), 0)
    step = 1 + slots // 24
    shown = [*range(0, slots - 1, step), slots - 1]
    axes.set_xticks([slot + 0.5 for slot in shown], ["up" if s == slots - 1 else str(s) for s in shown])
    told = [f"{n}   {m.psnr_y:.2f} dB  {m.latency_ms:.3g} ms" for n, m in enumerate(members, 1)]
    axes.set_yticks([row + 0.5 for row in range(len(members))], told)
    axes.tick_params(length=0)
    axes.set_xlabel("slot (up: the upsampler); framed: another branch than in the member above")
    axes.spines[:].set_visible(False)


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


def cut_details(images: Mapping[str, np.ndarray], scale: int, side: int) -> dict[str, np.ndarray]:
    """The same square of each image, chosen where the last one has the most detail.

    Args:
        images: title to `[H, W, 3]` uint8; each is as large as the last one, or LR, `scale` times smaller.
        scale: side of HR over side of LR.
        side: of the square in HR pixels; rounded down to whole LR pixels.

    Returns:
        Title to the square `[side, side, 3]`, or of an LR image `[side / scale, side / scale, 3]`; smaller
        where the images are.
    """
    *_, last = images.values()
    side -= side % scale
    row, column = (place - place % scale for place in busiest_corner(last, side))
    squares = {}
    for title, image in images.items():
        part = 1 if image.shape[0] == last.shape[0] else scale
        top, left, length = row // part, column // part, side // part
        squares[title] = image[top : top + length, left : left + length]
    return squares


def details_figure(images: Mapping[str, np.ndarray], scale: int, *, side: int = 160, columns: int = 6) -> Any:
    """A Matplotlib figure of the same detail of several images.

    Args:
        images: see `cut_details`.
        scale: side of HR over side of LR.
        side: of the detail, in HR pixels.
        columns: images in a row.
    """
    from matplotlib.figure import Figure

    squares = cut_details(images, scale, side)
    columns = min(columns, len(squares))
    rows = -(-len(squares) // columns)
    figure = Figure(figsize=(2.0 * columns, 2.4 * rows))
    places = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes in places:
        axes.axis("off")
    for axes, (title, square) in zip(places, squares.items(), strict=False):
        axes.imshow(square, interpolation="nearest")
        axes.set_title(title, fontsize=8)
    figure.tight_layout()
    return figure


DETAIL: Final = 96
"""Side of the compared detail, HR pixels."""


def members_figure(results: Results) -> Any:
    """The measured members, numbered, and bicubic."""
    figure = new_figure(COLUMN, 2.6)
    axes = figure.subplots()
    draw_members(axes, results.members, results.bicubic_psnr_y)
    axes.set_ylabel("PSNR-Y on whole images, dB")
    return figure


def _unit(most: float) -> tuple[float, str]:
    return (1e6, "MB") if most >= 1e6 else (1e3, "KB")


def memory_figure(space: SearchSpace, members: Sequence[Member]) -> Any:
    """Bytes of the first members' weights: as one set that they share, and as separate models."""
    archs = [member.arch for member in members]
    ways = {"separate models": ensemble_weight_bytes, "shared and resident": union_weight_bytes}
    counts = np.arange(1, len(archs) + 1)
    lines = {name: np.array([way(space, archs[:n]) for n in counts]) for name, way in ways.items()}
    separate, shared = lines.values()
    unit, name = _unit(float(separate[-1]))
    figure = new_figure(COLUMN, 2.2)
    axes = figure.subplots()
    for (label, sizes), style, colour in zip(lines.items(), ("s--", "o-"), (ORANGE, BLUE), strict=True):
        axes.plot(counts, sizes / unit, style, color=colour, markersize=4, label=label)
    told = f"{100 * (1 - shared[-1] / separate[-1]):.0f} % less"
    axes.annotate(told, (counts[-1], shared[-1] / unit), (-4, 7), textcoords="offset points", ha="right")
    axes.set_xlabel("members, fastest first")
    axes.set_ylabel(f"weights, {name}")
    axes.set_ylim(bottom=0)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(alpha=0.3)
    axes.legend(loc="upper left")
    return figure


def comparison_figure(found: Comparison) -> Any:
    """LR, bicubic, the fastest member, the best one and HR."""
    made = [name for name in found.pictures if name not in ("LR", "bicubic", "HR")]
    ends = dict.fromkeys(("bicubic", made[0], made[-1]))
    roles = {"bicubic": "bicubic", made[-1]: "best member", made[0]: "fastest member"}
    titled = {f"{roles[name]}\n{found.psnr_y[name]:.2f} dB": found.pictures[name] for name in ends}
    lr, hr = found.pictures["LR"], found.pictures["HR"]
    images = {f"LR, x{found.scale}\n": lr, **titled, "HR\n": hr}
    figure = new_figure(PAGE, 0.45 + PAGE / len(images))
    draw_samples(figure, images, found.scale, min(DETAIL, *hr.shape[:2]))
    return figure
