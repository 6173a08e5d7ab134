"""Figures of a run, as PNG files.

Searches with and without bounds, beside each other.

The figure of what adaptation-aware selection costs in hypervolume and saves in weights.

A search beside the true front of its space: table and figure.
"""

import io
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from etils import epath

from dysr_jax.atomic import replacing
from dysr_jax.bench import FrontCheck
from dysr_jax.bundle import Member
from dysr_jax.search import Record, SearchConfig, SharingPoint, front_records, violation

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
    path: epath.PathLike, images: Mapping[str, np.ndarray], scale: int, *, side: int = 160
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


def constraints_figure(searches: Mapping[str, Sequence[Record]], config: SearchConfig) -> Any:
    """A Matplotlib figure: what each search evaluated, what of it lies within the bounds, its front there.

    Args:
        searches: title to records.
        config: with the bounds, `max_latency_ms` and `min_psnr_y`.
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
        best = front_records(within)
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


CLOSE: Final = 0.04
"""In parts of an axis: points nearer than this in both directions get one label."""


def _labels(x: np.ndarray, y: np.ndarray, names: Sequence[str]) -> dict[int, str]:
    """A label for the first of each group of points that lie together, by its index."""
    x_span, y_span = np.ptp(x) or 1.0, np.ptp(y) or 1.0
    groups: dict[int, list[str]] = {}
    for i, name in enumerate(names):
        near = (j for j in groups if abs(x[i] - x[j]) < CLOSE * x_span and abs(y[i] - y[j]) < CLOSE * y_span)
        groups.setdefault(next(near, i), []).append(name)
    return {i: ", ".join(group) for i, group in groups.items()}


def _draw(axes: Any, x: np.ndarray, y: np.ndarray, weights: Sequence[float], used: float) -> None:
    """`x` and `y` `[n]`: a labelled point for each weight, the used one ringed."""
    ring = [weight == used for weight in weights]
    axes.plot(x, y, "o-", color=BLUE, linewidth=1, markersize=5, label="by weight of sharing")
    axes.plot(
        x[ring],
        y[ring],
        "o",
        color=ORANGE,
        fillstyle="none",
        markersize=11,
        markeredgewidth=2,
        label=f"this run's, {used:g}",
    )
    for i, label in _labels(x, y, [f"{weight:g}" for weight in weights]).items():
        axes.annotate(label, (x[i], y[i]), xytext=(8, -12), textcoords="offset points", fontsize=8)
    axes.margins(x=0.18, y=0.1)
    axes.grid(alpha=0.3)


def sharing_figure(path: epath.PathLike, curve: Sequence[SharingPoint], *, used: float) -> None:
    """Hypervolume against resident weights and against the steps' cost, a point for each weight.

    Args:
        path: of the PNG.
        curve: of `dysr_jax.search.select.sharing_curve`, not empty.
        used: the weight that chose the run's members.
    """
    from matplotlib.figure import Figure

    weights = [point["weight"] for point in curve]
    share = 100 * np.array([point["hypervolume_share"] for point in curve])
    separate = [point["ensemble_bytes"] / 1e6 for point in curve]
    figure = Figure(figsize=(10, 4.2))
    left, right = figure.subplots(1, 2, sharey=True)
    resident = np.array([point["resident_bytes"] / 1e6 for point in curve])
    _draw(left, resident, share, weights, used)
    _draw(right, np.array([point["step_cost"] for point in curve]), share, weights, used)
    left.set_ylabel("hypervolume, % of the whole front's")
    left.set_xlabel(
        f"resident weights, MB (as separate models {min(separate):.3g} to {max(separate):.3g} MB)"
    )
    right.set_xlabel("cost of all steps of the ladder (each 0 to 1)")
    left.set_title("memory")
    right.set_title("what the run-time changes")
    right.legend(loc="lower right", fontsize=8)
    figure.tight_layout()
    save_figure(figure, path)


def truth_text(result: Mapping[str, Any]) -> str:
    """What `FrontCheck.to_json` holds, in a few lines."""
    missed = {row["name"] for row in result["true_front"]} - {row["name"] for row in result["found_front"]}
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
    _steps(left, front_records(check.every), "black", "true front", 4.0)
    _steps(left, front_records(check.found), BLUE, "front of the search", 1.5)
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
