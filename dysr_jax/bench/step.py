"""A training step: the search program (as it is trained, in a scan) against each static program."""

import statistics
from typing import Any

import chex
import jax
import jax.numpy as jnp
from jax import lax

from dysr_jax.bench.setup import make_setup
from dysr_jax.config import RunConfig
from dysr_jax.data.pool import build_pool, draw
from dysr_jax.device import device_name
from dysr_jax.model.supernet import Supernet
from dysr_jax.space import Arch, arch_name, size
from dysr_jax.timing import median_ms
from dysr_jax.train.config import TrainConfig
from dysr_jax.train.losses import l1
from dysr_jax.train.state import TrainState, init_state
from dysr_jax.train.step import apply_gradients

SCANNED_STEPS = 4
"""Steps of the search program in one dispatch; its time is divided by them."""


def _step(
    net: Supernet,
    config: TrainConfig,
    state: TrainState,
    lr: chex.Array,
    hr: chex.Array,
    arch: Arch | chex.Array,
) -> TrainState:
    """L1, gradient and Adam's update for one arch, traced or static."""

    def loss(params: Any) -> chex.Array:
        return l1(net.apply({"params": params}, lr, arch), hr)

    return apply_gradients(state, jax.grad(loss)(state.params), config)


def bench_step(config: RunConfig, *, archs: int = 6, rounds: int = 15) -> dict[str, Any]:
    """Milliseconds of a training step of single archs, in turn, on one device.

    The static program is one step a dispatch with nothing around it, which is the fastest that XLA makes
    of it; the search program runs inside `lax.switch` inside `lax.scan`, as in training.

    Args:
        config: space, patches, batch and precision.
        archs: how many to time: the smallest, the largest, the rest random.
        rounds: timed rounds.

    Returns:
        Device, space, and for every arch both medians and their ratio; `ratio` is the ratios' median.
    """
    setup = make_setup(config, archs)
    net, recipe = setup.net, config.train
    key_init, key_draw = jax.random.split(jax.random.key(config.seed))
    state = init_state(key_init, net.space, recipe)
    lr, hr = draw(key_draw, build_pool(setup.training, config.data.patch), recipe.batch)

    @jax.jit
    def searched(state: TrainState, arch: chex.Array) -> TrainState:
        def body(state: TrainState, _: None) -> tuple[TrainState, None]:
            return _step(net, recipe, state, lr, hr, arch), None

        return lax.scan(body, state, None, length=SCANNED_STEPS)[0]

    calls: dict[str, Any] = {}
    for arch in setup.archs:
        static = jax.jit(lambda state, arch=arch: _step(net, recipe, state, lr, hr, arch))
        genes = jnp.asarray(arch, jnp.int32)
        calls[f"static {arch}"] = lambda run=static: run(state)
        calls[f"search {arch}"] = lambda genes=genes: searched(state, genes)
    measured = median_ms(calls, rounds)
    rows = []
    for arch in setup.archs:
        search_ms, static_ms = measured[f"search {arch}"] / SCANNED_STEPS, measured[f"static {arch}"]
        name = arch_name(net.space, arch)
        ratio = search_ms / static_ms
        rows.append({"arch": name, "search_ms": search_ms, "static_ms": static_ms, "ratio": ratio})
    return {
        "device": device_name(),
        "space": f"{len(net.space.body)} slots, width {net.space.width}, {size(net.space):.3g} archs",
        "batch": f"{recipe.batch} patches of {config.data.patch}x{config.data.patch}",
        "dtype": jnp.dtype(net.dtype).name,
        "archs": rows,
        "ratio": statistics.median(row["ratio"] for row in rows),
    }
