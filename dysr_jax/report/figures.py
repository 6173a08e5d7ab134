"""Figures of a run, as PNG files."""

import io
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from etils import epath

from dysr_jax.atomic import replacing
from dysr_jax.runtime.bundle import Member
from dysr_jax.search.archive import Record

BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#999999"
"""From the colour-blind safe palette of Okabe & Ito 2008."""


def save_figure(figure: Any, path: epath.PathLike, *, kind: str = "png", **how: Any) -> None:
    """Write a Matplotlib figure, whole or not at all; the path may lie in a bucket (`gs://`).

    Args:
        figure: a `matplotlib.figure.Figure`.
        path: of the file.
        kind: `png`, `svg` or another format of Matplotlib's.
        **how: options of `Figure.savefig`, in place of 150 pixels an inch and a tight frame.
    """
    content = io.BytesIO()
    figure.savefig(content, format=kind, **({"dpi": 150, "bbox_inches": "tight"} | how))
    with replacing(path) as partial:
        partial.write_bytes(content.getvalue())


def pareto_figure(
    path: epath.PathLike,
    records: Sequence[Record],
    front: Sequence[Record],
    members: Sequence[Member],
    *,
    bicubic_psnr_y: float,
    device: str,
) -> None:
    """Every candidate and the front as the search saw them, and the members as they were measured.

    The search's PSNR-Y is on validation patches and its latency predicted, the members' PSNR-Y is on
    whole images and their latency measured, so they are drawn side by side.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.2))
    left, right = figure.subplots(1, 2)
    draw_candidates(left, _points(records), _points(front))
    draw_members(right, members, bicubic_psnr_y)
    left.set_title("search: patches, predicted latency")
    right.set_title("members: whole images, measured latency")
    names = [f"{number}\u00a0{member.name}" for number, member in enumerate(members, 1)]
    legend = textwrap.fill("   ".join(names), 150, break_on_hyphens=False)
    figure.suptitle(device, fontsize=9)
    figure.tight_layout()
    figure.text(0.01, 0.0, legend, va="top", fontsize=8)
    save_figure(figure, path)


def _points(records: Sequence[Record]) -> np.ndarray:
    return np.array([(r.latency_ms, r.psnr_y) for r in records]).reshape(-1, 2)


def draw_candidates(axes: Any, points: np.ndarray, front: np.ndarray, *, size: float = 9.0) -> None:
    """Every candidate and the front, as the search saw them.

    Args:
        axes: Matplotlib's.
        points: `[N, 2]`, predicted ms and dB on the validation patches.
        front: `[F, 2]`, of the non-dominated ones, fastest first.
        size: area of a candidate's dot, square points.
    """
    axes.scatter(
        points[:, 0],
        points[:, 1],
        s=size,
        color=GREY,
        label=f"{len(points):,} evaluated candidates",
        rasterized=True,  # an SVG of tens of thousands of circles is of no use
    )
    axes.step(
        front[:, 0],
        front[:, 1],
        where="post",
        marker="o",
        markersize=4,
        color=BLUE,
        label=f"front ({len(front)})",
    )
    axes.set_xlabel("predicted latency, ms a frame")
    _finish(axes, "lower right")


def draw_members(axes: Any, members: Sequence[Member], bicubic_psnr_y: float) -> None:
    """The members as they were measured, numbered from the fastest one, and bicubic's quality.

    Args:
        axes: Matplotlib's.
        members: fastest first.
        bicubic_psnr_y: dB.
    """
    latency, quality = [m.latency_ms for m in members], [m.psnr_y for m in members]
    axes.plot(latency, quality, "o-", color=ORANGE, label=f"measured members ({len(members)})")
    for number, point in enumerate(zip(latency, quality, strict=True), 1):
        axes.annotate(str(number), point, xytext=(4, -11), textcoords="offset points", fontsize=8)
    axes.axhline(bicubic_psnr_y, color=GREY, linestyle="--", label="bicubic")
    axes.margins(x=0.15, y=0.12)
    axes.set_xlabel("measured latency, ms a frame")
    _finish(axes, "center right")


def _finish(axes: Any, legend: str) -> None:
    axes.set_ylabel("PSNR-Y, dB")
    axes.grid(alpha=0.3)
    axes.legend(loc=legend, fontsize=8)


def busiest_corner(image: np.ndarray, side: int) -> tuple[int, int]:
    """Where, on a grid of half sides, a square has the most detail (mean absolute gradient)."""
    grey = image.astype(float).mean(2)
    detail = np.abs(np.gradient(grey)[0]) + np.abs(np.gradient(grey)[1])
    step = max(1, side // 2)
    rows = range(0, max(1, image.shape[0] - side + 1), step)
    columns = range(0, max(1, image.shape[1] - side + 1), step)
    corners = [(row, column) for row in rows for column in columns]
    return max(corners, key=lambda c: detail[c[0] : c[0] + side, c[1] : c[1] + side].sum())


def samples_figure(
    path: epath.PathLike,
    images: Mapping[str, np.ndarray],
    scale: int,
    *,
    side: int = 160,
) -> None:
    """The same detail of several images beside each other.

    Args:
        path: of the PNG.
        images: title to `[H, W, 3]` uint8; the first is LR and `scale` times smaller than the others,
            the last is HR and chooses the detail.
        scale: side of HR over side of LR.
        side: of the detail, in HR pixels.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2.6 * len(images), 3.0))
    draw_samples(figure, images, scale, side)
    figure.tight_layout()
    save_figure(figure, path)


def draw_samples(figure: Any, images: Mapping[str, np.ndarray], scale: int, side: int) -> None:
    """The panels of `samples_figure`."""
    side -= side % scale
    row, column = busiest_corner(list(images.values())[-1], side)
    row, column = row - row % scale, column - column % scale
    for number, (axes, (title, image)) in enumerate(
        zip(figure.subplots(1, len(images)), images.items(), strict=True)
    ):
        part = scale if number == 0 else 1
        top, left, size = row // part, column // part, side // part
        axes.imshow(image[top : top + size, left : left + size], interpolation="nearest")
        axes.set_title(title, fontsize=8)
        axes.axis("off")
