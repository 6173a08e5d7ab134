r"""How many candidates per second a search evaluates, beside compiling each one and eager PyTorch.

Runs `dysr bench search` with PyTorch in turn (where it is installed), writes `search_throughput.json` and
`search_throughput.png` and prints the table as Markdown:

    python experiments/search_throughput.py --out runs/throughput --config full \
        --source folder:PHOTOS --validation folder:OTHERS

With `--recorded FILE` it draws and prints what an earlier run or `dysr bench search --json FILE` measured:

    python experiments/search_throughput.py --out runs/throughput \
        --recorded experiments/results/search_full_h200.json
"""

import dataclasses
import json
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tyro
from baselines.torch_presence import torch_device, without_torch

from dysr_jax.atomic import write_json
from dysr_jax.bench import SEARCH_PROGRAM, SearchResult, bench_search
from dysr_jax.config import load_config
from dysr_jax.model import Arch, Params, Supernet
from dysr_jax.report import format_number
from dysr_jax.report.plots import BLUE, GREY, ORANGE, save_figure
from dysr_jax.search import Patches

TORCH = "PyTorch eager"
STYLES = {SEARCH_PROGRAM: (BLUE, "o"), TORCH: (ORANGE, "s"), "compile each candidate": (GREY, "^")}


@dataclasses.dataclass(frozen=True)
class Options:
    """What is measured, or drawn."""

    out: pathlib.Path
    """Folder for the results."""
    config: str = "quickstart"
    """Preset, or a .json file as a run writes it."""
    source: str | None = None
    """Training images, as `data.source`; default: the config's."""
    validation: str | None = None
    """Validation images, as `data.validation`; default: the config's."""
    populations: tuple[int, ...] = (64, 256, 1024)
    """Candidates in a call of the search program."""
    patch_counts: tuple[int, ...] = ()
    """Validation patches; default: a quarter of the config's, and all of it."""
    rounds: int = 5
    """Timed rounds."""
    recorded: pathlib.Path | None = None
    """Draw these results and measure nothing."""


def torch_rival(net: Supernet, params: Params, patches: Patches) -> Callable[[Sequence[Arch]], np.ndarray]:
    """The supernet in eager PyTorch."""
    from baselines.torch_supernet import TorchSupernet

    dtype = np.dtype(net.dtype).name
    return TorchSupernet(net.space, params, patches, device=torch_device(), dtype=dtype)


def measure(options: Options) -> dict[str, Any]:
    """Run the benchmark; `pytorch` says why PyTorch is left out."""
    config = load_config(options.config)
    given = {"source": options.source, "validation": options.validation}
    given = {name: value for name, value in given.items() if value is not None}
    config = dataclasses.replace(config, data=dataclasses.replace(config.data, **given))
    reason = without_torch()
    found = bench_search(
        config,
        populations=options.populations,
        patch_counts=options.patch_counts,
        rounds=options.rounds,
        generations=0,  # the methods alone
        rivals={} if reason else {TORCH: torch_rival},
    )
    return {**found.to_json(), "pytorch": reason or "measured"}


def draw(path: pathlib.Path, found: SearchResult) -> None:
    """Candidates per second against the population, a panel for each number of patches."""
    from matplotlib.figure import Figure

    counts = sorted({row.patches for row in found.methods})
    populations = sorted({row.population for row in found.methods if row.name == SEARCH_PROGRAM})
    figure = Figure(figsize=(4.6 * len(counts), 4.0))
    panels = figure.subplots(1, len(counts), sharey=True, squeeze=False)[0]
    for axes, count in zip(panels, counts, strict=True):
        for name, (colour, marker) in STYLES.items():
            rates = [
                row.candidates_per_second for row in found.methods if (row.name, row.patches) == (name, count)
            ]
            if name == SEARCH_PROGRAM:
                axes.plot(populations, rates, color=colour, marker=marker, label=name)
            elif rates:
                axes.axhline(rates[0], color=colour, linestyle="--", label=name)
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        axes.set_xticks(populations, [f"{p:,}" for p in populations])
        axes.set_xlabel("candidates in a call")
        axes.set_title(f"{count} patches of {found.patch}", fontsize=9)
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("candidates per second")
    panels[0].legend(loc="center left", fontsize=8)
    figure.suptitle(f"{found.device}, {found.space}, {found.dtype}", fontsize=9)
    figure.tight_layout()
    save_figure(figure, path)


def markdown(found: SearchResult) -> str:
    """The methods as a Markdown table."""
    lines = [
        f"{found.device}; {found.space}; patches of {found.patch}, {found.dtype}; "
        f"a large matrix product runs at {found.matrix_tflops:.3g} TFLOP/s.",
        "",
        "| method | patches | population | candidates/s | ms per candidate | TFLOP/s | of the matrix rate |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in found.methods:
        lines.append(
            f"| {row.name} | {row.patches} | {row.population:,} "
            f"| {format_number(row.candidates_per_second)} | {format_number(row.ms)} "
            f"| {row.tflops:.3g} | {100 * row.matrix_share:.2g} % |"
        )
    return "\n".join(lines)


def main() -> None:
    """Run it."""
    options = tyro.cli(Options)
    fields = json.loads(options.recorded.read_text()) if options.recorded else measure(options)
    found = SearchResult.from_json(fields)
    options.out.mkdir(parents=True, exist_ok=True)
    write_json(options.out / "search_throughput.json", fields)
    draw(options.out / "search_throughput.png", found)
    print(markdown(found))
    if fields["pytorch"] != "measured":
        print(f"\n{TORCH}: {fields['pytorch']}")


if __name__ == "__main__":
    main()
