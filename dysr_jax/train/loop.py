"""The training loop: restore, dispatch, log, save."""

import contextlib
import functools
import itertools

import chex
import jax
import numpy as np
from etils import epath
from jax.sharding import Mesh

from dysr_jax import parallel
from dysr_jax.data import CropPool, GrainStream
from dysr_jax.model import Supernet
from dysr_jax.train.checkpoint import Checkpoints
from dysr_jax.train.config import TrainConfig, check_config
from dysr_jax.train.log import Log
from dysr_jax.train.state import TrainState, init_state
from dysr_jax.train.step import make_train_chunk


def train(
    key: chex.PRNGKey,
    net: Supernet,
    data: CropPool | GrainStream,
    config: TrainConfig,
    mesh: Mesh,
    run: epath.PathLike,
    *,
    costs: np.ndarray | None = None,
) -> TrainState:
    """Train the supernet, or go on from the newest checkpoint of `run`.

    The result depends on the arguments only: a run that was killed ends with the same bits (on the CPU)
    as one that was not. Over more processes or devices sums have another order, and last bits differ.

    Args:
        key: initial weights and all draws come from it.
        net: the supernet.
        data: the training images, on the device or streamed to it.
        config: the recipe.
        mesh: the devices.
        run: directory that gets `checkpoints/` and `tensorboard/`.
        costs: `[slots, branches]`, what a branch costs on this device: archs of like cost are trained at
            the same time (`dysr_jax.train.step.draw_archs`). Without it, and with one group, each is
            drawn on its own.

    Raises:
        InputError: see `check_config`; or the loss became infinite or no number.
    """
    check_config(config, mesh.devices.size)
    key_init, key_steps = jax.random.split(key)
    run = epath.Path(run)
    with Checkpoints(run / "checkpoints") as checkpoints, contextlib.ExitStack() as opened:
        state = parallel.replicate(init_state(key_init, net.space, config), mesh)
        stream = None
        if isinstance(data, GrainStream):
            groups = config.groups or mesh.devices.size
            stream = data.chunks(
                _host_seed(key_steps), mesh, chunk=config.chunk, groups=groups, batch=config.batch
            )
            opened.callback(stream.close)
        state = checkpoints.restore(state, stream) or state
        done = int(state.step)
        if done == config.steps:
            return state
        inputs = stream or itertools.repeat(parallel.replicate(data, mesh))
        make = functools.partial(make_train_chunk, net, config, mesh, streamed=stream is not None)
        alone, together = make(largest_only=True), make(costs)
        log = Log(run / "tensorboard", config, done, write=parallel.is_main())
        opened.callback(log.close)
        for step in range(done + config.chunk, config.steps + 1, config.chunk):
            train_chunk = alone if step <= config.largest_steps else together
            state, metrics = train_chunk(state, next(inputs), key_steps)
            log.push(step, metrics)
            if step % (config.chunk * config.checkpoint_chunks) == 0 or step == config.steps:
                log.flush()  # so that no diverged state is kept
                checkpoints.save(step, state, stream)
    return state


def _host_seed(key: chex.PRNGKey) -> int:
    """A seed under 2**32 for what is drawn on the host; no step folds this number into the key."""
    return int(jax.random.bits(jax.random.fold_in(key, 2**32 - 1)))
