"""The front of a search as it moves, generation by generation.

What training and search did: the loss, the candidates with their front, the hypervolume.
"""

import io
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from dysr_jax.report.candidates import Candidates, growth
from dysr_jax.report.plots.front import BLUE, GREY, ORANGE, draw_candidates
from dysr_jax.report.plots.style import COLOURS, COLUMN, new_figure
from dysr_jax.search import Record, front_records, hypervolume
from dysr_jax.train import Curve

MARGIN = 0.05
"""Of the ranges, left free at the axes' ends."""


def until(records: Sequence[Record], generation: int) -> list[Record]:
    """What was known after a generation."""
    return [record for record in records if record.generation <= generation]


def hypervolumes(records: Sequence[Record]) -> list[float]:
    """Of the front after each generation, in ms times dB, up to the worst candidate of all; from 0.

    Args:
        records: of a search, at least one.
    """
    points = np.array([[record.latency_ms, -record.psnr_y] for record in records])
    born = np.array([record.generation for record in records])
    corner = points.max(0)
    return [hypervolume(points[born <= last], corner) for last in range(int(born.max()) + 1)]


def _limits(records: Sequence[Record]) -> tuple[tuple[float, float], tuple[float, float]]:
    """Of both axes, the same for all generations."""
    values = np.array([[record.latency_ms, record.psnr_y] for record in records])
    low, high = values.min(0), values.max(0)
    margin = MARGIN * np.where(high > low, high - low, 1.0)
    (left, bottom), (right, top) = (low - margin).tolist(), (high + margin).tolist()
    return (left, right), (bottom, top)


def _draw(axes: Any, records: Sequence[Record], generation: int) -> None:
    """The candidates until a generation, those that it added, and the front."""
    known = until(records, generation)
    best = front_records(known)
    for chosen, colour, label in (
        ([r for r in known if r.generation < generation], GREY, "before"),
        ([r for r in known if r.generation == generation], ORANGE, "of this generation"),
    ):
        latency, quality = [r.latency_ms for r in chosen], [r.psnr_y for r in chosen]
        axes.scatter(latency, quality, s=7, color=colour, label=label)
    latency, quality = [r.latency_ms for r in best], [r.psnr_y for r in best]
    axes.step(latency, quality, where="post", color=BLUE, linewidth=1.5, label="front")
    axes.set_title(f"generation {generation}: {len(known)} candidates", fontsize=8)
    axes.tick_params(labelsize=7)
    axes.grid(alpha=0.3)


def generations_figure(records: Sequence[Record], *, panels: int = 5) -> Any:
    """A Matplotlib figure: the front after some generations, and its hypervolume after each.

    Args:
        records: of a search, at least one.
        panels: generations that are drawn, the first and the last among them.
    """
    from matplotlib.figure import Figure

    last = max(record.generation for record in records)
    shown = sorted({round(place) for place in np.linspace(0, last, min(panels, last + 1))})
    columns = 3
    rows = -(-(len(shown) + 1) // columns)
    figure = Figure(figsize=(10, 2.9 * rows))
    places = list(figure.subplots(rows, columns, squeeze=False).flat)
    across, up = _limits(records)
    for axes, generation in zip(places, shown, strict=False):
        _draw(axes, records, generation)
        axes.set(xlim=across, ylim=up)
        axes.set_xlabel("predicted latency, ms a frame", fontsize=7)
        axes.set_ylabel("PSNR-Y, dB", fontsize=7)
    places[0].legend(fontsize=6, loc="lower right")
    _draw_hypervolume(places[len(shown)], records)
    for axes in places[len(shown) + 1 :]:
        axes.axis("off")
    figure.tight_layout()
    return figure


def _draw_hypervolume(axes: Any, records: Sequence[Record]) -> None:
    values = hypervolumes(records)
    axes.plot(range(len(values)), values, "o-", markersize=3, color=BLUE)
    axes.set_title("area under the front", fontsize=8)
    axes.set_xlabel("generation", fontsize=7)
    axes.set_ylabel("hypervolume, ms dB", fontsize=7)
    axes.tick_params(labelsize=7)
    axes.grid(alpha=0.3)


def generations_gif(records: Sequence[Record], *, seconds: float = 0.7) -> bytes:
    """An animated GIF of the front, a picture a generation, the last one three times as long.

    Args:
        records: of a search, at least one.
        seconds: that each picture stays.
    """
    from matplotlib.figure import Figure
    from PIL import Image

    across, up = _limits(records)
    pictures = []
    for generation in range(max(record.generation for record in records) + 1):
        figure = Figure(figsize=(6, 4), dpi=90)
        axes = figure.subplots()
        _draw(axes, records, generation)
        axes.set(xlim=across, ylim=up)
        axes.set_xlabel("predicted latency, ms a frame")
        axes.set_ylabel("PSNR-Y on the validation patches, dB")
        axes.legend(fontsize=7, loc="lower right")
        content = io.BytesIO()
        figure.savefig(content, format="png")
        pictures.append(Image.open(content).convert("P", palette=Image.Palette.ADAPTIVE, colors=32))
    gif, stay = io.BytesIO(), round(1e3 * seconds)
    durations = [stay] * (len(pictures) - 1) + [3 * stay]
    pictures[0].save(gif, format="GIF", save_all=True, append_images=pictures[1:], duration=durations, loop=0)
    return gif.getvalue()


SMOOTH: Final = 50
"""A curve is drawn as means of a 50th of it each."""
_GRADIENT: Final = "gradient_norm"


def candidates_figure(found: Candidates) -> Any:
    """Every evaluated candidate, as predicted and on patches, and the front."""
    figure = new_figure(COLUMN, 2.6)
    points = np.stack([found.latency_ms, found.psnr_y], 1)
    axes = figure.subplots()
    draw_candidates(axes, points, points[found.front], size=2.0)
    axes.set_ylabel("PSNR-Y on patches, dB")
    return figure


def hypervolume_figure(found: Candidates) -> Any:
    """The hypervolume of the front after each generation."""
    grown = growth(found)
    figure = new_figure(COLUMN, 2.2)
    axes = figure.subplots()
    axes.plot(grown.hypervolume, ".-", color=BLUE, markersize=4)
    axes.set_xlabel("generation")
    axes.set_ylabel("hypervolume, ms dB")
    latency, quality = grown.reference
    told = f"{grown.evaluated[-1]:,} candidates;\nup to {latency:.3g} ms, from {quality:.2f} dB"
    axes.text(0.96, 0.06, told, ha="right", va="bottom", transform=axes.transAxes)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(alpha=0.3)
    return figure


def _means(curve: Curve) -> tuple[np.ndarray, np.ndarray]:
    """Steps and values, averaged over neighbours where there are many."""
    parts = min(SMOOTH, len(curve.step))
    steps, values = (np.array_split(x, parts) for x in (curve.step, curve.value))
    return np.array([s.mean() for s in steps]), np.array([v.mean() for v in values])


def training_figure(curves: Mapping[str, Curve]) -> Any:
    """The losses and, below them, the norm of the gradient.

    Args:
        curves: of `dysr_jax.report.rundata.RunData.training`, not empty.
    """
    groups = [[n for n in curves if n != _GRADIENT], [n for n in curves if n == _GRADIENT]]
    labels = ("loss and L1 (of 0 to 1)", "gradient norm")
    drawn = [(names, label) for names, label in zip(groups, labels, strict=True) if names]
    figure = new_figure(COLUMN, 1.0 + 1.3 * len(drawn))
    rows = figure.subplots(len(drawn), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (names, label) in zip(rows, drawn, strict=True):
        for name, colour in zip(names, COLOURS * len(names), strict=False):
            steps, values = _means(curves[name])
            axes.plot(steps, values, color=colour, label="loss" if name == "loss" else f"L1, {name}")
        axes.set_ylabel(label)
        axes.grid(alpha=0.3)
    if len(groups[0]) > 1:
        rows[0].legend(ncols=2, loc="lower center", bbox_to_anchor=(0.5, 1.0), frameon=False)
    rows[-1].set_xlabel("training step")
    rows[-1].xaxis.set_major_formatter("{x:,.0f}")
    rows[-1].xaxis.get_major_locator().set_params(nbins=5)
    return figure
