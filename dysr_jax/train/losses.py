"""The one-shot loss: the sandwich rule with in-place distillation.

Both are those of Yu & Huang 2019 (Universally Slimmable Networks); OFA and AttentiveNAS train likewise.
The largest arch of a step learns from the HR image, the others from it and from the largest's output.
"""

from collections.abc import Callable

import chex
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from dysr_jax.model import Arch, Params, SearchSpace, Supernet, largest, smallest
from dysr_jax.train.config import TrainConfig

CHARBONNIER_EPSILON = 1e-3

Losses = tuple[chex.Array, dict[str, chex.Array]]
"""What is minimised, and L1 to the HR image of each kind of arch that is trained, by name."""


def l1(output: chex.Array, target: chex.Array) -> chex.Array:
    """Mean absolute error, a scalar."""
    return jnp.mean(jnp.abs(output - target))


def charbonnier(output: chex.Array, target: chex.Array) -> chex.Array:
    """`sqrt(error^2 + epsilon^2)`, a scalar (Lai et al. 2017, LapSRN)."""
    return jnp.mean(jnp.sqrt(jnp.square(output - target) + CHARBONNIER_EPSILON**2))


def frequency_l1(output: chex.Array, target: chex.Array) -> chex.Array:
    """L1 between the Fourier transforms of images `[..., H, W, C]`, a scalar (Cho et al. 2021, MIMO-UNet)."""
    error = jnp.fft.rfft2(output - target, axes=(-3, -2), norm="ortho")
    return jnp.mean(jnp.abs(error.real) + jnp.abs(error.imag))


def image_loss(config: TrainConfig) -> Callable[[chex.Array, chex.Array], chex.Array]:
    """The loss of images `[..., H, W, C]` against others that the recipe names: a scalar."""
    pixels = {"l1": l1, "charbonnier": charbonnier}[config.loss]
    if not config.frequency:
        return pixels
    return lambda output, target: pixels(output, target) + config.frequency * frequency_l1(output, target)


def _taught(config: TrainConfig, out: chex.Array, hr: chex.Array, teacher: chex.Array) -> chex.Array:
    """Loss of an arch that learns from the HR image and, with weight `distill`, from the largest's output."""
    loss = image_loss(config)
    if not config.distill:
        return loss(out, hr)
    return (1.0 - config.distill) * loss(out, hr) + config.distill * loss(out, teacher)


def largest_alone(
    params: Params, net: Supernet, lr: chex.Array, hr: chex.Array, config: TrainConfig
) -> Losses:
    """Loss of the largest arch. See `group_loss`."""
    out = net.apply({"params": params}, lr, largest(net.space))
    return image_loss(config)(out, hr), {"largest": l1(out, hr)}


def group_loss(
    params: Params, net: Supernet, lr: chex.Array, hr: chex.Array, archs: chex.Array, config: TrainConfig
) -> Losses:
    """Loss of the archs of a step on one batch of patches.

    Args:
        params: of the supernet.
        net: the supernet.
        lr: `[B, P, P, 3]` in [0, 1].
        hr: `[B, s P, s P, 3]` in [0, 1].
        archs: the random archs: int32 `[R, slots]`, through which all patches pass, or `[R, B, slots]`, an
            arch for each passage of a patch.
        config: of the recipe.
    """
    loss = _by_patch if archs.ndim == 3 else _by_group
    return loss(params, net, lr, hr, archs, config)


def _by_group(
    params: Params, net: Supernet, lr: chex.Array, hr: chex.Array, archs: chex.Array, config: TrainConfig
) -> Losses:
    """One random arch after the other, through `lax.switch`; the others as static programs."""
    loss = image_loss(config)

    def output(arch: chex.Array | Arch) -> chex.Array:
        return net.apply({"params": params}, lr, arch)

    if not config.sandwich:
        losses, errors = lax.map(lambda arch: _both(loss, output(arch), hr), archs)
        return jnp.mean(losses), {"random": jnp.mean(errors)}
    first, last = output(largest(net.space)), output(smallest(net.space))
    teacher = lax.stop_gradient(first)

    def student(arch: chex.Array) -> tuple[chex.Array, chex.Array]:
        out = output(arch)
        return _taught(config, out, hr, teacher), l1(out, hr)

    losses, errors = lax.map(student, archs)
    total = loss(first, hr) + _taught(config, last, hr, teacher) + jnp.sum(losses)
    metrics = {"largest": l1(first, hr), "smallest": l1(last, hr), "random": jnp.mean(errors)}
    return total / (archs.shape[0] + 2), jax.tree.map(lax.stop_gradient, metrics)


def _both(
    loss: Callable[[chex.Array, chex.Array], chex.Array], out: chex.Array, hr: chex.Array
) -> tuple[chex.Array, chex.Array]:
    return loss(out, hr), lax.stop_gradient(l1(out, hr))


def _students(space: SearchSpace, archs: chex.Array) -> tuple[chex.Array, np.ndarray]:
    """The passages beside those of the largest arch, and which of them the sandwich gives the smallest.

    One patch in eight passes the smallest arch instead of its first random one: a whole passage would cost
    as much as that of the largest. A single patch has a passage for it, or else no random arch were left.

    Args:
        space: of the archs.
        archs: the random archs, int32 `[R, B, slots]`.

    Returns:
        Archs `[P, B, slots]` and bool `[P, B]`, with as many random passages as others or more.
    """
    least = jnp.asarray(smallest(space), jnp.int32)
    batch = archs.shape[1]
    if batch == 1:
        archs = jnp.concatenate([least[None, None], archs])
    given = np.zeros(archs.shape[:2], bool)
    given[0, : max(1, batch // 8)] = True
    return jnp.where(given[..., None], least, archs), given


def _by_patch(
    params: Params, net: Supernet, lr: chex.Array, hr: chex.Array, archs: chex.Array, config: TrainConfig
) -> Losses:
    """All passages of all patches as one batch of the blended program."""
    loss = image_loss(config)
    if config.sandwich:
        students, given = _students(net.space, archs)
        first = jnp.asarray(largest(net.space), jnp.int32)
        archs = jnp.concatenate([jnp.broadcast_to(first, students[:1].shape), students])
    passages = archs.shape[0]
    flat: chex.Array = net.apply(
        {"params": params}, jnp.tile(lr, (passages, 1, 1, 1)), archs.reshape(-1, archs.shape[-1])
    )
    out = flat.reshape(passages, *hr.shape)
    errors = lax.stop_gradient(jnp.mean(jnp.abs(out - hr), (2, 3, 4)))
    if not config.sandwich:
        return loss(out, hr), {"random": errors.mean()}
    metrics = {
        "largest": errors[0].mean(),
        "smallest": errors[1:][given].mean(),
        "random": errors[1:][~given].mean(),
    }
    taught = _taught(config, out[1:], hr, lax.stop_gradient(out[0]))
    return (loss(out[0], hr) + (passages - 1) * taught) / passages, metrics
