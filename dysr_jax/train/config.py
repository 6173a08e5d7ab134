"""What one-shot training can be told."""

import dataclasses
import math
from typing import Literal

from dysr_jax.errors import InputError
from dysr_jax.fields import check_each, normalise

Sampling = Literal["uniform", "spread", "nested"]


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """One-shot training of the supernet.

    Raises InputError: names the field, its value and what it must be.
    """

    steps: int = 1000
    """Updates of the weights; a multiple of `chunk`."""
    batch: int = 16
    """Patches per group."""
    groups: int | None = None
    """Groups per step, each with archs and patches of its own; a multiple of the number of devices, which
    share them out. By default one per device."""
    random_archs: int = 1
    """Random archs through which each patch passes, beside the largest and the smallest."""
    archs: Literal["group", "patch"] = "group"
    """Whether the patches of a group share their random archs, one after the other, or each patch has its own
    (many archs per step, drawn so that the patches of a branch go through it together: large batches)."""
    sampling: Sampling = "uniform"
    """How random archs are drawn (`dysr_jax.train.step.sample_training_archs`)."""
    sandwich: bool = True
    """Train the largest and the smallest arch at every step (the sandwich rule). With `archs` patch the
    smallest takes the place of one random arch in eight; of a batch of one it is a passage more."""
    sandwich_share: float = 1.0
    """Share, in (0, 1], of the patches that pass the largest arch; its part of the loss stays the same.
    Below 1 only with `archs` patch, and without `distill`, which needs its output for all."""
    distill: float = 0.5
    """Weight, in [0, 1], of the largest arch's output against the HR image in the L1 loss of all others."""
    channel_shuffle: bool = False
    """Put the colour channels of every patch in a random order."""
    color_jitter: float = 0.0
    """Share, in [0, 1], of the patches whose saturation, contrast, brightness and sign change at random."""
    noise: float = 0.0
    """Standard deviation of Gaussian noise on the LR patches, in levels of 255."""
    learning_rate: float = 2e-3
    """Peak learning rate of Adam; it rises over `warmup` and falls to 1 % along a cosine."""
    warmup: int = 50
    """Updates over which the learning rate rises from 0; at most half of `steps` count."""
    weight_decay: float = 0.0
    """Decoupled from the gradient, as in AdamW."""
    clip: float = 1.0
    """Global norm to which gradients are clipped."""
    ema: float = 0.995
    """Decay per update, in [0, 1], of the moving average of the weights, which is searched and shipped."""
    chunk: int = 25
    """Updates per dispatch to the device."""
    checkpoint_chunks: int = 8
    """Dispatches from one checkpoint to the next."""

    def __post_init__(self) -> None:
        normalise(self, "train.")
        for names, allowed, needed in (
            ("steps batch groups random_archs", lambda value: value >= 1, "at least 1"),
            ("chunk checkpoint_chunks", lambda value: value >= 1, "at least 1"),
            ("warmup", lambda value: value >= 0, "at least 0"),
            ("weight_decay noise", lambda value: 0 <= value < math.inf, "finite and at least 0"),
            ("learning_rate clip", lambda value: 0 < value < math.inf, "finite and above 0"),
            ("distill ema color_jitter", lambda value: 0 <= value <= 1, "in [0, 1]"),
            ("sandwich_share", lambda value: 0 < value <= 1, "in (0, 1]"),
            ("steps", lambda value: value % self.chunk == 0, f"a multiple of train.chunk ({self.chunk})"),
        ):
            check_each(self, "train.", names, allowed, needed)
        if self.sandwich and (self.archs == "group" or self.distill > 0.0):
            needed = "1 with `archs` group or with `distill`"
            check_each(self, "train.", "sandwich_share", lambda value: value == 1.0, needed)

    def check_devices(self, devices: int) -> None:
        """Raise `InputError` where so many devices cannot share the groups."""
        if self.groups is not None and self.groups % devices:
            raise InputError(f"train.groups must be a multiple of the {devices} devices, got {self.groups}")
