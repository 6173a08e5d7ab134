r"""What each part of the recipe brings: the same supernet trained many times, one part changed at a time.

Every variant trains for the same number of updates and is judged by the front that a fixed sample of
archs has on the validation images: the best PSNR-Y within each budget of mult-adds. With `--largest`, which
takes a fraction of the time, only the largest arch of each variant is trained, alone, and its PSNR-Y on
validation images stands beside that on training images: what overfits is the first to show there.

    python experiments/ablation.py --out runs/ablation --source folder:TRAIN \
        --validation folder:OTHERS --gpus 2 --jobs 2

Variants run side by side in `--jobs` processes, distributed over `--gpus` (one process per GPU is
fastest). The same command goes on after an interruption. Writes `ablation.json` and prints the table.
"""

import dataclasses
import functools
import json
import pathlib
import re
import sys
import time
from collections.abc import Sequence
from typing import Any

import chex
import jax
import jobs
import numpy as np
import tyro

from dysr_jax import parallel
from dysr_jax.atomic import write_json
from dysr_jax.config import RunConfig, check, load_config
from dysr_jax.data import DataConfig, Pair, build_pool, load_pairs
from dysr_jax.device import device_name
from dysr_jax.model import (
    UPSAMPLERS,
    KernelSpec,
    LayerBackend,
    SearchSpace,
    SubPixel,
    arch_mult_adds,
    arch_name,
    arch_parameters,
    largest_arch,
    make_supernet,
    register_branch,
    single_arch_space,
    smallest_arch,
    to_archs,
)
from dysr_jax.report import format_table
from dysr_jax.search import Evaluator, grid_patches
from dysr_jax.train import sample_training_archs, train

BUDGETS = (2.0, 4.6, 10.0, 20.0, 32.5, 60.0, 90.0)
"""Billions of mult-adds for a 1280x720 output; 4.6 is FSRCNN's, 32.5 CARN-M's, 90 about CARN's."""

BRANCHES = ("id", "bq", "rq", "rh", "r1")

VARIANTS: dict[str, dict[str, dict[str, Any]]] = {
    "the recipe": {},
    "no sandwich": {"train": {"sandwich": False}},
    "distillation 0.5": {"train": {"distill": 0.5, "sandwich_share": 1.0}},
    "archs drawn uniformly": {"train": {"sampling": "uniform"}},
    "archs spread over costs, not nested": {"train": {"sampling": "spread"}},
    "two random archs a patch, half the patches": {"train": {"random_archs": 2, "batch": 96}},
    "upsamplers share no kernel": {"space": {"upsamplers": ("u1", "o2")}},
    "no bottleneck": {"space": {"branches": ("id", "rq", "rh", "r1")}},
    "no EMA": {"train": {"ema": 0.0}},
    "no warm-up": {"train": {"warmup": 0}},
    "no clipping": {"train": {"clip": 1e9}},
    "rate x4": {"train": {"learning_rate": 4e-3}},
    "rate x4, no clipping, no warm-up": {"train": {"clip": 1e9, "warmup": 0, "learning_rate": 4e-3}},
    "rate x2": {"train": {"learning_rate": 2e-3}},
    "rate / 2": {"train": {"learning_rate": 5e-4}},
    "patch 48, batch 48": {"train": {"batch": 48}, "data": {"patch": 48}},
    "patch 32, batch 108": {"train": {"batch": 108}, "data": {"patch": 32}},
    "patch 16, batch 432": {"train": {"batch": 432}, "data": {"patch": 16}},
    "batch 384, half the updates": {"train": {"batch": 384, "steps_factor": 0.5}},
    "no rescaled copies": {"data": {"rescale": ()}},
    "two rescaled copies": {"data": {"rescale": (0.8, 0.6)}},
    "no channel shuffle": {"train": {"channel_shuffle": False}},
    "no color jitter": {"train": {"color_jitter": 0.0}},
    "color jitter of all": {"train": {"color_jitter": 1.0}},
    "no noise": {"train": {"noise": 0.0}},
    "no weight decay": {"train": {"weight_decay": 0.0}},
    "none of these against overfitting, patch 48": {
        "train": {
            "batch": 48,
            "channel_shuffle": False,
            "color_jitter": 0.0,
            "noise": 0.0,
            "weight_decay": 0.0,
        },
        "data": {"patch": 48, "rescale": ()},
    },
    "with channel attention": {"space": {"branches": (*BRANCHES, "a1")}},
    "slots of half the width at most": {"space": {"branches": ("id", "bq", "rq", "rh")}},
    "10 slots up to twice as wide": {"space": {"slots": 10, "branches": (*BRANCHES, "r2")}},
    "38 slots, half as wide": {"space": {"slots": 38, "branches": ("id", "bq", "rq", "rh")}},
}
"""What is changed of the recipe, by section of the config."""


class OwnSubPixel(SubPixel):
    """A sub-pixel upsampler whose last convolution no other one shares."""

    def reads(self, width: int, scale: int) -> dict[str, KernelSpec]:
        """As `SubPixel`, under other names."""
        return {f"own_{name}": spec for name, spec in super().reads(width, scale).items()}

    def __call__(self, kernels: dict[str, chex.Array], x: chex.Array, layers: LayerBackend) -> chex.Array:
        """As `SubPixel`."""
        return super().__call__({name.removeprefix("own_"): k for name, k in kernels.items()}, x, layers)


register_branch(UPSAMPLERS, "o2", OwnSubPixel(1))


@dataclasses.dataclass(frozen=True)
class Options:
    """What is trained."""

    out: pathlib.Path
    """Folder for the results and the checkpoints."""
    source: str = "embedded"
    """Training images, as `data.source`."""
    validation: str = ""
    """Validation images, as `data.validation`."""
    config: str = "base"
    """Preset or .json file with the recipe."""
    steps: int = 4000
    """Updates of each variant."""
    archs: int = 1024
    """Archs that are evaluated; the same for all variants of a space."""
    largest: bool = False
    """Train only the largest arch of each variant, alone."""
    only: tuple[str, ...] = tuple(VARIANTS)
    """Names of the variants to run."""
    jobs: int = 1
    """Processes over which the variants are distributed."""
    gpus: int = 0
    """GPUs over which the processes are distributed; 0 leaves them all visible to each."""


def recipe(options: Options, name: str) -> RunConfig:
    """The config of a variant."""
    config = load_config(options.config)
    changes = {section: dict(fields) for section, fields in VARIANTS[name].items()}
    train_changes = changes.setdefault("train", {})
    chunk, steps = config.train.chunk, options.steps
    if "steps_factor" in train_changes:
        steps = int(steps * train_changes.pop("steps_factor")) // chunk * chunk
    train_changes["steps"] = steps
    if options.largest:  # the one arch of its space is what is drawn
        train_changes |= {"archs": "group", "random_archs": 1, "sandwich": False}
    data = {"source": options.source, "validation": options.validation}
    changes["data"] = {**data, **changes.get("data", {})}
    sections = {
        section: dataclasses.replace(getattr(config, section), **fields)
        for section, fields in changes.items()
    }
    return dataclasses.replace(config, **sections)


def sampled_archs(space: SearchSpace, count: int) -> np.ndarray:
    """Archs of every cost, drawn in each way; the smallest and the largest among them. int32 `[N, genes]`."""
    keys = jax.random.split(jax.random.key(0), 3)
    ways = ("uniform", "spread", "nested")
    drawn = [sample_training_archs(key, space, count // 3, how) for key, how in zip(keys, ways, strict=True)]
    ends = np.array([smallest_arch(space), largest_arch(space)], np.int32)
    return np.unique(np.concatenate([ends, *map(np.asarray, drawn)]), axis=0)


@functools.lru_cache(maxsize=1)
def _images(data: DataConfig, scale: int) -> tuple[list[Pair], list[Pair]]:
    return load_pairs(data, scale)


def run_variant(options: Options, name: str) -> dict[str, Any]:
    """Train a variant and evaluate its archs."""
    config = recipe(options, name)
    mesh = parallel.device_mesh(1)
    space = check(config, mesh.devices.size)
    if options.largest:
        space = single_arch_space(space, largest_arch(space))
    net = make_supernet(space, config.dtype)
    training, validation = _images(config.data, space.scale)
    pool = build_pool(training, config.data.patch)
    start = time.perf_counter()
    state = train(jax.random.key(config.seed), net, pool, config.train, mesh, place(options, name))
    seconds = time.perf_counter() - start
    params = parallel.replicate(state.ema, mesh)

    def quality(pairs: Sequence[Pair], genes: np.ndarray) -> np.ndarray:
        patches = grid_patches(pairs, config.search.patches, config.search.patch)
        return np.asarray(Evaluator(net, patches, mesh)(params, genes))

    found = {"name": name, "device": device_name(), "steps": config.train.steps, "seconds": seconds}
    if not options.largest:
        genes = sampled_archs(space, options.archs)
        return found | front_at(space, genes, quality(validation, genes))
    genes = np.array([largest_arch(space)], np.int32)
    seen = originals(training, config.search.patch)
    return found | {
        "mult_adds": arch_mult_adds(space, largest_arch(space)),
        "parameters": arch_parameters(space, largest_arch(space)),
        "psnr_y": float(quality(validation, genes)[0]),
        "training_psnr_y": float(quality(seen, genes)[0]),
    }


def originals(training: Sequence[Pair], side: int, count: int = 60) -> Sequence[Pair]:
    """Some of the training images into which patches of this side fit, without rescaled copies."""
    fitting = [p for p in training if "*" not in p.name and min(p.lr.shape[:2]) >= side]
    return fitting[:: -(-len(fitting) // count)]


def front_at(space: SearchSpace, genes: np.ndarray, quality: np.ndarray) -> dict[str, Any]:
    """The best PSNR-Y within each budget, and by which arch."""
    archs = to_archs(space, genes)
    cost = np.array([arch_mult_adds(space, arch) for arch in archs]) / 1e9
    best = []
    for budget in BUDGETS:
        within = np.flatnonzero(cost <= budget)
        i = within[np.argmax(quality[within])]
        best.append({"budget": budget, "psnr_y": float(quality[i]), "arch": arch_name(space, archs[i])})
    return {"front": best, "largest": float(quality[archs.index(largest_arch(space))])}


def place(options: Options, name: str) -> pathlib.Path:
    """The folder of a variant."""
    kind = "largest" if options.largest else "supernet"
    return options.out / kind / re.sub("[^a-z0-9]+", "_", name.lower()).strip("_")


def run_here(options: Options) -> None:
    """The variants one after the other; those that an earlier call finished are left."""
    for name in options.only:
        result = place(options, name) / "result.json"
        if not result.exists():
            result.parent.mkdir(parents=True, exist_ok=True)
            write_json(result, run_variant(options, name))


def table(results: list[dict[str, Any]]) -> str:
    """PSNR-Y in dB within each budget; below the recipe's row, what a change adds to it."""
    first = results[0]["front"]
    rows = []
    for result in results:
        values = [point["psnr_y"] for point in result["front"]]
        if result is not results[0]:
            values = [v - point["psnr_y"] for v, point in zip(values, first, strict=True)]
        form = "{:.2f}" if result is results[0] else "{:+.2f}"
        rows.append([result["name"], *[form.format(value) for value in values]])
    return format_table(["variant", *[f"{budget:g}G" for budget in BUDGETS]], rows)


def largest_table(results: list[dict[str, Any]]) -> str:
    """PSNR-Y of the largest arch in dB; below the recipe's row, what a change adds to it."""
    names = ("psnr_y", "training_psnr_y")
    rows = []
    for result in results:
        size = [f"{result['parameters'] / 1e3:.0f}K", f"{result['mult_adds'] / 1e9:.1f}G"]
        first = {} if result is results[0] else results[0]
        form = "{:+.2f}" if first else "{:.2f}"
        cells = [form.format(result[name] - first.get(name, 0.0)) for name in names]
        rows.append([result["name"], *size, *cells])
    return format_table(["variant", "weights", "mult-adds", "validation", "training"], rows)


def main() -> None:
    """Run it."""
    options = tyro.cli(Options)
    for name in options.only:
        if name not in VARIANTS:
            sys.exit(f"variant {name!r}: allowed are {', '.join(VARIANTS)}")
    if options.jobs == 1:
        run_here(options)
    else:
        jobs.distribute(options.only, options.jobs, options.gpus)
    if jobs.is_job():
        return
    files = [place(options, name) / "result.json" for name in VARIANTS]
    results = [json.loads(file.read_text()) for file in files if file.exists()]
    files[0].parents[1].mkdir(parents=True, exist_ok=True)
    write_json(files[0].parents[1] / "ablation.json", {"variants": results})
    print(largest_table(results) if options.largest else table(results))


if __name__ == "__main__":
    main()
