r"""How many candidates a second a search evaluates, beside the alternatives.

Runs `dysr bench search` on a config, writes `search_throughput.json` and `search_throughput.png` and prints
the table as Markdown:

    python experiments/search_throughput.py --out runs/throughput --config full \
        --source folder:PHOTOS --validation folder:OTHERS

With `--recorded FILE` it draws and prints what an earlier run or `dysr bench search --json FILE` measured:

    python experiments/search_throughput.py --out runs/throughput \
        --recorded experiments/results/search_full_h200.json
"""

import dataclasses
import json
import pathlib
from typing import Any

import tyro

from dysr_jax.atomic import write_json
from dysr_jax.bench import bench_search
from dysr_jax.config import load_config
from dysr_jax.report import format_number
from dysr_jax.report.plots import BLUE, GREY, ORANGE, save_figure

STYLES = {
    "search program": (BLUE, "o"),
    "PyTorch eager": (ORANGE, "s"),
    "compile each candidate": (GREY, "^"),
}


@dataclasses.dataclass(frozen=True)
class Options:
    """What is measured, or drawn."""

    out: pathlib.Path
    """Folder for the results."""
    config: str = "quickstart"
    """Preset, or a .json file as a run writes it."""
    source: str = "embedded"
    """Training images, as `data.source`."""
    validation: str = ""
    """Validation images, as `data.validation`."""
    populations: tuple[int, ...] = (64, 256, 1024)
    """Candidates in a call of the search program."""
    rounds: int = 5
    """Timed rounds."""
    recorded: pathlib.Path | None = None
    """Draw these results and measure nothing."""


def measure(options: Options) -> dict[str, Any]:
    """Run the benchmark."""
    config = load_config(options.config)
    data = dataclasses.replace(config.data, source=options.source, validation=options.validation)
    config = dataclasses.replace(config, data=data)
    return bench_search(config, populations=options.populations, rounds=options.rounds)


def draw(path: pathlib.Path, result: dict[str, Any]) -> None:
    """Candidates a second against the population, a panel for each number of patches."""
    from matplotlib.figure import Figure

    counts = sorted({row["patches"] for row in result["methods"]})
    populations = sorted({row["population"] for row in result["methods"] if row["name"] == "search program"})
    figure = Figure(figsize=(4.6 * len(counts), 4.0))
    panels = figure.subplots(1, len(counts), sharey=True, squeeze=False)[0]
    for axes, count in zip(panels, counts, strict=True):
        for name, (colour, marker) in STYLES.items():
            rows = [r for r in result["methods"] if (r["name"], r["patches"]) == (name, count)]
            rates = [row["candidates_per_second"] for row in rows]
            if name == "search program":
                axes.plot(populations, rates, color=colour, marker=marker, label=name)
            elif rates:
                axes.axhline(rates[0], color=colour, linestyle="--", label=name)
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        axes.set_xticks(populations, [f"{p:,}" for p in populations])
        axes.set_xlabel("candidates in a call")
        axes.set_title(f"{count} patches of {result['patch']}", fontsize=9)
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("candidates a second")
    panels[0].legend(loc="center left", fontsize=8)
    figure.suptitle(f"{result['device']}, {result['space']}, {result['dtype']}", fontsize=9)
    figure.tight_layout()
    save_figure(figure, path)


def markdown(result: dict[str, Any]) -> str:
    """The methods as a Markdown table."""
    lines = [
        f"{result['device']}; {result['space']}; patches of {result['patch']}, {result['dtype']}; "
        f"a large matrix product runs at {result['matrix_tflops']:.3g} TFLOP/s.",
        "",
        "| method | patches | population | candidates/s | ms a candidate | TFLOP/s | of the matrix rate |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in result["methods"]:
        lines.append(
            f"| {row['name']} | {row['patches']} | {row['population']:,} "
            f"| {format_number(row['candidates_per_second'])} | {format_number(row['ms'])} "
            f"| {row['tflops']:.3g} | {100 * row['matrix_share']:.2g} % |"
        )
    return "\n".join(lines)


def main() -> None:
    """Run it."""
    options = tyro.cli(Options)
    result = json.loads(options.recorded.read_text()) if options.recorded else measure(options)
    options.out.mkdir(parents=True, exist_ok=True)
    write_json(options.out / "search_throughput.json", result)
    draw(options.out / "search_throughput.png", result)
    print(markdown(result))


if __name__ == "__main__":
    main()
