"""The one-shot loss: the sandwich rule with in-place distillation."""

import chex
import jax
import jax.numpy as jnp
from jax import lax

from dysr_jax.model.supernet import Params, Supernet
from dysr_jax.space import largest, smallest


def l1(output: chex.Array, target: chex.Array) -> chex.Array:
    """Mean absolute error, a scalar."""
    return jnp.mean(jnp.abs(output - target))


def distilled_l1(
    output: chex.Array, target: chex.Array, teacher: chex.Array, weight: float
) -> chex.Array:
    """L1 to the HR image and to the largest arch's output, the latter with `weight` in [0, 1]."""
    return (1.0 - weight) * l1(output, target) + weight * l1(output, teacher)


def sandwich(
    params: Params,
    net: Supernet,
    lr: chex.Array,
    hr: chex.Array,
    archs: chex.Array,
    distill: float,
) -> tuple[chex.Array, dict[str, chex.Array]]:
    """Loss of the largest, the smallest and some random archs on one batch.

    The sandwich rule and in-place distillation are those of Yu & Huang 2019 (Universally Slimmable
    Networks); OFA and AttentiveNAS train likewise.

    Args:
        params: of the supernet.
        net: the supernet.
        lr: `[B, P, P, 3]` in [0, 1].
        hr: `[B, s P, s P, 3]` in [0, 1].
        archs: int32 `[R, slots]`, the random archs.
        distill: weight of the largest arch's output in the loss of the others.

    Returns:
        The mean loss of the `R + 2` archs, and `{"largest", "smallest", "random"}`: L1 to `hr` of each.
    """

    def output(arch: chex.Array | tuple[int, ...]) -> chex.Array:
        return net.apply({"params": params}, lr, arch)

    first = output(largest(net.space))
    teacher = lax.stop_gradient(first)
    last = output(smallest(net.space))

    def student(arch: chex.Array) -> tuple[chex.Array, chex.Array]:
        out = output(arch)
        return distilled_l1(out, hr, teacher, distill), l1(out, hr)

    losses, errors = lax.map(student, archs)
    total = l1(first, hr) + distilled_l1(last, hr, teacher, distill) + jnp.sum(losses)
    metrics = {"largest": l1(first, hr), "smallest": l1(last, hr), "random": jnp.mean(errors)}
    return total / (archs.shape[0] + 2), jax.tree.map(lax.stop_gradient, metrics)
