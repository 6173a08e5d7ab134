r"""What does a branch bring per millisecond? Networks of one branch each, as deep as a frame's time allows.

A network is named BRANCH-UPSAMPLER. For each budget it gets as many slots of its branch as the budget holds,
by what a slot costs on this device; or the name begins with their number (`8c3-u1`). Then it is trained
alone, and its PSNR-Y stands beside its measured time. `gain` is what it has over the best of the (other)
`--present` branches at the same time.

    python experiments/branch_value.py --source folder:TRAIN --validation folder:OTHERS \
        --budgets 0.3 0.5 --steps 2000 --json experiments/results/branch_value_h200.json

`--steps 0` measures times only; with `--trained FILE`, what another device trained and wrote to FILE is
judged by the times of this one. Trainings share the device, `--jobs` at a time, so that one computes while
others compile; times are measured before, alone.
"""

import concurrent.futures
import dataclasses
import json
import math
import pathlib
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from branch_candidates import register_candidates

from dysr_jax import parallel
from dysr_jax.atomic import write_json
from dysr_jax.compiling import jit
from dysr_jax.config import load_config
from dysr_jax.data import CropPool, build_pool, load_pairs
from dysr_jax.device import device_name
from dysr_jax.errors import InputError
from dysr_jax.metrics import mse_y, psnr
from dysr_jax.model import (
    Params,
    SearchSpace,
    Supernet,
    arch_mult_adds,
    arch_name,
    arch_parameters,
    arch_params,
    compile_static,
    frame_program,
    init_params,
    make_supernet,
    uniform_space,
)
from dysr_jax.report import format_table
from dysr_jax.search import Patches, grid_patches
from dysr_jax.threads import in_threads
from dysr_jax.timing import undisturbed_ms
from dysr_jax.train import TrainConfig, init_state, make_train_chunk

PROBE_SLOTS = 3
"""What a slot costs is a third of what three add to a frame."""

MOST_SLOTS = 40
"""A branch that costs next to nothing is not repeated without end."""

PRESENT = ("s3-u1", "c3-u1", "bq-u1", "rh-u1", "r1-u1", "v3-u1", "k3-u1", "sg-u1")
CANDIDATES = ("sp-u1", "f1-u1", "p3-u1", "i1-u1", "n5-u1", "v3-u0", "v3-ud")


@dataclasses.dataclass(frozen=True)
class Options:
    """What is measured and trained."""

    present: tuple[str, ...] = PRESENT
    """Networks that the others are compared with."""
    candidates: tuple[str, ...] = CANDIDATES
    """The others."""
    budgets: tuple[float, ...] = (0.4,)
    """Milliseconds per frame; each network is made for each of them. Without any, only slots are measured."""
    width: int = 64
    """Channels of the trunk."""
    scale: int = 4
    """Side of the output over side of the input."""
    frame: tuple[int, int] = (270, 480)
    """LR rows and columns of the frame that is timed."""
    rounds: int = 15
    """Rounds of the measurement of times."""
    config: str = "base"
    """Preset or .json file with the recipe of the training; without its rescaled copies of the images, which
    would take minutes to prepare."""
    steps: int = 2000
    """Updates of each network; 0 trains none."""
    batch: int | None = None
    """Patches per update; by default the recipe's."""
    source: str = "embedded"
    """Training images, as `data.source`."""
    validation: str | None = None
    """Validation images, as `data.validation`."""
    patches: int = 200
    """Validation patches, evenly from all images."""
    jobs: int = 4
    """Networks that are trained at the same time."""
    seconds: float = math.inf
    """A training that has not begun by then, counted from the start of the program, is left out."""
    trained: pathlib.Path | None = None
    """Take PSNR-Y from what a run on another device wrote (by `--json`), and train nothing."""
    seed: int = 0
    """Of the weights and the patches; all networks share it."""
    json: pathlib.Path | None = None
    """Write the figures to this file too."""


@dataclasses.dataclass(frozen=True)
class Cost:
    """What a frame takes, in ms."""

    name: str  # BRANCH-UPSAMPLER
    base_ms: float  # with identity in every slot
    slot_ms: float  # more for every slot of the branch


@dataclasses.dataclass(frozen=True)
class Network:
    """A branch as often as is asked or a budget allows, and what became of it."""

    name: str  # BRANCH-UPSAMPLER
    slots: int
    arch: str
    mult_adds: int  # for a 1280x720 output
    parameters: int
    ms: float = 0.0  # per frame, measured
    psnr_y: float | None = None  # dB; None: not trained
    gain: float | None = None  # dB over the best of the (other) present ones at the same time


def space_of(options: Options, name: str, slots: int) -> SearchSpace:
    """The space whose one arch is the network of this name."""
    branch, _, upsampler = name.partition("-")
    return uniform_space(
        slots=slots, widths=options.width, scale=options.scale, branches=(branch,), upsamplers=(upsampler,)
    )


def parse(text: str) -> tuple[str, int | None]:
    """BRANCH-UPSAMPLER and the number of slots, None without one."""
    name = text.lstrip("0123456789")
    digits = text[: len(text) - len(name)]
    return name, int(digits) if digits else None


def kinds(names: Iterable[str]) -> list[str]:
    """The different BRANCH-UPSAMPLER among the networks of these names."""
    return [*dict.fromkeys(parse(text)[0] for text in names)]


def check_names(options: Options) -> None:
    """Refuse what names no branch before anything is compiled."""
    for text in (*options.present, *options.candidates):
        name, slots = parse(text)
        try:
            space_of(options, name, 1 if slots is None else slots)
        except InputError as error:
            sys.exit(f"network {text!r}: {error}")


def only_arch(space: SearchSpace) -> tuple[int, ...]:
    """The arch of a space that has one."""
    return (0,) * len(space.slots)


def frames_ms(options: Options, spaces: Sequence[SearchSpace]) -> list[float]:
    """Milliseconds per frame of the static programs of these spaces' only archs, measured side by side."""
    if not spaces:
        return []
    shapes = [jax.eval_shape(lambda space=space: init_params(jax.random.key(0), space)) for space in spaces]
    frame = jnp.zeros((*options.frame, 3), jnp.uint8)

    def compiled(index: int) -> Callable[[], object]:
        space, arch = spaces[index], only_arch(spaces[index])
        run = compile_static(make_supernet(space, "auto"), arch, shapes[index], options.frame)
        read = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), arch_params(shapes[index], space, arch))
        return lambda: run(read, frame)

    calls = dict(enumerate(in_threads(compiled, range(len(spaces)))))
    return [*undisturbed_ms(calls, options.rounds).values()]


def slot_costs(options: Options) -> list[Cost]:
    """What each branch costs in a frame, measured side by side; the present ones first."""
    names = kinds((*options.present, *options.candidates))
    empty = [*dict.fromkeys("id-" + name.partition("-")[2] for name in names)]
    probes = [space_of(options, name, 1) for name in empty]
    probes += [space_of(options, name, PROBE_SLOTS) for name in names]
    taken = frames_ms(options, probes)
    least = dict(zip(empty, taken, strict=False))
    found = []
    for name, ms in zip(names, taken[len(empty) :], strict=True):
        base = least["id-" + name.partition("-")[2]]
        found.append(Cost(name, base, (ms - base) / PROBE_SLOTS))
    return found


def networks(options: Options, costs: Sequence[Cost]) -> list[Network]:
    """The networks with their measured times: one of each name and budget, or of as many slots as it says."""
    by_name = {cost.name: cost for cost in costs}
    made = []
    for text in dict.fromkeys((*options.present, *options.candidates)):
        name, slots = parse(text)
        cost = by_name[name]
        fitting = [(budget - cost.base_ms) / max(cost.slot_ms, 1e-9) for budget in options.budgets]
        depths = [min(MOST_SLOTS, max(1, round(depth))) for depth in fitting] if slots is None else [slots]
        made += [(name, depth) for depth in depths]
    spaces = [space_of(options, name, slots) for name, slots in made]
    return [
        Network(
            name,
            slots,
            arch_name(space, only_arch(space)),
            arch_mult_adds(space, only_arch(space)),
            arch_parameters(space, only_arch(space)),
            ms,
        )
        for (name, slots), space, ms in zip(made, spaces, frames_ms(options, spaces), strict=True)
    ]


def patches_psnr_y(net: Supernet, params: Params, patches: Patches) -> float:
    """PSNR-Y of the network: of each photograph's patches together, then the mean of the photographs."""
    program, arch = frame_program(net), only_arch(net.space)

    @jit
    def errors(params: Params, lr: jax.Array, hr: jax.Array) -> jax.Array:
        return mse_y(program(params, lr, arch), hr, net.space.scale)

    each, images = np.asarray(errors(params, patches.lr, patches.hr)), np.asarray(patches.image)
    return float(np.mean([psnr(jnp.mean(each[images == i])) for i in np.unique(images)]))


def trained_psnr_y(
    options: Options, net: Supernet, recipe: TrainConfig, pool: CropPool, patches: Patches
) -> float:
    """PSNR-Y of the validation patches after a training of the network alone; no number if it diverged."""
    mesh = parallel.device_mesh(1)
    key_init, key_steps = jax.random.split(jax.random.key(options.seed))
    state = parallel.replicate(init_state(key_init, net.space, recipe), mesh)
    chunk = make_train_chunk(net, recipe, mesh)
    for _ in range(recipe.steps // recipe.chunk):
        state, _ = chunk(state, pool, key_steps)
    params = parallel.on_one_device(state.ema, mesh)
    return patches_psnr_y(net, params, patches)


def train_all(options: Options, made: Sequence[Network], end: float = math.inf) -> list[Network]:
    """The networks with their PSNR-Y; without, if it is later than `end` of the monotonic clock."""
    config = load_config(options.config)
    data = dataclasses.replace(
        config.data, source=options.source, validation=options.validation, duplicates="skip", rescale=()
    )
    chunk = min(config.train.chunk, options.steps)
    recipe = dataclasses.replace(
        config.train,
        archs="group",  # one arch is all there is to draw
        random_archs=1,
        sandwich=False,
        batch=options.batch or config.train.batch,
        chunk=chunk,
        steps=options.steps // chunk * chunk,
        warmup=min(config.train.warmup, options.steps // 5),
    )
    training, validation = load_pairs(data, options.scale)
    pool = parallel.replicate(build_pool(training, data.patch), parallel.device_mesh(1))
    patches = grid_patches(validation, options.patches, config.search.patch)

    def quality(network: Network) -> Network:
        begin = time.monotonic()
        if begin > end:
            return network
        space = space_of(options, network.name, network.slots)
        net = make_supernet(space, config.dtype)
        psnr_y = trained_psnr_y(options, net, recipe, pool, patches)
        seconds = time.monotonic() - begin
        print(f"{network.arch}: {psnr_y:.2f} dB after {seconds:.0f} s", file=sys.stderr, flush=True)
        return dataclasses.replace(network, psnr_y=psnr_y)

    with concurrent.futures.ThreadPoolExecutor(options.jobs) as threads:
        return [*threads.map(quality, made)]


def reached_psnr_y(networks: Sequence[Network], ms: float) -> float:
    """What the networks of one branch reach in `ms`: along the line through them over the time's logarithm.

    Beyond the ends the nearest network's. Minus infinity where none was trained to a number.
    """
    points = sorted((n.ms, n.psnr_y) for n in networks if n.psnr_y is not None and np.isfinite(n.psnr_y))
    if not points:
        return -math.inf
    times, quality = zip(*points, strict=True)
    return float(np.interp(math.log(ms), np.log(times), quality))


def compared(present: Sequence[str], made: Sequence[Network]) -> list[Network]:
    """The networks with what each gains over the best of the (other) present branches at the same time."""

    def gain(network: Network) -> float | None:
        if network.psnr_y is None:
            return None
        rivals = [[n for n in made if n.name == name] for name in present if name != network.name]
        best = max((reached_psnr_y(each, network.ms) for each in rivals), default=-math.inf)
        return network.psnr_y - best if math.isfinite(best) else None

    return [dataclasses.replace(network, gain=gain(network)) for network in made]


def on_the_front(made: Sequence[Network]) -> list[str]:
    """The archs that no other one beats in PSNR-Y without taking longer, by time."""
    known = sorted((n for n in made if n.psnr_y is not None), key=lambda n: (n.ms, -n.psnr_y))
    return [n.arch for i, n in enumerate(known) if all(n.psnr_y > other.psnr_y for other in known[:i])]


def cost_table(costs: Sequence[Cost]) -> str:
    """A line per branch."""
    least = costs[0].slot_ms
    rows = [[c.name, f"{c.base_ms:.3f}", f"{c.slot_ms:.4f}", f"{c.slot_ms / least:.2f}"] for c in costs]
    return format_table(["network", "ms without slots", "per slot", f"of {costs[0].name}"], rows)


def table(made: Sequence[Network]) -> str:
    """A line per network, by time."""

    def number(value: float | None, form: str) -> str:
        return "" if value is None else format(value, form)

    rows = [
        [
            n.arch,
            f"{n.parameters / 1e3:.0f}K",
            f"{n.mult_adds / 1e9:.1f}G",
            f"{n.ms:.3f}",
            number(n.psnr_y, ".2f"),
            number(n.gain, "+.2f"),
        ]
        for n in sorted(made, key=lambda n: n.ms)
    ]
    return format_table(["network", "weights", "mult-adds", "ms", "PSNR-Y", "gain"], rows)


def trained_before(path: pathlib.Path, options: Options, made: Sequence[Network]) -> list[Network]:
    """The networks with the PSNR-Y that a run of the same width and scale gave those of the same arch."""
    found = json.loads(path.read_text())
    for key in ("width", "scale"):
        if found[key] != getattr(options, key):
            sys.exit(f"--trained {path}: its {key} is {found[key]}; must be {getattr(options, key)}")
    psnr_y = {network["arch"]: network["psnr_y"] for network in found["networks"]}
    return [dataclasses.replace(network, psnr_y=psnr_y.get(network.arch)) for network in made]


def main() -> None:
    """Run it."""
    options = tyro.cli(Options)
    register_candidates()
    end = time.monotonic() + options.seconds
    check_names(options)
    costs = slot_costs(options)
    print(cost_table(costs), flush=True)
    made = networks(options, costs)
    if options.trained:
        made = trained_before(options.trained, options, made)
    elif options.steps:
        made = train_all(options, made, end)
    made = compared(kinds(options.present), made)
    if made:
        print(table(made))
    if front := on_the_front(made):
        print("on the front:", ", ".join(front))
    if options.json:
        result: Mapping[str, object] = {
            "device": device_name(),
            "width": options.width,
            "scale": options.scale,
            "frame": list(options.frame),
            "steps": options.steps,
            "present": list(options.present),
            "costs": [dataclasses.asdict(cost) for cost in costs],
            "networks": [dataclasses.asdict(network) for network in made],
        }
        write_json(options.json, result)


if __name__ == "__main__":
    main()
