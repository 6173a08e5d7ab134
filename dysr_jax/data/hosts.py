"""The images of a run, which have to be the same in every process of a job."""

import dataclasses
import hashlib
import json
from collections.abc import Iterable
from typing import Any

from dysr_jax import parallel
from dysr_jax.data.choice import Need, choose_pipeline, pool_need
from dysr_jax.data.sources import DataConfig, Pair
from dysr_jax.data.stream import require_grain
from dysr_jax.data.training import TrainingImages, open_images
from dysr_jax.device import memory_bytes


def open_everywhere(config: DataConfig, scale: int) -> tuple[TrainingImages, list[Pair]]:
    """Training images, unread, and validation pairs, as `open_images` gives them.

    Raises:
        InputError: in every process, see `open_images`; or a process has other images.
    """
    training, validation = parallel.everywhere(lambda: open_images(config, scale))
    sizes = None if training.sizes is None else training.sizes.tolist()
    _same(config, (pair.hr.tobytes() for pair in validation), [training.names, sizes])
    return training, validation


def load_everywhere(training: TrainingImages) -> list[Pair]:
    """The training pairs for a pool.

    Raises:
        InputError: in every process, see `TrainingImages.load`; or a process has other images.
    """
    pairs = parallel.everywhere(training.load)
    _same(training.config, (pair.hr.tobytes() for pair in pairs))
    return pairs


def _same(config: DataConfig, pixels: Iterable[bytes], names: Any = None) -> None:
    digest = hashlib.sha256(json.dumps(names).encode())
    for image in pixels:
        digest.update(image)
    parallel.same(
        digest.hexdigest(),
        f"data.source {config.source!r}: allowed are the same images for every process",
    )


def with_pipeline(config: DataConfig, training: TrainingImages) -> tuple[DataConfig, Need]:
    """The config with the pipeline written out, chosen by process 0, and what a pool needs.

    It decides which patches are drawn, so a run that was begun with one does not go on with the other.

    Raises:
        InputError: in every process: Grain is chosen and not installed.
    """
    need = parallel.everywhere(lambda: pool_need(training))
    chosen = parallel.from_main(lambda: choose_pipeline(config, need, memory_bytes()))
    if chosen == "grain":
        parallel.everywhere(require_grain)
    return dataclasses.replace(config, pipeline=chosen), need
