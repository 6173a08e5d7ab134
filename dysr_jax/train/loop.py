"""The training loop: restore, dispatch, log, save."""

import pathlib

import chex
import jax
import numpy as np
from jax.sharding import Mesh
from tqdm import tqdm

from dysr_jax import parallel
from dysr_jax.checkpoint import Checkpoints
from dysr_jax.data.pool import Pool
from dysr_jax.errors import InputError
from dysr_jax.model.supernet import Supernet
from dysr_jax.train.config import TrainConfig, check_config
from dysr_jax.train.state import TrainState, init_state
from dysr_jax.train.step import Metrics, make_train_chunk


class _Log:
    """The progress bar and TensorBoard's scalars; metrics are fetched one dispatch late."""

    def __init__(self, directory: pathlib.Path, config: TrainConfig, start: int) -> None:
        from tensorboardX import SummaryWriter

        # The suffix keeps a restart within a second from writing into the older file.
        suffix = f".from{start}"
        self._writer = SummaryWriter(str(directory), purge_step=start + 1, filename_suffix=suffix)
        self._bar = tqdm(total=config.steps, initial=start, desc="train", unit="step")
        self._pending: tuple[int, Metrics] | None = None
        self._chunk = config.chunk
        self._learning_rate = config.learning_rate

    def push(self, step: int, metrics: Metrics) -> None:
        self.flush()
        self._pending = (step, metrics)

    def flush(self) -> None:
        if self._pending is None:
            return
        (step, metrics), self._pending = self._pending, None
        means = {name: float(np.mean(values)) for name, values in metrics.items()}
        if not np.isfinite(means["loss"]):
            raise InputError(
                f"training diverged before step {step} (loss {means['loss']}): allowed is a "
                f"train.learning_rate under {self._learning_rate}, or a smaller train.clip"
            )
        for name, value in means.items():
            self._writer.add_scalar(f"train/{name}", value, step)
        self._bar.set_postfix(loss=f"{means['loss']:.4f}", refresh=False)
        self._bar.update(self._chunk)

    def close(self) -> None:
        self.flush()
        self._bar.close()
        self._writer.close()


def train(
    key: chex.PRNGKey,
    net: Supernet,
    pool: Pool,
    config: TrainConfig,
    mesh: Mesh,
    run: pathlib.Path,
) -> TrainState:
    """Train the supernet, or go on from the newest checkpoint of `run`.

    The result depends on the arguments only: a run that was killed ends with the same bits (on the CPU)
    as one that was not.

    Args:
        key: initial weights and all draws come from it.
        net: the supernet.
        pool: the training images.
        config: the recipe.
        mesh: the devices.
        run: directory that gets `checkpoints/` and `tensorboard/`.

    Raises:
        InputError: see `check_config`; or the loss became infinite or no number.
    """
    check_config(config, mesh.devices.size)
    key_init, key_steps = jax.random.split(key)
    checkpoints = Checkpoints(run / "checkpoints")
    state = parallel.replicate(init_state(key_init, net.space, config), mesh)
    state = checkpoints.restore(state) or state
    done = int(state.step)
    if done == config.steps:
        checkpoints.close()
        return state
    pool = parallel.replicate(pool, mesh)
    train_chunk = make_train_chunk(net, config, mesh)
    log = _Log(run / "tensorboard", config, done)
    try:
        for step in range(done + config.chunk, config.steps + 1, config.chunk):
            state, metrics = train_chunk(state, pool, key_steps)
            log.push(step, metrics)
            if step % (config.chunk * config.checkpoint_chunks) == 0 or step == config.steps:
                log.flush()  # so that no diverged state is kept
                checkpoints.save(step, state)
    finally:
        log.close()
        checkpoints.close()
    return state
