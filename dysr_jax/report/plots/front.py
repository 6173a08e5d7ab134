"""The front of PSNR-Y against latency: candidates, members, bounds, the weight of sharing, the true front."""

import itertools
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from etils import epath

from dysr_jax.bench import FrontResult
from dysr_jax.bundle import Bundle, Member
from dysr_jax.report.candidates import Candidates
from dysr_jax.report.plots import style
from dysr_jax.results import Results, quality_points
from dysr_jax.search import Record, SearchConfig, SharingPoint, front_records, violation

PREDICTED_MS, PATCHES_DB = "predicted latency, ms per frame", "PSNR-Y on the validation patches, dB"
"""Labels of the axes of what a search saw."""


def pareto_figure(path: epath.PathLike, bundle: Bundle, records: Sequence[Record]) -> None:
    """Write a PNG: candidates and front as the search saw them (on patches, latency predicted), beside the
    members (on whole images, measured).
    """
    members, (rows, columns) = bundle.members, bundle.frame
    figure, (left, right) = style.screen_figure(10, 4.2, 1, 2)
    _draw_candidates(left, quality_points(records), quality_points(front_records(records)))
    _draw_members(right, members, bundle.bicubic_psnr_y)
    left.set_title("search: patches, predicted latency")
    right.set_title("members: whole images, measured latency")
    names = [f"{number}\u00a0{member.name}" for number, member in enumerate(members, 1)]
    legend = textwrap.fill("   ".join(names), 150, break_on_hyphens=False)
    title = f"{bundle.device}, LR frame {columns}x{rows}, scale {bundle.space.scale}"
    figure.suptitle(title, fontsize=9)
    style.finish(figure).text(0.01, 0.0, legend, va="top", fontsize=8)
    style.save_figure(figure, path)


def candidates_figure(found: Candidates) -> Any:
    """For papers: every evaluated candidate, as predicted and on patches, and the front."""
    figure, axes = style.paper_axes(style.COLUMN, 2.6)
    points = np.stack([found.latency_ms, found.psnr_y], 1)
    _draw_candidates(axes, points, points[found.front], size=2.0)
    axes.set_ylabel("PSNR-Y on patches, dB")
    return figure


def members_figure(results: Results) -> Any:
    """For papers: the measured members, numbered, and bicubic."""
    figure, axes = style.paper_axes(style.COLUMN, 2.6)
    _draw_members(axes, results.members, results.bicubic_psnr_y)
    axes.set_ylabel("PSNR-Y on whole images, dB")
    return figure


def _draw_candidates(axes: Any, points: np.ndarray, best: np.ndarray, *, size: float = 9.0) -> None:
    """`points` `[N, 2]` and the front `[F, 2]`: ms and dB; `size` is a dot's area in square points."""
    look = {"s": size, "color": style.GREY, "rasterized": True}  # nobody opens an SVG of so many circles
    axes.scatter(*points.T, label=f"{len(points):,} evaluated candidates", **look)
    look = {"marker": "o", "markersize": 4, "color": style.BLUE}
    axes.step(*best.T, where="post", label=f"front ({len(best)})", **look)
    _label_quality(axes, PREDICTED_MS, "lower right")


def _draw_members(axes: Any, members: Sequence[Member], bicubic_psnr_y: float) -> None:
    """The members, numbered from the fastest one, and bicubic's quality."""
    points = quality_points(members)
    axes.plot(*points.T, "o-", color=style.ORANGE, label=f"measured members ({len(members)})")
    style.label_points(axes, points, itertools.count(1), (4, -11))
    axes.axhline(bicubic_psnr_y, color=style.GREY, linestyle="--", label="bicubic")
    axes.margins(x=0.15, y=0.12)
    _label_quality(axes, "measured latency, ms per frame", "center right")


def _label_quality(axes: Any, latency: str, legend: str) -> None:
    axes.set(xlabel=latency, ylabel="PSNR-Y, dB")
    axes.grid(alpha=0.3)
    axes.legend(loc=legend, fontsize=8)


def draw_records(axes: Any, records: Sequence[Record], colour: str, label: str, **look: Any) -> None:
    """Each one as a dot; `look` is of `Axes.scatter`."""
    axes.scatter(*quality_points(records).T, color=colour, label=label, **look)


def draw_front(axes: Any, best: Sequence[Record], colour: str, label: str, **look: Any) -> None:
    """Records of a front, fastest first, as steps; `look` is of `Axes.step`."""
    axes.step(*quality_points(best).T, where="post", color=colour, label=label, **look)


def constraints_figure(searches: Mapping[str, Sequence[Record]], config: SearchConfig) -> Any:
    """What each search, by title, evaluated, what of it lies within the config's bounds, and its front."""
    shape = {"sharex": True, "sharey": True, "squeeze": False}
    figure, grid = style.screen_figure(5 * len(searches), 3.8, 1, len(searches), **shape)
    for axes, (title, records) in zip(grid[0], searches.items(), strict=True):
        inside = violation(records, config) == 0
        within = [record for record, kept in zip(records, inside, strict=True) if kept]
        others = [record for record, kept in zip(records, inside, strict=True) if not kept]
        for name, chosen, colour in (("outside", others, style.GREY), ("within", within, style.ORANGE)):
            draw_records(axes, chosen, colour, f"{name} ({len(chosen)})", s=8)
        best = front_records(within)
        draw_front(axes, best, style.BLUE, f"front within ({len(best)})")
        bound = {"color": "black", "linestyle": "--", "linewidth": 1}
        if config.max_latency_ms:
            axes.axvline(config.max_latency_ms, **bound)
        if config.min_psnr_y:
            axes.axhline(config.min_psnr_y, **bound)
        axes.set_title(f"{title}: {len(records)} candidates", fontsize=9)
        axes.set_xlabel(PREDICTED_MS)
        axes.legend(fontsize=8, loc="lower right")
    grid[0, 0].set_ylabel(PATCHES_DB)
    return style.finish(figure)


LABEL_GAP: Final = 0.04  # points nearer than this share of an axis, in both directions, get one label


def _labels(x: np.ndarray, y: np.ndarray, names: Sequence[str]) -> dict[int, str]:
    """A label for the first of each group of points that lie together, by its index."""
    reach = [LABEL_GAP * (np.ptp(values) or 1.0) for values in (x, y)]
    groups: dict[int, list[str]] = {}
    for i, name in enumerate(names):
        near = (j for j in groups if abs(x[i] - x[j]) < reach[0] and abs(y[i] - y[j]) < reach[1])
        groups.setdefault(next(near, i), []).append(name)
    return {i: ", ".join(group) for i, group in groups.items()}


def sharing_figure(path: epath.PathLike, curve: Sequence[SharingPoint], *, used: float) -> None:
    """Write a PNG: hypervolume against resident weights and against the steps' cost, a point per weight of a
    `sharing_curve`, which is not empty; `used` is the weight that chose the members.
    """
    weights = [point["weight"] for point in curve]
    share = 100 * np.array([point["hypervolume_share"] for point in curve])
    separate = [point["ensemble_bytes"] / 1e6 for point in curve]
    resident = np.array([point["resident_bytes"] / 1e6 for point in curve])
    figure, (left, right) = style.screen_figure(10, 4.2, 1, 2, sharey=True)
    ring = [weight == used for weight in weights]
    ringed = {"fillstyle": "none", "markersize": 11, "markeredgewidth": 2}
    for axes, x in ((left, resident), (right, np.array([point["step_cost"] for point in curve]))):
        axes.plot(x, share, "o-", color=style.BLUE, linewidth=1, markersize=5, label="by weight of sharing")
        axes.plot(x[ring], share[ring], "o", color=style.ORANGE, label=f"this run's, {used:g}", **ringed)
        labels = _labels(x, share, [f"{weight:g}" for weight in weights])
        style.label_points(axes, [(x[i], share[i]) for i in labels], labels.values(), (8, -12))
        axes.margins(x=0.18, y=0.1)
    models = f"as separate models {min(separate):.3g} to {max(separate):.3g} MB"
    left.set(title="memory", ylabel="hypervolume, % of the whole front's")
    left.set_xlabel(f"resident weights, MB ({models})")
    right.set(title="what a step changes", xlabel="cost of all steps between neighbours (each 0 to 1)")
    right.legend(loc="lower right", fontsize=8)
    style.save_figure(style.finish(figure), path)


def truth_figure(found: FrontResult) -> Any:
    """The whole space with both fronts, and how near the search came with each evaluation."""
    figure, (left, right) = style.screen_figure(10, 4.2, 1, 2, width_ratios=[3, 2])
    every, seen = found.every, found.found
    draw_records(left, every, style.GREY, f"every arch ({len(every):,})", s=3, rasterized=True)
    draw_records(left, seen, style.ORANGE, f"seen by the search ({len(seen):,})", s=8, rasterized=True)
    draw_front(left, front_records(every), "black", "true front", linewidth=4.0)
    draw_front(left, front_records(seen), style.BLUE, "front of the search", linewidth=1.5)
    left.set(xlabel=PREDICTED_MS, ylabel=PATCHES_DB)
    left.legend(fontsize=8, loc="lower right")
    shares = found.shares
    right.plot(range(1, len(shares) + 1), [100 * share for share in shares], color=style.BLUE)
    right.axhline(100, color="black", linewidth=0.8)
    right.set_ylim(min(90.0, 100 * shares[-1] - 5) if shares else 0, 100.5)
    right.set(xlabel="archs evaluated", ylabel="hypervolume, % of the true front's")
    return style.finish(figure)
