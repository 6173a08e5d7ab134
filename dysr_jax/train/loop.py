"""The training loop: restore, dispatch, log, save."""

import contextlib
import itertools

import jax
from chex import PRNGKey
from etils import epath
from jax.sharding import Mesh

from dysr_jax import parallel
from dysr_jax.data import CropPool, GrainStream
from dysr_jax.model import Supernet
from dysr_jax.train.config import TrainConfig
from dysr_jax.train.log import Log
from dysr_jax.train.state import Checkpoints, TrainState, init_state
from dysr_jax.train.step import Costs, make_train_chunk


def train(
    key: PRNGKey,
    net: Supernet,
    data: CropPool | GrainStream,
    config: TrainConfig,
    mesh: Mesh,
    run: epath.PathLike,
    *,
    costs: Costs | None = None,
) -> TrainState:
    """Train the supernet, or go on from the newest checkpoint of `run`.

    The result depends on the arguments only: a run that was killed ends with the same bits (on the CPU) as
    one that was not. Over more processes or devices sums have another order, and last bits differ.

    `costs`, what archs cost on this device, lets archs of like cost be trained at the same time
    (`draw_archs`). `run` gets `checkpoints/` and `tensorboard/`. Raises `InputError`: see
    `TrainConfig.check_devices`; or the loss became infinite or no number.
    """
    config.check_devices(mesh.devices.size)
    key_init, key_steps = jax.random.split(key)
    run = epath.Path(run)
    with Checkpoints(run / "checkpoints") as checkpoints, contextlib.ExitStack() as opened:
        state = parallel.replicate(init_state(key_init, net.space, config), mesh)
        stream = None
        if isinstance(data, GrainStream):
            # No step folds this number into the key; the seed is one for the host, under 2**32.
            seed = int(jax.random.bits(jax.random.fold_in(key_steps, 2**32 - 1)))
            groups = config.groups or mesh.devices.size
            stream = data.chunks(seed, mesh, chunk=config.chunk, groups=groups, batch=config.batch)
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
