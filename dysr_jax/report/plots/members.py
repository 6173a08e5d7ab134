"""The members: branches, bytes, what each slot contributes, details side by side, a slider."""

import time
from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np
from etils import epath

from dysr_jax.bundle import Member
from dysr_jax.metrics import psnr_y
from dysr_jax.model import Arch, SearchSpace, ensemble_weight_bytes, union_weight_bytes
from dysr_jax.report.comparison import Comparison, Images, busiest_detail, cut_details, encode_image
from dysr_jax.report.plots import style
from dysr_jax.runtime import Server

STRIP_HEIGHT: Final = 0.2
LABELS_WIDTH: Final = 1.6  # of what is written beside the strips, about; inches, as the height of a strip
LETTER_WIDTH: Final = 5.2  # points, about


def _palette(space: SearchSpace) -> dict[str, str]:
    """A colour for each branch and width, the same in all slots; of many some have the same."""
    names = dict.fromkeys(name for gene in space.genes for name in gene if name != "id")
    repeated = style.COLOURS * (1 + len(names) // len(style.COLOURS))
    return {"id": "#EEEEEE"} | dict(zip(names, repeated, strict=False))


def _ink(colour: str) -> str:
    """Black or white, whichever can be read on it (relative luminance, WCAG 2)."""
    parts = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    luminance = sum(share * c for share, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
    return "black" if luminance > 0.18 else "white"


def strips_figure(space: SearchSpace, members: Sequence[Member]) -> Any:
    """A row per member, fastest first; a slot whose branch the member above does not have is framed. In a
    space of several widths a member's is drawn last, and framed likewise.
    """
    from matplotlib.patches import Patch, Rectangle

    palette, slots = _palette(space), len(space.genes)
    rows = [[names[i] for names, i in zip(space.genes, m.arch, strict=True)] for m in members]
    used = {name: palette[name] for name in palette if any(name in row for row in rows)}
    labelled = LETTER_WIDTH * max(map(len, used)) + 3 <= 72 * (style.PAGE - LABELS_WIDTH) / slots
    figure, axes = style.paper_axes(style.PAGE, 0.75 + STRIP_HEIGHT * len(rows))
    frame: dict[str, Any] = {"fill": False, "edgecolor": "black", "linewidth": 1.4}
    for number, row in enumerate(rows):
        above = rows[max(0, number - 1)]
        for slot, name in enumerate(row):
            cell = Rectangle((slot, number), 1, 1, facecolor=palette[name], edgecolor="white", linewidth=0.8)
            axes.add_patch(cell)
            if name != above[slot]:
                axes.add_patch(Rectangle((slot + 0.07, number + 0.09), 0.86, 0.82, **frame))
            if labelled:
                place = {"ha": "center", "va": "center", "color": _ink(palette[name])}
                axes.text(slot + 0.5, number + 0.53, name, **place)
    if not labelled:
        patches = [Patch(facecolor=colour, label=name) for name, colour in used.items()]
        below = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.12), "frameon": False}
        axes.legend(handles=patches, ncols=min(len(patches), 10), **below)
    axes.set(xlim=(0, slots), ylim=(len(members), 0))
    last = ["up", "w"][: slots - len(space.body)]
    shown = {slot: str(slot) for slot in range(0, len(space.body), 1 + slots // 24)}
    shown |= dict(enumerate(last, len(space.body)))
    axes.set_xticks([slot + 0.5 for slot in shown], list(shown.values()))
    labels = [f"{n}   {m.psnr_y:.2f} dB  {m.latency_ms:.3g} ms" for n, m in enumerate(members, 1)]
    axes.set_yticks([row + 0.5 for row in range(len(members))], labels)
    axes.tick_params(length=0)
    marks = "up: the upsampler" if last == ["up"] else "up: the upsampler, w: the width"
    axes.set_xlabel(f"slot ({marks}); framed: another branch than in the member above")
    axes.spines[:].set_visible(False)
    return figure


def contributions_figure(
    space: SearchSpace, arch: Arch, replaced: Sequence[str], lost_db: Sequence[float]
) -> Any:
    """The PSNR-Y `lost_db` of an image when one entry of an arch, a slot's branch or the width, is `replaced`
    by this one.
    """
    figure, axes = style.screen_figure(10, 3.2)
    slots = range(len(arch))
    axes.bar(slots, lost_db, color=[style.BLUE if lost >= 0 else style.ORANGE for lost in lost_db])
    pairs = zip(space.genes, arch, replaced, strict=True)
    axes.set_xticks(slots, [f"{names[i]}\n{other}" for names, i, other in pairs], fontsize=7)
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set_xlabel("slot by slot: the member's branch, and below it the one that replaced it")
    axes.set_ylabel("PSNR-Y lost, dB")
    return style.finish(figure, "y")


def memory_figure(space: SearchSpace, members: Sequence[Member]) -> Any:
    """Bytes of the first members' weights: as one set that they share, and as separate models."""
    archs = [member.arch for member in members]
    counts = np.arange(1, len(archs) + 1)
    separate = np.array([ensemble_weight_bytes(space, archs[:n]) for n in counts])
    shared = np.array([union_weight_bytes(space, archs[:n]) for n in counts])
    unit, name = (1e6, "MB") if separate[-1] >= 1e6 else (1e3, "KB")
    figure, axes = style.paper_axes(style.COLUMN, 2.2)
    look = {"markersize": 4}
    axes.plot(counts, separate / unit, "s--", color=style.ORANGE, label="separate models", **look)
    axes.plot(counts, shared / unit, "o-", color=style.BLUE, label="shared and resident", **look)
    saved = f"{100 * (1 - shared[-1] / separate[-1]):.0f} % less"
    axes.annotate(saved, (counts[-1], shared[-1] / unit), (-4, 7), textcoords="offset points", ha="right")
    axes.set(xlabel="members, fastest first", ylabel=f"weights, {name}")
    axes.set_ylim(bottom=0)
    style.whole_numbers(axes.xaxis)
    axes.grid(alpha=0.3)
    axes.legend(loc="upper left")
    return figure


def front_slider(bank: Server, lr: np.ndarray, hr: np.ndarray, *, side: int = 320) -> Any:
    """A widget: move along the members, see the image and how long this very frame took.

    The slider sends `lr`, `[H, W, 3]` uint8, through another executable of the bank, which is prepared for
    its shape. `hr` is for PSNR-Y and chooses the detail that is shown, `side` pixels wide. None without
    ipywidgets.
    """
    try:
        import ipywidgets
    except ImportError:
        return None
    scale = bank.bundle.space.scale
    members = {member.name: member for member in bank.bundle.members}
    rows, columns = (slice(part.start * scale, part.stop * scale) for part in busiest_detail(hr, scale, side))
    names = [(f"{i}: {name}", name) for i, name in enumerate(members, 1)]
    look = {"description": "member", "layout": ipywidgets.Layout(width="90%")}
    slider = ipywidgets.SelectionSlider(options=names, continuous_update=False, **look)
    picture, words = ipywidgets.Image(format="png"), ipywidgets.Label()

    def show(change: Any = None) -> None:
        start = time.perf_counter()
        image = bank(lr, slider.value)
        took_ms = (time.perf_counter() - start) * 1e3
        quality = float(psnr_y(image, hr, scale))
        picture.value = encode_image(image[rows, columns], "PNG")
        weights = members[slider.value].parameters / 1e3
        words.value = f"{quality:.2f} dB here, {took_ms:.1f} ms for this frame, {weights:.0f}K weights"

    slider.observe(show, names="value")
    show()
    return ipywidgets.VBox([slider, words, picture])


COMPARED_SIDE: Final = 96  # of the detail in a paper's comparison, HR pixels


def _draw_details(grid: Iterable[Any], images: Images, scale: int, side: int) -> None:
    """An image per axes, which are drawn without axes, as those are that are left over."""
    places = list(grid)
    for axes in places:
        axes.axis("off")
    for axes, (title, square) in zip(places, cut_details(images, scale, side).items(), strict=False):
        axes.imshow(square, interpolation="nearest")
        axes.set_title(title, fontsize=8)


def samples_figure(path: epath.PathLike, images: Images, scale: int, *, side: int = 160) -> None:
    """Write a PNG of one row; `images` as of `cut_details`, `side` of the detail in HR pixels."""
    figure, grid = style.screen_figure(2.6 * len(images), 3.0, 1, len(images))
    _draw_details(grid, images, scale, side)
    style.save_figure(style.finish(figure), path)


def details_figure(images: Images, scale: int, *, side: int = 160, columns: int = 6) -> Any:
    """In rows of `columns` images; `images` as of `cut_details`, `side` of the detail in HR pixels."""
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    figure, grid = style.screen_figure(2.0 * columns, 2.4 * rows, rows, columns, squeeze=False)
    _draw_details(grid.flat, images, scale, side)
    return style.finish(figure)


def comparison_figure(found: Comparison) -> Any:
    """For papers: LR, bicubic, the fastest member, the best one and HR."""
    made = [name for name in found.pictures if name not in ("LR", "bicubic", "HR")]
    roles = {"bicubic": "bicubic", made[-1]: "best member", made[0]: "fastest member"}
    shown = dict.fromkeys(("bicubic", made[0], made[-1]))
    titled = {f"{roles[name]}\n{found.psnr_y[name]:.2f} dB": found.pictures[name] for name in shown}
    lr, hr = found.pictures["LR"], found.pictures["HR"]
    images = {f"LR, x{found.scale}\n": lr, **titled, "HR\n": hr}
    figure = style.paper_figure(style.PAGE, 0.45 + style.PAGE / len(images))
    grid = figure.subplots(1, len(images))
    _draw_details(grid, images, found.scale, min(COMPARED_SIDE, *hr.shape[:2]))
    return figure
