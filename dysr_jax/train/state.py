"""What training carries from step to step, and the optimizer."""

from typing import Any

import chex
import flax.struct
import jax
import jax.numpy as jnp
import optax

from dysr_jax.model.supernet import Params, init_params
from dysr_jax.space import SearchSpace
from dysr_jax.train.config import TrainConfig


@flax.struct.dataclass
class TrainState:
    """All that a checkpoint holds. Randomness is a function of the seed and `step`."""

    step: chex.Array
    """int32, updates done."""
    params: Params
    ema: Params
    """Moving average of `params`."""
    opt_state: Any


def _schedule(config: TrainConfig) -> optax.Schedule:
    """Linear warm-up, then the decay."""
    peak, warmup = config.learning_rate, min(config.warmup, config.steps // 2)
    rest = config.steps - warmup
    decay = {
        "cosine": optax.cosine_decay_schedule(peak, rest, alpha=0.01),
        "linear": optax.linear_schedule(peak, peak / 100, rest),
        "constant": optax.constant_schedule(peak),
    }[config.schedule]
    return optax.join_schedules([optax.linear_schedule(0.0, peak, warmup), decay], [warmup])


def make_optimizer(config: TrainConfig) -> optax.GradientTransformation:
    """Clipping by global norm, then Adam with a warm-up and a schedule."""
    return optax.chain(optax.clip_by_global_norm(config.clip), optax.adam(_schedule(config)))


def init_state(key: chex.PRNGKey, space: SearchSpace, config: TrainConfig) -> TrainState:
    """Fresh parameters and optimizer state."""
    params = init_params(key, space)
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        params=params,
        ema=jax.tree.map(jnp.copy, params),
        opt_state=make_optimizer(config).init(params),
    )
