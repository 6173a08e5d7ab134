"""What benchmarks share: a supernet, data, archs drawn from the seed, and the JSON of a result."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from dysr_jax import model, parallel
from dysr_jax.compiling import jit
from dysr_jax.config import RunConfig, check
from dysr_jax.data import Pair, load_pairs
from dysr_jax.device import device_name
from dysr_jax.fields import require
from dysr_jax.metrics import mse_y
from dysr_jax.model import Arch, Params, Supernet
from dysr_jax.search import Patches
from dysr_jax.train import TrainConfig, init_state, make_train_chunk


class BenchResult:
    """Base of the frozen dataclasses that benchmarks return."""

    def to_json(self) -> dict[str, Any]:
        """The figures, as `--json` writes them: fields by name, rows as objects."""
        return dataclasses.asdict(self)  # type: ignore[call-overload]


class Setup(NamedTuple):
    """A supernet, its data, and archs to time."""

    net: Supernet
    training: list[Pair]
    validation: list[Pair]
    archs: list[Arch]  # none where a benchmark asks for none


def check_one_device(config: RunConfig) -> None:
    """Refuse a config for several devices."""
    require(config.devices in (None, 1), "devices", config.devices, "1: benchmarks use one device")


def make_setup(config: RunConfig, rounds: int, archs: int = 0, option: str = "archs") -> Setup:
    """The smallest, the largest and random archs of the config's space, `archs` in all; an InputError where
    `archs` (called `option`) is 1 or `rounds` under 1; see `check` and `load_pairs`.
    """
    require(rounds >= 1, "rounds", rounds, "at least 1")
    require(archs != 1, option, archs, "at least 2 (smallest and largest)")
    check_one_device(config)
    space = check(config, devices=1)
    training, validation = load_pairs(config.data, space.scale)
    net = model.make_supernet(space, config.dtype, layers=config.layers)
    if not archs:
        return Setup(net, training, validation, [])
    drawn = model.to_archs(space, model.sample_archs(jax.random.key(config.seed), space, (archs - 2,)))
    timed = [model.smallest_arch(space), *drawn, model.largest_arch(space)]
    return Setup(net, training, validation, timed)


def chunk_trainer(net: Supernet, recipe: TrainConfig, mesh: Mesh, **how: Any) -> Callable[[Any], Any]:
    """A call that trains one chunk on the pool or crops that it is given; `how` is of `make_train_chunk`."""
    chunk = make_train_chunk(net, recipe, mesh, **how)
    held = [parallel.replicate(init_state(jax.random.key(0), net.space, recipe), mesh)]
    key = jax.random.key(1)

    def train(data: Any) -> Any:
        held[0], metrics = chunk(held[0], data, key)
        return metrics

    return train


def compile_evaluation(net: Supernet, params: Params, patches: Patches, arch: Arch) -> Any:
    """The executable of one candidate's evaluation, its arch static: `(params, patches) -> luma MSE`."""
    program = model.frame_program(net)

    def static(params: Params, patches: Patches) -> chex.Array:
        return jnp.mean(mse_y(program(params, patches.lr, arch), patches.hr, net.space.scale))

    return jit(static).lower(params, patches).compile()


def describe(net: Supernet) -> dict[str, str]:
    """The device, the space and the compute dtype, by the names that results have for them."""
    space, size = net.space, model.space_size(net.space)
    line = (
        f"{len(space.body)} slots, width {'/'.join(map(str, space.widths))}, x{space.scale}, {size:.3g} archs"
    )
    return {"device": device_name(), "space": line, "dtype": jnp.dtype(net.dtype).name}
