"""What benchmarks start from: a supernet, data, and archs drawn from the seed.

What a device can do, as a yardstick: the rate of its matrix products.

The rows of `bench step` and `bench candidates`: an arch by the search program and by its static one.
"""

import statistics
from collections.abc import Sequence
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp

from dysr_jax.compiling import jit
from dysr_jax.config import RunConfig, check
from dysr_jax.data import Pair, load_pairs
from dysr_jax.errors import InputError
from dysr_jax.metrics import mse_y
from dysr_jax.model import (
    Arch,
    Params,
    Supernet,
    frame_program,
    largest,
    make_supernet,
    sample,
    size,
    smallest,
    to_archs,
)
from dysr_jax.search import Patches
from dysr_jax.timing import median_ms


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
    if config.devices not in (None, 1):
        raise InputError(f"devices {config.devices}: must be 1: benchmarks use one device")
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


def matrix_flops(dtype: Any, rounds: int = 7) -> float:
    """FLOP/s of a large square matrix product in `dtype` on the first device, random operands."""
    side = 1024 if jax.default_backend() == "cpu" else 8192
    left, right = jax.random.normal(jax.random.key(0), (2, side, side), dtype)
    product = jit(jnp.matmul)
    return 2 * side**3 / median_ms({"": lambda: product(left, right)}, rounds)[""] * 1e3


class Row(NamedTuple):
    """Medians of one arch."""

    arch: str
    search_ms: float
    static_ms: float

    @property
    def ratio(self) -> float:
        """Time of the search program over that of the static program."""
        return self.search_ms / self.static_ms

    def to_json(self) -> dict[str, Any]:
        """With the ratio."""
        return {**self._asdict(), "ratio": self.ratio}


def median_ratio(rows: Sequence[Row]) -> float:
    """The ratios' median."""
    return statistics.median(row.ratio for row in rows)


def describe_space(net: Supernet) -> str:
    """One line."""
    space = net.space
    return f"{len(space.body)} slots, width {space.width}, x{space.scale}, {size(space):.3g} archs"
