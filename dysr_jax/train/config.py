"""What one-shot training can be told."""

import dataclasses
import math

from dysr_jax.errors import InputError


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """One-shot training of the supernet."""

    steps: int = 1000
    """Updates of the weights; a multiple of `chunk`."""
    batch: int = 16
    """Patches of each group."""
    groups: int = 0
    """Groups a step, each with archs and patches of its own; a multiple of the number of devices, which
    share them out. 0 means one a device."""
    random_archs: int = 1
    """Random archs a group trains beside the largest and the smallest (the sandwich rule)."""
    distill: float = 0.5
    """Weight of the largest arch's output, against the HR image, in the loss of all others."""
    learning_rate: float = 2e-3
    """Peak learning rate of Adam; cosine decay to 1 % of it."""
    warmup: int = 50
    """Updates over which the learning rate rises from 0."""
    clip: float = 1.0
    """Global norm to which gradients are clipped."""
    ema: float = 0.995
    """Decay of the moving average of the weights, which is what is searched and shipped."""
    chunk: int = 25
    """Updates in one dispatch to the device."""
    checkpoint_chunks: int = 8
    """Dispatches from one checkpoint to the next."""


def check_config(config: TrainConfig, devices: int) -> None:
    """Refuse what cannot be trained.

    Raises:
        InputError: names the field, its value and what is allowed.
    """
    for name in ("steps", "batch", "random_archs", "chunk", "checkpoint_chunks"):
        if getattr(config, name) < 1:
            raise InputError(f"train.{name} {getattr(config, name)}: allowed is 1 or more")
    if config.steps % config.chunk:
        raise InputError(f"train.steps {config.steps}: allowed are multiples of {config.chunk}")
    if config.groups < 0 or config.groups % devices:
        raise InputError(
            f"train.groups {config.groups}: allowed are multiples of the {devices} devices"
        )
    if config.warmup < 0:
        raise InputError(f"train.warmup {config.warmup}: allowed is 0 or more")
    for name in ("learning_rate", "clip"):
        value = getattr(config, name)
        if not (value > 0 and math.isfinite(value)):
            raise InputError(f"train.{name} {value}: allowed are finite values above 0")
    for name in ("distill", "ema"):
        if not 0.0 <= getattr(config, name) <= 1.0:
            raise InputError(f"train.{name} {getattr(config, name)}: allowed is 0 to 1")
