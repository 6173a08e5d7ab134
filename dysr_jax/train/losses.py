"""The one-shot loss: the sandwich rule with in-place distillation.

Both are those of Yu & Huang 2019 (Universally Slimmable Networks); OFA and AttentiveNAS train likewise. The
largest arch of a step learns from the HR image, the others from it and from the largest's output.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from chex import Array
from jax import lax

from dysr_jax.model import Arch, Params, SearchSpace, Supernet, largest_arch, smallest_arch
from dysr_jax.train.config import TrainConfig

Output = Callable[[Array, Any], Array]  # `(lr, arch) -> output` of the supernet
Losses = tuple[Array, dict[str, Array]]
"""What is minimised, and L1 to the HR image of each kind of arch that is trained, by name."""


def l1_loss(output: Array, target: Array) -> Array:
    """Mean absolute error, a scalar."""
    return jnp.mean(jnp.abs(output - target))


def _student_loss(distill: float, out: Array, hr: Array, teacher: Array) -> Array:
    """Of an arch that learns from the HR image and, with weight `distill`, from the largest's output."""
    if not distill:
        return l1_loss(out, hr)
    return (1.0 - distill) * l1_loss(out, hr) + distill * l1_loss(out, teacher)


def group_loss(
    params: Params, net: Supernet, lr: Array, hr: Array, archs: Array, config: TrainConfig
) -> Losses:
    """Loss of the archs of a step on patches `[B, P, P, 3]` and `[B, s P, s P, 3]` in [0, 1].

    Random archs are int32 `[R, slots]`, which all patches pass, or `[R, B, slots]`, one for each passage.
    """

    def output(lr: Array, arch: Array | Arch) -> Array:
        return net.apply({"params": params}, lr, arch)

    loss = _patch_loss if archs.ndim == 3 else _shared_loss
    return loss(output, net.space, lr, hr, archs, config)


def _shared_loss(
    output: Output, space: SearchSpace, lr: Array, hr: Array, archs: Array, config: TrainConfig
) -> Losses:
    """One random arch after the other, through `lax.switch`; the others as static programs."""
    if not config.sandwich:
        losses = lax.map(lambda arch: l1_loss(output(lr, arch), hr), archs)
        return jnp.mean(losses), {"random": lax.stop_gradient(jnp.mean(losses))}
    first, last = output(lr, largest_arch(space)), output(lr, smallest_arch(space))
    teacher = lax.stop_gradient(first)

    def student(arch: Array) -> tuple[Array, Array]:
        out = output(lr, arch)
        return _student_loss(config.distill, out, hr, teacher), l1_loss(out, hr)

    losses, errors = lax.map(student, archs)
    total = l1_loss(first, hr) + _student_loss(config.distill, last, hr, teacher) + jnp.sum(losses)
    metrics = {"largest": l1_loss(first, hr), "smallest": l1_loss(last, hr), "random": jnp.mean(errors)}
    return total / (archs.shape[0] + 2), jax.tree.map(lax.stop_gradient, metrics)


def _students(space: SearchSpace, archs: Array) -> tuple[Array, np.ndarray]:
    """The passages `[R, B, slots]` beside the largest arch's, and whether each is the smallest's, bool.

    One patch in eight passes the smallest arch instead of its first random one: a whole passage would cost as
    much as that of the largest. A single patch has a passage for it, or else no random arch were left.
    """
    least = jnp.asarray(smallest_arch(space), jnp.int32)
    batch = archs.shape[1]
    if batch == 1:
        archs = jnp.concatenate([least[None, None], archs])
    given = np.zeros(archs.shape[:2], bool)
    given[0, : max(1, batch // 8)] = True
    return jnp.where(given[..., None], least, archs), given


def _patch_loss(
    output: Output, space: SearchSpace, lr: Array, hr: Array, archs: Array, config: TrainConfig
) -> Losses:
    """All passages of all patches as one batch of the blended program."""
    if config.sandwich:
        students, given = _students(space, archs)
        first = jnp.asarray(largest_arch(space), jnp.int32)
        archs = jnp.concatenate([jnp.broadcast_to(first, students[:1].shape), students])
    passages = archs.shape[0]
    flat = output(jnp.tile(lr, (passages, 1, 1, 1)), archs.reshape(-1, archs.shape[-1]))
    out = flat.reshape(passages, *hr.shape)
    errors = lax.stop_gradient(jnp.mean(jnp.abs(out - hr), (2, 3, 4)))
    if not config.sandwich:
        return l1_loss(out, hr), {"random": errors.mean()}
    metrics = {"largest": errors[0].mean(), "smallest": errors[1:][given].mean()}
    metrics["random"] = errors[1:][~given].mean()
    taught = _student_loss(config.distill, out[1:], hr, lax.stop_gradient(out[0]))
    return (l1_loss(out[0], hr) + (passages - 1) * taught) / passages, metrics
