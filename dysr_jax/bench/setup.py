"""What benchmarks start from: a supernet, data, and archs drawn from the seed."""

from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp

from dysr_jax.compiling import jit
from dysr_jax.config import RunConfig, check
from dysr_jax.data.sources import Pair, load_pairs
from dysr_jax.errors import InputError
from dysr_jax.metrics import mse_y
from dysr_jax.model.programs import frame_program, make_supernet
from dysr_jax.model.supernet import Params, Supernet
from dysr_jax.search.patches import Patches
from dysr_jax.space import Arch, largest, sample, smallest, to_archs


class Setup(NamedTuple):
    """A supernet, its data, and archs to time."""

    net: Supernet
    training: list[Pair]
    validation: list[Pair]
    archs: list[Arch]
    """Empty where a benchmark asks for none."""


def make_setup(config: RunConfig, rounds: int, archs: int = 0, option: str = "archs") -> Setup:
    """The smallest, the largest and random archs of the config's space, `archs` in all.

    Raises:
        InputError: `archs` (called `option`) is 1, `rounds` under 1, or see `check` and `load_pairs`.
    """
    if rounds < 1:
        raise InputError(f"rounds {rounds}: allowed is 1 or more")
    if archs and archs < 2:
        raise InputError(f"{option} {archs}: allowed is 2 or more (smallest and largest)")
    if config.devices > 1:
        raise InputError(f"devices {config.devices}: allowed is 1, which is what benchmarks use")
    space = check(config, devices=1)
    training, validation = load_pairs(config.data, space.scale)
    net = make_supernet(space, config.dtype)
    if not archs:
        return Setup(net, training, validation, [])
    drawn = to_archs(space, sample(jax.random.key(config.seed), space, (archs - 2,)))
    return Setup(net, training, validation, [smallest(space), *drawn, largest(space)])


def compile_evaluation(net: Supernet, params: Params, patches: Patches, arch: Arch) -> Any:
    """The executable of one candidate's evaluation, its arch static: `(params, patches) -> luma MSE`."""
    program = frame_program(net)

    def static(params: Params, patches: Patches) -> chex.Array:
        return jnp.mean(mse_y(program(params, patches.lr, arch), patches.hr, net.space.scale))

    return jit(static).lower(params, patches).compile()
