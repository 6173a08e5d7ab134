"""What one-shot training can be told."""

import dataclasses


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
