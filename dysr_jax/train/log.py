"""What is told of the training while it runs: the progress bar and TensorBoard's scalars."""

import contextlib
import pathlib
import tempfile
from typing import Any

import numpy as np
from etils import epath
from tqdm import tqdm

from dysr_jax.atomic import is_remote
from dysr_jax.errors import InputError
from dysr_jax.train.config import TrainConfig
from dysr_jax.train.step import Metrics


class Log:
    """The progress bar and TensorBoard's scalars; metrics are fetched one dispatch late.

    Events of a remote directory are written to a temporary folder and copied at every checkpoint and at the
    end; a kill loses the scalars since then.
    """

    def __init__(
        self, directory: epath.Path, config: TrainConfig, start: int, *, write: bool = True
    ) -> None:
        self._directory = directory
        self._config = config
        self._pending: tuple[int, Metrics] | None = None
        self._bar = tqdm(
            total=config.steps, initial=start, desc="train", unit="step", disable=not write
        )
        self._files = contextlib.ExitStack()
        self._local: pathlib.Path | None = None
        if write and is_remote(directory):
            self._local = pathlib.Path(self._files.enter_context(tempfile.TemporaryDirectory()))
        self._writer = _writer(self._local or directory, start) if write else None

    def push(self, step: int, metrics: Metrics) -> None:
        """Take the metrics of the dispatch that ended at `step`; those of the one before are told."""
        self._tell()
        self._pending = (step, metrics)

    def flush(self) -> None:
        """Tell all metrics.

        Raises:
            InputError: the loss became infinite or no number.
        """
        self._tell()
        self._copy()

    def _copy(self) -> None:
        """Bring the events that are on disk to the remote directory."""
        if self._local is None:
            return
        self._directory.mkdir(parents=True, exist_ok=True)
        for file in self._local.iterdir():
            epath.Path(file).copy(self._directory / file.name, overwrite=True)

    def _tell(self) -> None:
        if self._pending is None:
            return
        (step, metrics), self._pending = self._pending, None
        means = {name: float(np.mean(values)) for name, values in metrics.items()}
        if not np.isfinite(means["loss"]):
            raise InputError(
                f"training diverged before step {step} (loss {means['loss']}): allowed is a "
                f"train.learning_rate under {self._config.learning_rate}, or a smaller train.clip"
            )
        if self._writer is not None:
            for name, value in means.items():
                self._writer.add_scalar(f"train/{name}", value, step)
        self._bar.set_postfix(loss=f"{means['loss']:.4f}", refresh=False)
        self._bar.update(self._config.chunk)

    def close(self) -> None:
        """Tell what is left and let go of the files."""
        with self._files:
            try:
                self._tell()
            finally:
                self._bar.close()
                if self._writer is not None:
                    self._writer.close()  # waits until all events are on disk
                self._copy()


def _writer(directory: epath.PathLike, start: int) -> Any:
    from tensorboardX import SummaryWriter

    # The suffix keeps a restart within a second from writing into the older file.
    suffix = f".from{start}"
    return SummaryWriter(str(directory), purge_step=start + 1, filename_suffix=suffix)
