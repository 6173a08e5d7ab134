"""The training loop: restore, dispatch, log, save."""

import contextlib
import itertools

import chex
import jax
import numpy as np
from etils import epath
from jax.sharding import Mesh

from dysr_jax import parallel
from dysr_jax.data import CropPool, GrainStream
from dysr_jax.model import Supernet
from dysr_jax.train.config import TrainConfig
from dysr_jax.train.log import Log
from dysr_jax.train.state import Checkpoints, TrainState, init_state
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

    The result depends on the arguments only: a run that was killed ends with the same bits (on the CPU) as
    one that was not. Over more processes or devices sums have another order, and last bits differ.

    The images of `data` are on the device or streamed to it. `costs` `[slots, branches]`, what a branch costs
    on this device, lets archs of like cost be trained at the same time (`draw_archs`). `run` gets
    `checkpoints/` and `tensorboard/`.

    Raises:
        InputError: see `TrainConfig.check_devices`; or the loss became infinite or no number.
    """
    config.check_devices(mesh.devices.size)
    key_init, key_steps = jax.random.split(key)
    run = epath.Path(run)
    with Checkpoints(run / "checkpoints") as checkpoints, contextlib.ExitStack() as opened:
        state = parallel.replicate(init_state(key_init, net.space, config), mesh)
        stream = None
        if isinstance(data, GrainStream):
            shape = {
                "chunk": config.chunk,
                "groups": config.groups or mesh.devices.size,
                "batch": config.batch,
            }
            stream = data.chunks(_host_seed(key_steps), mesh, **shape)
            opened.callback(stream.close)
        state = checkpoints.restore(state, stream) or state
        done = int(state.step)
        if done == config.steps:
            return state
        inputs = stream or itertools.repeat(parallel.replicate(data, mesh))
        train_chunk = make_train_chunk(net, config, mesh, costs, streamed=stream is not None)
        log = Log(run / "tensorboard", config, done, write=parallel.is_main())
        opened.callback(log.close)
        for step in range(done + config.chunk, config.steps + 1, config.chunk):
            state, metrics = train_chunk(state, next(inputs), key_steps)
            log.push(step, metrics)
            if step % (config.chunk * config.checkpoint_chunks) == 0 or step == config.steps:
                log.flush()  # so that no diverged state is kept
                checkpoints.save(step, state, stream)
    return state


def _host_seed(key: chex.PRNGKey) -> int:
    """A seed under 2**32 for what is drawn on the host; no step folds this number into the key."""
    return int(jax.random.bits(jax.random.fold_in(key, 2**32 - 1)))
