"""What training carries from step to step, and the optimizer."""

from collections.abc import Callable
from typing import Any

import chex
import flax.struct
import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree

from dysr_jax.model import Params, SearchSpace, init_params
from dysr_jax.train.config import TrainConfig


@flax.struct.dataclass(eq=False)
class TrainState:
    """All that a checkpoint holds. Randomness is a function of the seed and `step`.

    Inside a dispatch of many updates `params` and `ema` are one vector each (`to_vectors`): an update of
    hundreds of small arrays would be hundreds of launches.
    """

    step: chex.Array
    """int32, updates done."""
    params: Any
    """The supernet's, float32."""
    ema: Any
    """Moving average of `params`."""
    opt_state: Any
    """Of Adam, over the vector of all parameters."""


def make_schedule(config: TrainConfig) -> optax.Schedule:
    """The learning rate of a step: a linear warm-up, then a cosine decay."""
    peak, warmup = config.learning_rate, min(config.warmup, config.steps // 2)
    decay = optax.cosine_decay_schedule(peak, config.steps - warmup, alpha=0.01)
    return optax.join_schedules([optax.linear_schedule(0.0, peak, warmup), decay], [warmup])


def make_optimizer(config: TrainConfig) -> optax.GradientTransformation:
    """Clipping by global norm, then AdamW (Loshchilov & Hutter 2019)."""
    adam = optax.adamw(make_schedule(config), weight_decay=config.weight_decay)
    return optax.chain(optax.clip_by_global_norm(config.clip), adam)


def init_state(key: chex.PRNGKey, space: SearchSpace, config: TrainConfig) -> TrainState:
    """Fresh parameters and optimizer state."""
    params = init_params(key, space)
    opt_state = make_optimizer(config).init(ravel_pytree(params)[0])
    return TrainState(jnp.zeros((), jnp.int32), params, jax.tree.map(jnp.copy, params), opt_state)


def to_vectors(state: TrainState) -> tuple[TrainState, Callable[[chex.Array], Params]]:
    """The state with its parameters and their average as vectors, and what makes a pytree of one again."""
    params, unravel = ravel_pytree(state.params)
    ema, _ = ravel_pytree(state.ema)
    return TrainState(state.step, params, ema, state.opt_state), unravel


def to_pytrees(state: TrainState, unravel: Callable[[chex.Array], Params]) -> TrainState:
    """The inverse of `to_vectors`."""
    return TrainState(state.step, unravel(state.params), unravel(state.ema), state.opt_state)


def apply_gradients(state: TrainState, grads: chex.Array, config: TrainConfig) -> TrainState:
    """Adam's update, and the moving average of the weights (with a warm-up of the decay), on vectors."""
    updates, opt_state = make_optimizer(config).update(grads, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    decay = jnp.minimum(config.ema, (1.0 + state.step) / (10.0 + state.step))
    ema = optax.incremental_update(params, state.ema, 1.0 - decay)
    return TrainState(step=state.step + 1, params=params, ema=ema, opt_state=opt_state)
