r"""The front on the benchmark sets, beside published models: a table (Markdown, CSV) and a figure.

    python experiments/quality.py --out runs/quality --folders Set5 Set14 BSD100

measures the weights that come with the package (or `--bundle RUN/bundle`) as `dysr eval` does. With
`--recorded FILE` it draws and prints what an earlier call, or `dysr eval --json FILE`, measured:

    python experiments/quality.py --out runs/quality \
        --recorded experiments/results/quality_x4.json

Writes `quality.json`, `quality.md`, `quality.csv` and `quality.png`. Published figures (x4, PSNR-Y, mult-adds
at 1280x720) are in `experiments/results/published_x4.csv`; models trained on DIV2K, which is three times as
many and larger images, stand apart.
"""

import csv
import dataclasses
import io
import json
import pathlib
from typing import Any, NamedTuple

import tyro

from dysr_jax.apps import BICUBIC, evaluate_set
from dysr_jax.atomic import replacing, write_json
from dysr_jax.bundle import find_bundle
from dysr_jax.data import find_benchmark_sets
from dysr_jax.report import scores_json
from dysr_jax.report.plots import BLUE, GREY, ORANGE, save_figure

PUBLISHED = pathlib.Path(__file__).parent / "results" / "published_x4.csv"
GROUPS = {
    "here": "DySR, dysr_jax (291 images)",
    "small": "published, T91 and BSD200 or as small",
    "div2k": "published, DIV2K",
}
COLOURS = {"here": BLUE, "small": ORANGE, "div2k": GREY}


@dataclasses.dataclass(frozen=True)
class Options:
    """What is measured, or drawn."""

    out: pathlib.Path
    """Folder for the results."""
    folders: tuple[pathlib.Path, ...] = ()
    """Benchmark sets, as `dysr eval` takes them."""
    bundle: str | None = None
    """A bundle; without it the weights that come with the package."""
    scale: int = 4
    """Of those weights."""
    recorded: pathlib.Path | None = None
    """Draw these results and measure nothing."""


class Model(NamedTuple):
    """A row of the table."""

    name: str
    group: str
    trained_on: str
    params: float | None
    mult_adds: float | None
    psnr_y: dict[str, float]
    ssim_y: dict[str, float]


def measure(options: Options) -> dict[str, Any]:
    """What `dysr eval --json` writes."""
    bundle = find_bundle(options.bundle, options.scale)
    names = [member.name for member in bundle.members]
    sets = find_benchmark_sets(options.folders, bundle.space.scale, None)
    found = [evaluate_set(bundle, one, names, progress=True) for one in sets]
    place = options.bundle or f"pretrained x{bundle.space.scale}"
    return scores_json(place, bundle, bundle.members, found)


def own_models(result: dict[str, Any]) -> list[Model]:
    """Bicubic and the members, by mult-adds."""
    members = sorted(result["members"].items(), key=lambda item: item[1]["mult_adds"])
    costs = {BICUBIC: {"params": None, "mult_adds": None}} | dict(members)
    return [
        Model(
            name,
            "here",
            "-" if name == BICUBIC else "291",
            cost["params"],
            cost["mult_adds"],
            {key: found["scores"][name]["psnr_y"] for key, found in result["sets"].items()},
            {key: found["scores"][name]["ssim_y"] for key, found in result["sets"].items()},
        )
        for name, cost in costs.items()
    ]


def published_models(sets: list[str]) -> list[Model]:
    """Those whose figures are known, with the sets that were measured here."""
    with PUBLISHED.open() as file:
        rows = list(csv.DictReader(file))
    return [
        Model(
            row["model"],
            row["group"],
            row["trained_on"],
            float(row["params"]),
            float(row["mult_adds"]) if row["mult_adds"] else None,
            {name: float(row[name]) for name in sets if name in row},
            {},
        )
        for row in rows
    ]


def _cells(model: Model, sets: list[str]) -> list[str]:
    params = "" if model.params is None else f"{model.params / 1e3:,.0f}K"
    mult_adds = "" if model.mult_adds is None else f"{model.mult_adds / 1e9:,.1f}G"
    cells = [model.name, model.trained_on, params, mult_adds]
    for name in sets:
        psnr = f"{model.psnr_y[name]:.2f}" if name in model.psnr_y else ""
        cells.append(f"{psnr} / {model.ssim_y[name]:.4f}" if name in model.ssim_y else psnr)
    return cells


def markdown(models: list[Model], sets: list[str]) -> str:
    """A table a group."""
    header = ["model", "trained on", "weights", "mult-adds", *sets]
    lines: list[str] = []
    for group, title in GROUPS.items():
        rows = [_cells(model, sets) for model in models if model.group == group]
        if rows:
            lines += [f"{title}:", "", _row(header), _row(["---"] * len(header))]
            lines += [*map(_row, rows), ""]
    return "\n".join(lines)


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def as_csv(models: list[Model], sets: list[str]) -> str:
    """A line a model."""
    content = io.StringIO()
    writer = csv.writer(content, lineterminator="\n")
    figures = [f"{name}_{kind}" for name in sets for kind in ("psnr_y", "ssim_y")]
    writer.writerow(["model", "group", "trained_on", "params", "mult_adds", *figures])
    for model in models:
        pairs = [[model.psnr_y.get(name, ""), model.ssim_y.get(name, "")] for name in sets]
        start = [model.name, model.group, model.trained_on, model.params, model.mult_adds]
        writer.writerow([*start, *(figure for pair in pairs for figure in pair)])
    return content.getvalue()


def draw(path: pathlib.Path, models: list[Model], sets: list[str]) -> None:
    """PSNR-Y against mult-adds and against weights, a row a set."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 3.6 * len(sets)))
    grid = figure.subplots(len(sets), 2, squeeze=False)
    for axes_row, name in zip(grid, sets, strict=True):
        for axes, cost, unit in zip(axes_row, ("mult_adds", "params"), (1e9, 1e3), strict=True):
            for group, title in GROUPS.items():
                _draw_group(axes, [m for m in models if m.group == group], name, cost, unit, title)
            axes.set_xscale("log")
            axes.margins(x=0.12)
            axes.set_ylabel(f"{name} PSNR-Y, dB")
            axes.grid(alpha=0.3)
        axes_row[0].set_xlabel("mult-adds for 1280x720, billions")
        axes_row[1].set_xlabel("weights, thousands")
    grid[0][0].legend(fontsize=8, loc="lower right")
    figure.tight_layout()
    save_figure(figure, path)


def _draw_group(axes: Any, models: list[Model], name: str, cost: str, unit: float, title: str) -> None:
    points = [
        (getattr(model, cost) / unit, model.psnr_y[name], model.name)
        for model in models
        if getattr(model, cost) and name in model.psnr_y
    ]
    if not points:
        return
    group = models[0].group
    marker = "o-" if group == "here" else "D"
    x, y, names = zip(*sorted(points), strict=True)
    axes.plot(x, y, marker, color=COLOURS[group], markersize=5, label=title)
    if group != "here":
        for point in zip(x, y, names, strict=True):
            axes.annotate(point[2], point[:2], xytext=(5, -3), textcoords="offset points", fontsize=7)


def main() -> None:
    """Run it."""
    options = tyro.cli(Options)
    if bool(options.recorded) == bool(options.folders):
        raise SystemExit("allowed is one of --folders and --recorded")
    result = json.loads(options.recorded.read_text()) if options.recorded else measure(options)
    sets = list(result["sets"])
    models = own_models(result) + (published_models(sets) if result["scale"] == 4 else [])
    options.out.mkdir(parents=True, exist_ok=True)
    write_json(options.out / "quality.json", result)
    text = markdown(models, sets)
    for name, content in {"quality.md": text, "quality.csv": as_csv(models, sets)}.items():
        with replacing(options.out / name) as partial:
            partial.write_text(content)
    draw(options.out / "quality.png", models, sets)
    print(text)
    for name, found in result["sets"].items():
        print(f"{name}: {found['images']} images, LR {found['lr']}; measured on {result['device']}")


if __name__ == "__main__":
    main()
