"""Is what the search finds the true front? A space small enough to evaluate whole tells.

Trains one supernet on the embedded photographs, evaluates every arch of its space, and then lets NSGA-II,
with and without a surrogate, the front of additive scores, pymoo's NSGA-II, Optuna's samplers and random
search look for the front, ten seeds each, at one evaluation an arch. Writes `exhaustive_front.json`, `.csv`
and `.png` into a folder and prints a table.

    python experiments/exhaustive_front.py --out runs/exhaustive
    python experiments/exhaustive_front.py --space width --out runs/exhaustive_width
    python experiments/exhaustive_front.py --space large --out runs/exhaustive_large

`small` has one width, `width` four and as many archs. `large` is for a GPU; on a CPU `--share` and `--seeds`
ask for less of it.

Needs the `test` extra (pymoo); without Optuna its samplers are left out. The same command goes on after an
interruption of the training.
"""

import dataclasses
import functools
import itertools
import json
import pathlib
from collections.abc import Callable, Iterator
from typing import Final, Literal, NamedTuple

import jax
import numpy as np
import tyro
from baselines.front_rivals import rivals

from dysr_jax import parallel
from dysr_jax.atomic import replacing, write_json
from dysr_jax.bench import evaluate_space
from dysr_jax.config import PRESETS, SpaceConfig, check
from dysr_jax.data import build_pool, load_pairs
from dysr_jax.device import device_name
from dysr_jax.model import SearchSpace, gene_counts, make_supernet, space_size, to_archs
from dysr_jax.report import format_table
from dysr_jax.report.plots import BLUE, GREY, ORANGE, save_figure
from dysr_jax.search import Record, SearchConfig, device_table, grid_patches, nsga2, pareto, surrogate
from dysr_jax.search.latency import Terms, table_terms
from dysr_jax.train import train


@dataclasses.dataclass(frozen=True)
class Options:
    """What is compared."""

    out: pathlib.Path
    """Folder for the results and the training's checkpoints."""
    space: Literal["small", "width", "large"] = "small"
    """4,096 archs of one width, 4,096 of four widths, or 46,656 of one width."""
    steps: int = 1500
    """Updates of the supernet."""
    population: int = 32
    """Of both NSGA-IIs."""
    share: float = 0.1
    """Part of the space that each search may evaluate."""
    seeds: int = 10
    """Searches of each method."""


FOUR: Final = ("id", "s3", "r1", "a2")
SPACES: Final = {
    "small": SpaceConfig(6, (16,), branches=FOUR, upsamplers=("u1",)),
    "width": SpaceConfig(5, (8, 12, 16, 24), branches=FOUR, upsamplers=("u1",)),
    "large": SpaceConfig(6, (16,), branches=("id", "s3", "c3", "r1", "r2", "a2"), upsamplers=("u1",)),
}
"""Spaces by their names: branches^slots archs per width."""


class Truth(NamedTuple):
    """Every arch of a space."""

    space: SearchSpace
    genes: np.ndarray
    """int32 `[N, genes]`, in lexicographic order."""
    objectives: np.ndarray
    """`[N, 2]`: -PSNR-Y in dB and milliseconds, minimised."""
    seconds: float
    """Time of evaluating all, compilation apart."""
    latency: Terms
    """The milliseconds as a sum over slots."""

    def rows(self, genes: np.ndarray) -> np.ndarray:
        """Where these archs stand."""
        return np.ravel_multi_index(tuple(genes.T), gene_counts(self.space))


COLOURS = (BLUE, ORANGE, GREY, "tab:green", "tab:red", "tab:purple", "tab:brown", "tab:pink", "tab:olive")
"""Of the methods, in their order."""

BANDS = ("NSGA-II (dysr_jax)", "NSGA-II + mlp surrogate")
"""Methods whose seeds are drawn too: of all they would hide each other."""

SHARES = (0.03, 0.05, 0.1)
"""Parts of the space after which methods are compared."""

Search = Callable[[Truth, int, int], Iterator[np.ndarray]]
"""`(truth, population, seed)` to batches of rows, in the order in which they are evaluated."""


def evaluate_all(options: Options) -> Truth:
    """Train a supernet and evaluate its whole space."""
    recipe = PRESETS["quickstart"]
    recipe = dataclasses.replace(
        recipe,
        space=SPACES[options.space],
        train=dataclasses.replace(recipe.train, steps=options.steps),
        search=dataclasses.replace(recipe.search, population=options.population),
    )
    mesh = parallel.device_mesh()
    space = check(recipe, mesh.devices.size)
    net = make_supernet(space, recipe.dtype)
    training, validation = load_pairs(recipe.data, space.scale)
    pool = build_pool(training, recipe.data.patch)
    options.out.mkdir(parents=True, exist_ok=True)
    state = train(jax.random.key(0), net, pool, recipe.train, mesh, options.out)
    params = parallel.on_one_device(state.ema, mesh)
    table, _ = device_table(net, params, recipe.search.frame, recipe.search.rounds)
    patches = grid_patches(validation, recipe.search.patches, recipe.search.patch)
    records = evaluate_space(net, params, patches, table, mesh)
    genes = np.array([record.arch for record in records], np.int32)
    objectives = np.array([(-record.psnr_y, record.latency_ms) for record in records])
    seconds = sum(record.seconds for record in records)
    return Truth(space, genes, objectives, seconds, table_terms(table, space))


def ours(truth: Truth, population: int, seed: int, **choice: str) -> Iterator[np.ndarray]:
    """`dysr_jax.search` with a `method` or a `surrogate`."""
    operators, key = nsga2.Operators(truth.space), jax.random.key(seed)
    state = nsga2.init(key, operators, population)
    most = -(-len(truth.genes) // population)
    config = SearchConfig(population=population, generations=most, **choice)
    genes, known = state.genes, {}
    for generation in itertools.count(1):
        rows = truth.rows(np.asarray(genes))
        yield rows
        figures = zip(to_archs(truth.space, genes), truth.objectives[rows].tolist(), strict=True)
        known |= {arch: Record("", arch, -loss, ms, 0, 0.0) for arch, (loss, ms) in figures}
        state, _ = nsga2.tell(state, genes, truth.objectives[rows].astype(np.float32))
        own = jax.random.fold_in(key, generation)
        asked = surrogate.ask(own, state, operators, config, truth.latency, [*known.values()])
        genes, state = asked.genes, asked.state


def by_chance(truth: Truth, population: int, seed: int) -> Iterator[np.ndarray]:
    """Random search without replacement."""
    batches = max(1, len(truth.genes) // population)
    yield from np.array_split(np.random.default_rng(seed).permutation(len(truth.genes)), batches)


METHODS: dict[str, Search] = {
    "NSGA-II (dysr_jax)": ours,
    "NSGA-II + additive surrogate": functools.partial(ours, surrogate="additive"),
    "NSGA-II + mlp surrogate": functools.partial(ours, surrogate="mlp"),
    "front of additive scores": functools.partial(ours, method="additive"),
    **rivals(),
    "random search": by_chance,
}


def curve(truth: Truth, batches: Iterator[np.ndarray], budget: int) -> np.ndarray:
    """Share of the true hypervolume after 1, 2, ... evaluations, `[budget]`; known archs cost nothing."""
    corner = truth.objectives.max(0)
    whole = pareto.hypervolume(truth.objectives, corner)
    seen: dict[int, None] = {}
    idle = 0
    for rows in batches:
        before = len(seen)
        seen.update(dict.fromkeys(rows.tolist()))
        idle = idle + 1 if len(seen) == before else 0
        if len(seen) >= budget or idle > 200:  # a search that finds nothing new has ended
            break
    order = np.array(list(seen))[:budget]
    shares = [pareto.hypervolume(truth.objectives[order[: n + 1]], corner) / whole for n in range(len(order))]
    return np.pad(shares, (0, budget - len(shares)), mode="edge")


def _budget(truth: Truth, options: Options) -> int:
    """Evaluations of a search, one at least."""
    return max(1, int(options.share * len(truth.genes)))


def _stops(truth: Truth, options: Options) -> list[int]:
    """Evaluations after which methods are compared, within the budget."""
    stops = [int(share * len(truth.genes)) for share in SHARES]
    return [n for n in stops if 1 <= n <= _budget(truth, options)]


def compare(truth: Truth, options: Options) -> dict[str, np.ndarray]:
    """`[seeds, budget]` for each method."""
    budget = _budget(truth, options)
    return {
        name: np.stack(
            [curve(truth, search(truth, options.population, seed), budget) for seed in range(options.seeds)]
        )
        for name, search in METHODS.items()
    }


def draw(path: pathlib.Path, curves: dict[str, np.ndarray], title: str) -> None:
    """Medians over the seeds; of two methods the band from the worst to the best too."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.2))
    axes = figure.subplots()
    for (name, values), colour in zip(curves.items(), COLOURS, strict=False):
        evaluations = np.arange(1, values.shape[1] + 1)
        axes.plot(evaluations, 100 * np.median(values, 0), color=colour, label=name)
        if name in BANDS:
            axes.fill_between(evaluations, 100 * values.min(0), 100 * values.max(0), color=colour, alpha=0.2)
    axes.axhline(99, color="black", linewidth=0.8, linestyle=":")
    axes.set_ylim(80, 100.3)
    axes.set_xlabel("archs evaluated")
    axes.set_ylabel("share of the true hypervolume, %")
    axes.set_title(title, fontsize=9)
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right", title="median; band: worst to best seed", fontsize=8)
    figure.tight_layout()
    save_figure(figure, path)


def report(truth: Truth, options: Options, curves: dict[str, np.ndarray]) -> dict:
    """What is written and printed."""
    methods = []
    for name, values in curves.items():
        reached = [np.argmax(row >= 0.99) + 1 if row[-1] >= 0.99 else 0 for row in values]
        methods.append(
            {
                "name": name,
                "median": float(np.median(values[:, -1])),
                "worst": float(values[:, -1].min()),
                "best": float(values[:, -1].max()),
                "seeds_at_99": sum(map(bool, reached)),
                "median_evaluations_to_99": float(np.median(reached)) if all(reached) else None,
                "after": [
                    {"evaluations": n, "median": float(np.median(at)), "worst": float(at.min())}
                    for n, at in ((n, values[:, n - 1]) for n in _stops(truth, options))
                ],
            }
        )
    return {
        "device": device_name(),
        "space_size": space_size(truth.space),
        "front": len(pareto.nondominated(truth.objectives)),
        "exhaustive_seconds": truth.seconds,
        "exhaustive_candidates_per_second": len(truth.genes) / truth.seconds,
        "evaluations": _budget(truth, options),
        "seeds": options.seeds,
        "population": options.population,
        "methods": methods,
    }


def main() -> None:
    """Run it."""
    options = tyro.cli(Options)
    truth = evaluate_all(options)
    curves = compare(truth, options)
    result = report(truth, options, curves)
    write_json(options.out / "exhaustive_front.json", result)
    with replacing(options.out / "exhaustive_front.csv") as partial:
        header = "method,seed,evaluations,hypervolume_share\n"
        lines = [
            f"{name},{seed},{n + 1},{share:.6f}\n"
            for name, values in curves.items()
            for seed, row in enumerate(values)
            for n, share in enumerate(row)
        ]
        partial.write_text(header + "".join(lines))
    title = (
        f"{result['space_size']:,} archs, {result['front']} on the front, {options.seeds} seeds, "
        f"{result['device']}"
    )
    draw(options.out / "exhaustive_front.png", curves, title)
    methods = result.pop("methods")
    print(json.dumps(result, indent=2))
    rows = [
        [
            m["name"],
            *(f"{100 * at['median']:.2f} ({100 * at['worst']:.2f})" for at in m["after"]),
            f"{m['seeds_at_99']}/{options.seeds}",
            f"{m['median_evaluations_to_99']:.0f}" if m["median_evaluations_to_99"] else "-",
        ]
        for m in methods
    ]
    stops = [f"% after {at['evaluations']} (worst)" for at in methods[0]["after"]]
    header = ["method", *stops, "seeds at 99 %", "evaluations to 99 %"]
    print(format_table(header, rows))


if __name__ == "__main__":
    main()
