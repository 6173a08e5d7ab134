"""What training and search did over time: losses, the front by generation, its hypervolume."""

import io
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from dysr_jax.report.candidates import Candidates, growth, hypervolumes
from dysr_jax.report.plots import style
from dysr_jax.report.plots.front import PATCHES_DB, PREDICTED_MS, draw_front, draw_records
from dysr_jax.results import quality_points
from dysr_jax.search import Record, front_records
from dysr_jax.train import Curve

MARGIN: Final = 0.05  # share of the ranges that is left free at the axes' ends


def _limits(records: Sequence[Record]) -> dict[str, tuple[float, float]]:
    values = quality_points(records)
    low, high = values.min(0), values.max(0)
    margin = MARGIN * np.where(high > low, high - low, 1.0)
    xlim, ylim = zip((low - margin).tolist(), (high + margin).tolist(), strict=True)
    return {"xlim": xlim, "ylim": ylim}


def _draw_front(axes: Any, records: Sequence[Record], generation: int) -> None:
    """The candidates until a generation, those that it added, and the front."""
    known = [record for record in records if record.generation <= generation]
    before, new = ([r for r in known if (r.generation == generation) == own] for own in (False, True))
    draw_records(axes, before, style.GREY, "before", s=7)
    draw_records(axes, new, style.ORANGE, "of this generation", s=7)
    draw_front(axes, front_records(known), style.BLUE, "front", linewidth=1.5)
    axes.set_title(f"generation {generation}: {len(known)} candidates", fontsize=8)
    axes.tick_params(labelsize=7)
    axes.grid(alpha=0.3)
    axes.set(**_limits(records))


def _label_small(axes: Any, x: str, y: str) -> None:
    axes.set_xlabel(x, fontsize=7)
    axes.set_ylabel(y, fontsize=7)
    axes.tick_params(labelsize=7)


def generations_figure(records: Sequence[Record], *, panels: int = 5) -> Any:
    """The front after `panels` generations, first and last among them, and its hypervolume after each."""
    last = max(record.generation for record in records)
    shown = sorted({round(place) for place in np.linspace(0, last, min(panels, last + 1))})
    rows = -(-(len(shown) + 1) // 3)
    figure, grid = style.screen_figure(10, 2.9 * rows, rows, 3, squeeze=False)
    places = list(grid.flat)
    for axes, generation in zip(places, shown, strict=False):
        _draw_front(axes, records, generation)
        _label_small(axes, PREDICTED_MS, "PSNR-Y, dB")
    places[0].legend(fontsize=6, loc="lower right")
    volume, *empty = places[len(shown) :]
    points, born = quality_points(records), np.array([record.generation for record in records])
    values = hypervolumes(points, born, last + 1, (points[:, 0].max(), points[:, 1].min()))
    volume.plot(range(len(values)), values, "o-", markersize=3, color=style.BLUE)
    volume.set_title("area under the front", fontsize=8)
    _label_small(volume, "generation", "hypervolume, ms dB")
    for axes in empty:
        axes.axis("off")
    return style.finish(figure)


def generations_gif(records: Sequence[Record], *, seconds: float = 0.7) -> bytes:
    """An animated GIF of the front, a picture per generation, the last one three times as long."""
    from PIL import Image

    pictures = []
    for generation in range(max(record.generation for record in records) + 1):
        figure, axes = style.screen_figure(6, 4)
        _draw_front(axes, records, generation)
        axes.set(xlabel=PREDICTED_MS, ylabel=PATCHES_DB)
        axes.legend(fontsize=7, loc="lower right")
        content = io.BytesIO()
        figure.savefig(content, format="png", dpi=90)
        pictures.append(Image.open(content).convert("P", palette=Image.Palette.ADAPTIVE, colors=32))
    gif, stay = io.BytesIO(), round(1e3 * seconds)
    durations = [stay] * (len(pictures) - 1) + [3 * stay]
    pictures[0].save(gif, format="GIF", save_all=True, append_images=pictures[1:], duration=durations, loop=0)
    return gif.getvalue()


def hypervolume_figure(found: Candidates) -> Any:
    """For papers: the hypervolume of the front after each generation."""
    grown = growth(found)
    figure, axes = style.paper_axes(style.COLUMN, 2.2)
    axes.plot(grown.hypervolume, ".-", color=style.BLUE, markersize=4)
    axes.set(xlabel="generation", ylabel="hypervolume, ms dB")
    latency, quality = grown.reference
    text = f"{grown.evaluated[-1]:,} candidates;\nup to {latency:.3g} ms, from {quality:.2f} dB"
    axes.text(0.96, 0.06, text, ha="right", va="bottom", transform=axes.transAxes)
    style.whole_numbers(axes.xaxis)
    axes.grid(alpha=0.3)
    return figure


CURVE_POINTS: Final = 50  # a longer curve is drawn as the means of so many parts
GRADIENT: Final = "gradient_norm"


def _means(curve: Curve) -> tuple[np.ndarray, np.ndarray]:
    """Steps and values, averaged over neighbours where there are many."""
    parts = min(CURVE_POINTS, len(curve.step))
    steps, values = (np.array_split(x, parts) for x in (curve.step, curve.value))
    return np.array([s.mean() for s in steps]), np.array([v.mean() for v in values])


def training_figure(curves: Mapping[str, Curve]) -> Any:
    """For papers: losses and, below, the gradient's norm; `curves` is `RunData.training`, not empty."""
    losses, gradient = ([n for n in curves if (n == GRADIENT) == is_norm] for is_norm in (False, True))
    labels = {"loss and L1 (of 0 to 1)": losses, "gradient norm": gradient}
    drawn = [(names, label) for label, names in labels.items() if names]
    figure = style.paper_figure(style.COLUMN, 1.0 + 1.3 * len(drawn))
    rows = figure.subplots(len(drawn), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (names, label) in zip(rows, drawn, strict=True):
        for name, colour in zip(names, style.COLOURS * len(names), strict=False):
            steps, values = _means(curves[name])
            axes.plot(steps, values, color=colour, label="loss" if name == "loss" else f"L1, {name}")
        axes.set_ylabel(label)
        axes.grid(alpha=0.3)
    if len(losses) > 1:
        rows[0].legend(ncols=2, **style.ABOVE)
    rows[-1].set_xlabel("training step")
    rows[-1].xaxis.set_major_formatter("{x:,.0f}")
    rows[-1].xaxis.get_major_locator().set_params(nbins=5)
    return figure
