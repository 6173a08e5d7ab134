"""What one-shot training can be told."""

import dataclasses
import math
from typing import Literal

from dysr_jax.errors import InputError
from dysr_jax.fields import normalise
from dysr_jax.train.sampling import Sampling


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
    """Random archs through which each patch passes, beside the largest and the smallest."""
    archs: Literal["group", "patch"] = "group"
    """Whether the patches of a group share their random archs (`lax.switch`: only what they take is
    computed), or each patch has its own (all is computed and masked: many archs a step, large batches)."""
    sampling: Sampling = "uniform"
    """How random archs are drawn (`dysr_jax.train.sampling.draw`)."""
    sandwich: bool = True
    """Train the largest and the smallest arch at every step (the sandwich rule). With `archs` patch the
    smallest takes the place of one random arch in eight; of a batch of one it is a passage more."""
    largest_steps: int = 0
    """Updates at the start that train the largest arch alone; a multiple of `chunk`."""
    distill: float = 0.5
    """Weight of the largest arch's output, against the HR image, in the loss of all others."""
    loss: Literal["l1", "charbonnier"] = "l1"
    """Of pixels in [0, 1]; Charbonnier is `sqrt(error^2 + 1e-6)`."""
    frequency: float = 0.0
    """Weight of an L1 loss between the Fourier transforms."""
    colours: bool = False
    """Permute the colour channels of every patch at random."""
    tones: float = 0.0
    """Share of the patches whose saturation, contrast, brightness and sign are changed at random."""
    mix: float = 0.0
    """Share of the patches that are blended with another one (mixup)."""
    noise: float = 0.0
    """Standard deviation of Gaussian noise on the LR patches, in levels of 255."""
    learning_rate: float = 2e-3
    """Peak learning rate of Adam."""
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    """Decay of the learning rate, to 1 % of its peak."""
    warmup: int = 50
    """Updates over which the learning rate rises from 0."""
    weight_decay: float = 0.0
    """Decoupled from the gradient, as in AdamW."""
    clip: float = 1.0
    """Global norm to which gradients are clipped."""
    ema: float = 0.995
    """Decay of the moving average of the weights, which is what is searched and shipped."""
    chunk: int = 25
    """Updates in one dispatch to the device."""
    checkpoint_chunks: int = 8
    """Dispatches from one checkpoint to the next."""

    def __post_init__(self) -> None:
        normalise(self, "train.")


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
        raise InputError(f"train.groups {config.groups}: allowed are multiples of the {devices} devices")
    if config.largest_steps % config.chunk or not 0 <= config.largest_steps <= config.steps:
        raise InputError(
            f"train.largest_steps {config.largest_steps}: allowed are multiples of {config.chunk} up to "
            f"train.steps {config.steps}"
        )
    if config.warmup < 0:
        raise InputError(f"train.warmup {config.warmup}: allowed is 0 or more")
    for name in ("frequency", "weight_decay", "noise"):
        if not 0.0 <= getattr(config, name) < math.inf:
            raise InputError(f"train.{name} {getattr(config, name)}: allowed are finite values of 0 or more")
    for name in ("learning_rate", "clip"):
        value = getattr(config, name)
        if not (value > 0 and math.isfinite(value)):
            raise InputError(f"train.{name} {value}: allowed are finite values above 0")
    for name in ("distill", "ema", "tones", "mix"):
        if not 0.0 <= getattr(config, name) <= 1.0:
            raise InputError(f"train.{name} {getattr(config, name)}: allowed is 0 to 1")
