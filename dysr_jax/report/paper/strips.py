"""A strip a member: the branch in every slot, and where it differs from the member above."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from dysr_jax.report.paper.page import COLOURS, PAGE, new_figure
from dysr_jax.runtime.bundle import Member
from dysr_jax.space import SearchSpace

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
    axes.set_xticks(
        [slot + 0.5 for slot in shown], ["up" if s == slots - 1 else str(s) for s in shown]
    )
    told = [f"{n}   {m.psnr_y:.2f} dB  {m.latency_ms:.3g} ms" for n, m in enumerate(members, 1)]
    axes.set_yticks([row + 0.5 for row in range(len(members))], told)
    axes.tick_params(length=0)
    axes.set_xlabel("slot (up: the upsampler); framed: another branch than in the member above")
    axes.spines[:].set_visible(False)
