"""The state that training carries from step to step, its optimizer, and its checkpoints through Orbax."""

import contextlib
from collections.abc import Callable
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import optax
import orbax.checkpoint as ocp
from chex import Array, PRNGKey
from etils import epath
from jax.flatten_util import ravel_pytree

from dysr_jax.atomic import is_remote
from dysr_jax.distributed import is_lost
from dysr_jax.errors import InputError
from dysr_jax.model import Params, SearchSpace, init_params
from dysr_jax.train.config import TrainConfig


@flax.struct.dataclass(eq=False)
class TrainState:
    """All that a checkpoint holds. Randomness is a function of the seed and `step`.

    In a dispatch `params` and `ema` are one vector each (`to_vectors`), or updates were hundreds of launches.
    """

    step: Array  # int32, updates done
    params: Any  # the supernet's, float32
    ema: Any  # moving average of `params`
    opt_state: Any  # of Adam, over the vector of all parameters


def make_schedule(config: TrainConfig) -> optax.Schedule:
    """The learning rate of a step: a linear warm-up, then a cosine decay."""
    peak, warmup = config.learning_rate, min(config.warmup, config.steps // 2)
    decay = optax.cosine_decay_schedule(peak, config.steps - warmup, alpha=0.01)
    return optax.join_schedules([optax.linear_schedule(0.0, peak, warmup), decay], [warmup])


def make_optimizer(config: TrainConfig) -> optax.GradientTransformation:
    """Clipping by global norm, then AdamW (Loshchilov & Hutter 2019)."""
    adam = optax.adamw(make_schedule(config), weight_decay=config.weight_decay)
    return optax.chain(optax.clip_by_global_norm(config.clip), adam)


def init_state(key: PRNGKey, space: SearchSpace, config: TrainConfig) -> TrainState:
    """Fresh parameters and optimizer state."""
    params = init_params(key, space)
    opt_state = make_optimizer(config).init(ravel_pytree(params)[0])
    return TrainState(jnp.zeros((), jnp.int32), params, jax.tree.map(jnp.copy, params), opt_state)


Unravel = Callable[[Array], Params]  # the pytree of a vector of all parameters


def to_vectors(state: TrainState) -> tuple[TrainState, Unravel]:
    """The state with its parameters and their average as vectors, and what makes a pytree of one again."""
    params, unravel = ravel_pytree(state.params)
    return TrainState(state.step, params, ravel_pytree(state.ema)[0], state.opt_state), unravel


def to_pytrees(state: TrainState, unravel: Unravel) -> TrainState:
    """The inverse of `to_vectors`."""
    return TrainState(state.step, unravel(state.params), unravel(state.ema), state.opt_state)


def apply_gradients(state: TrainState, grads: Array, config: TrainConfig) -> TrainState:
    """Adam's update, and the moving average of the weights (with a warm-up of the decay), on vectors."""
    updates, opt_state = make_optimizer(config).update(grads, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    decay = jnp.minimum(config.ema, (1.0 + state.step) / (10.0 + state.step))
    ema = optax.incremental_update(params, state.ema, 1.0 - decay)
    return TrainState(state.step + 1, params, ema, opt_state)


class Checkpoints(contextlib.AbstractContextManager):
    """The checkpoints of a run by step, the two newest; several processes all save, into one directory."""

    def __init__(self, directory: epath.PathLike) -> None:
        options = ocp.CheckpointManagerOptions(max_to_keep=2, create=True)
        path = epath.Path(directory)
        # `absolute` would take gs://bucket for a folder of that name.
        self._manager = ocp.CheckpointManager(path if is_remote(path) else path.absolute(), options=options)

    def save(self, step: int, state: Any, data: Any | None = None) -> None:
        """Start to save a pytree, and the position of a Grain iterator `data`; `close` waits for the end."""
        args = ocp.args.StandardSave(state)
        if data is not None:
            from grain.checkpoint import CheckpointSave

            args = ocp.args.Composite(state=args, data=CheckpointSave(data))
        self._manager.save(step, args=args)

    def restore(self, like: Any, data: Any | None = None) -> Any | None:
        """The newest whole checkpoint in the structure and placement of the pytree `like`, None without one.

        `data`, an iterator of Grain, is set to its position; `InputError`: other processes saved that.
        """
        step = self._manager.latest_step()
        if step is None:
            return None
        args = ocp.args.StandardRestore(jax.tree.map(ocp.utils.to_shape_dtype_struct, like))
        if data is None:
            return self._manager.restore(step, args=args)
        from grain.checkpoint import CheckpointRestore

        both = ocp.args.Composite(state=args, data=CheckpointRestore(data))
        try:
            return self._manager.restore(step, args=both).state
        except ValueError as error:
            if "process_" not in str(error):
                raise
            raise InputError(
                f"checkpoint {step} holds Grain's position for another number of processes than "
                f"{jax.process_count()}; must be the number that it was saved with"
            ) from None

    def close(self) -> None:
        """Wait for what is being saved."""
        self._manager.wait_until_finished()
        self._manager.close()

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if not is_lost(error):  # a process that is gone would be waited for in vain
            self.close()
