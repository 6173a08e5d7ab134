r"""Does the supernet rank archs as training each of them alone does, and what does inheriting cost?

Trains one supernet, and archs along its front alone with the same recipe, batch and number of updates;
compares the PSNR-Y on the validation images.

    python experiments/rank_fidelity.py --out runs/fidelity --source folder:TRAIN \
        --validation folder:OTHERS

Archs are trained side by side in `--jobs` processes, distributed over `--gpus`. The same command goes on
after an interruption. Writes `rank_fidelity.json` and `rank_fidelity.png` and prints a table.
"""

import dataclasses
import json
import pathlib
import sys
from typing import Any

import jax
import jax.numpy as jnp
import jobs
import numpy as np
import scipy.stats
import tyro

from dysr_jax import parallel
from dysr_jax.atomic import write_json
from dysr_jax.compiling import jit
from dysr_jax.config import RunConfig, check, load_config
from dysr_jax.data import build_pool, load_pairs
from dysr_jax.device import device_name
from dysr_jax.errors import InputError
from dysr_jax.metrics import mse_y, psnr
from dysr_jax.model import (
    Arch,
    Params,
    SearchSpace,
    Supernet,
    arch_mult_adds,
    arch_name,
    frame_program,
    make_supernet,
    parse_arch,
    sample_archs,
    single_arch_space,
    to_archs,
)
from dysr_jax.report import format_table
from dysr_jax.report.plots import BLUE, GREY, save_figure
from dysr_jax.search import Evaluator, Patches, choose_ladder, grid_patches
from dysr_jax.train import sample_training_archs, train

SUPERNET = "supernet"
"""The supernet's place among what is trained."""


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
    steps: int = 5000
    """Updates of the supernet and of each arch."""
    archs: tuple[str, ...] = ()
    """Names of the archs; without any, `count` along the front of the supernet."""
    count: int = 12
    """Archs along the front."""
    jobs: int = 1
    """Processes over which the archs are distributed."""
    gpus: int = 0
    """GPUs over which the processes are distributed; 0 leaves them all visible to each."""
    only: tuple[str, ...] = ()
    """Train only these of the archs (what a process of `jobs` is told)."""


@dataclasses.dataclass(frozen=True)
class Case:
    """What all trainings share."""

    options: Options
    config: RunConfig
    space: SearchSpace
    training: list
    patches: Patches


def make_case(options: Options) -> Case:
    """Load the images."""
    config = load_config(options.config)
    data = dataclasses.replace(config.data, source=options.source, validation=options.validation)
    recipe = dataclasses.replace(config.train, steps=options.steps)
    config = dataclasses.replace(config, data=data, train=recipe)
    space = check(config, 1)
    training, validation = load_pairs(config.data, space.scale)
    patches = grid_patches(validation, config.search.patches, config.search.patch)
    return Case(options, config, space, training, patches)


def check_names(case: Case) -> None:
    """Refuse unknown archs before the supernet is trained."""
    for name in (*case.options.archs, *case.options.only):
        try:
            parse_arch(case.space, name)
        except InputError as error:
            sys.exit(str(error))


def trained(case: Case, name: str) -> tuple[Supernet, Params]:
    """The supernet, or an arch alone, after its training; one that was trained before is loaded."""
    config, space, recipe = case.config, case.space, case.config.train
    if name != SUPERNET:
        space = single_arch_space(space, parse_arch(space, name))
        recipe = dataclasses.replace(recipe, archs="group", random_archs=1, sandwich=False)
    mesh = parallel.device_mesh(1)
    net = make_supernet(space, config.dtype)
    pool = build_pool(case.training, config.data.patch)
    place = case.options.out / name
    place.mkdir(parents=True, exist_ok=True)
    state = train(jax.random.key(config.seed), net, pool, recipe, mesh, place)
    return net, parallel.on_one_device(state.ema, mesh)


def patches_psnr_y(net: Supernet, params: Params, arch: Arch, patches: Patches) -> float:
    """PSNR-Y of an arch as the search computes it: of each photograph's patches together."""
    program = frame_program(net)

    @jit
    def errors(params: Params) -> jax.Array:
        return mse_y(program(params, patches.lr, arch), patches.hr, net.space.scale)

    each, images = np.asarray(errors(params)), np.asarray(patches.image)
    return float(np.mean([psnr(jnp.mean(each[images == i])) for i in np.unique(images)]))


def along_the_front(case: Case, net: Supernet, params: Params) -> list[str]:
    """Names of archs along the front of PSNR-Y against mult-adds of 1,500 archs."""
    keys = jax.random.split(jax.random.key(0), 3)
    drawn = [sample_archs(keys[0], case.space, (500,))]
    drawn += [
        sample_training_archs(key, case.space, 500, how)
        for key, how in zip(keys[1:], ("spread", "nested"), strict=True)
    ]
    genes = np.unique(np.concatenate([np.asarray(d) for d in drawn]), axis=0)
    mesh = parallel.device_mesh(1)
    quality = Evaluator(net, case.patches, mesh)(parallel.replicate(params, mesh), genes)
    archs = to_archs(case.space, genes)
    cost = np.array([arch_mult_adds(case.space, arch) for arch in archs], float)
    chosen = choose_ladder(
        case.space, archs, cost, quality, members=case.options.count, switch_cost_weight=0.0
    )
    return [arch_name(case.space, archs[i]) for i in chosen]


def score_alone(case: Case, name: str) -> None:
    """Train an arch alone and note its PSNR-Y; once."""
    result = case.options.out / name / "psnr_y.json"
    if not result.exists():
        net, params = trained(case, name)
        only = (0,) * len(net.space.slots)
        write_json(result, patches_psnr_y(net, params, only, case.patches))


def compare(case: Case, net: Supernet, params: Params, names: list[str]) -> dict[str, Any]:
    """Inherited against stand-alone PSNR-Y of each arch."""
    rows = []
    for name in names:
        arch = parse_arch(case.space, name)
        inherited = patches_psnr_y(net, params, arch, case.patches)
        own = json.loads((case.options.out / name / "psnr_y.json").read_text())
        cost = arch_mult_adds(case.space, arch)
        rows.append({"arch": name, "mult_adds": cost, "inherited": inherited, "alone": own})
    first, second = ([row[key] for row in rows] for key in ("inherited", "alone"))
    return {
        "device": device_name(),
        "steps": case.options.steps,
        "archs": rows,
        "kendall_tau": float(scipy.stats.kendalltau(first, second).statistic),
        "mean_loss": float(np.mean(np.subtract(second, first))),
    }


def draw_figure(path: pathlib.Path, result: dict[str, Any]) -> None:
    """Inherited against stand-alone, with the line where both are equal."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.6, 4.2))
    axes = figure.subplots()
    own, inherited = ([row[key] for row in result["archs"]] for key in ("alone", "inherited"))
    ends = [min(own + inherited), max(own + inherited)]
    axes.plot(ends, ends, color=GREY, linewidth=1, label="equal")
    axes.scatter(own, inherited, color=BLUE, s=24)
    axes.set_xlabel("PSNR-Y trained alone, dB")
    axes.set_ylabel("PSNR-Y inherited from the supernet, dB")
    title = f"tau {result['kendall_tau']:.2f}, {result['steps']:,} updates each, {result['device']}"
    axes.set_title(title, fontsize=9)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    figure.tight_layout()
    save_figure(figure, path)


def main() -> None:
    """Run it."""
    options = tyro.cli(Options)
    case = make_case(options)
    check_names(case)
    if jobs.is_job():
        for name in options.only:
            score_alone(case, name)
        return
    net, params = trained(case, SUPERNET)
    names = list(options.archs) or along_the_front(case, net, params)
    if options.jobs > 1:
        jobs.distribute(names, options.jobs, options.gpus)
    for name in names:
        score_alone(case, name)
    result = compare(case, net, params, names)
    write_json(options.out / "rank_fidelity.json", result)
    draw_figure(options.out / "rank_fidelity.png", result)
    rows = [
        [
            row["arch"],
            f"{row['mult_adds'] / 1e9:.1f}G",
            f"{row['inherited']:.3f}",
            f"{row['alone']:.3f}",
            f"{row['alone'] - row['inherited']:+.3f}",
        ]
        for row in result["archs"]
    ]
    print(format_table(["arch", "mult-adds", "inherited", "alone", "loss"], rows))
    print(f"Kendall's tau {result['kendall_tau']:.3f}, mean loss {result['mean_loss']:+.3f} dB")


if __name__ == "__main__":
    main()
