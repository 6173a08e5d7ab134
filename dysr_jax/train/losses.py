"""The one-shot loss and its gradient: the sandwich rule with in-place distillation.

Both are those of Yu & Huang 2019 (Universally Slimmable Networks); OFA and AttentiveNAS train likewise. The
largest arch of a step learns from the HR image, the others from it and from the largest's output.

Axes: B patches of a group, R random archs, P the side of an LR patch, s the scale.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from chex import Array
from jax import lax

from dysr_jax.model import Arch, Params, SearchSpace, Supernet, largest_arch, smallest_arch
from dysr_jax.train.config import TrainConfig
from dysr_jax.train.passages import Design, make_design, run_passages

Losses = tuple[Array, dict[str, Array]]
"""What is minimised, and L1 to the HR image of each kind of arch that is trained, by name."""


def l1_loss(output: Array, target: Array) -> Array:
    """Mean absolute error, a scalar."""
    return jnp.mean(jnp.abs(output - target))


def _student_loss(distill: float, out: Array, hr: Array, teacher: Array | None) -> Array:
    """Of an arch that learns from the HR image and, with weight `distill`, from the largest's output."""
    if teacher is None or not distill:
        return l1_loss(out, hr)
    return (1.0 - distill) * l1_loss(out, hr) + distill * l1_loss(out, teacher)


def _run(net: Supernet, params: Params, lr: Array, arch: Arch | Array) -> Array:
    return net.apply({"params": params}, lr, arch)


def group_loss(
    params: Params, net: Supernet, lr: Array, hr: Array, archs: Array, config: TrainConfig
) -> Losses:
    """Loss of the archs of a step on patches `[B, P, P, 3]` and `[B, s P, s P, 3]` in [0, 1].

    Random archs are int32 `[R, genes]`, which all patches pass, or a draw of `passages_design`.
    """
    loss = _patch_loss if config.archs == "patch" else _shared_loss
    return loss(params, net, lr, hr, archs, config)


def _shared_loss(
    params: Params, net: Supernet, lr: Array, hr: Array, archs: Array, config: TrainConfig
) -> Losses:
    """One random arch after the other, through `lax.switch`; the others as static programs."""
    run = functools.partial(_run, net, params, lr)
    if not config.sandwich:
        losses = lax.map(lambda arch: l1_loss(run(arch), hr), archs)
        return jnp.mean(losses), {"random": lax.stop_gradient(jnp.mean(losses))}
    first, last = run(largest_arch(net.space)), run(smallest_arch(net.space))
    teacher = lax.stop_gradient(first)

    def student(arch: Array) -> tuple[Array, Array]:
        out = run(arch)
        return _student_loss(config.distill, out, hr, teacher), l1_loss(out, hr)

    losses, errors = lax.map(student, archs)
    total = l1_loss(first, hr) + _student_loss(config.distill, last, hr, teacher) + jnp.sum(losses)
    metrics = {"largest": l1_loss(first, hr), "smallest": l1_loss(last, hr), "random": jnp.mean(errors)}
    return total / (archs.shape[0] + 2), jax.tree.map(lax.stop_gradient, metrics)


def passages_design(space: SearchSpace, config: TrainConfig) -> Design:
    """The design of a group's random archs where each patch has its own (`train.archs` patch)."""
    archs = config.random_archs * config.batch
    return make_design(space, archs - _smalls(config) if config.batch > 1 else archs, config.sampling)


def _smalls(config: TrainConfig) -> int:
    """Patches that pass the smallest arch in place of a random one."""
    return max(1, config.batch // 8) if config.sandwich else 0


def _larges(config: TrainConfig) -> int:
    """Patches that pass the largest arch."""
    return max(1, round(config.sandwich_share * config.batch)) if config.sandwich else 0


def passage_counts(space: SearchSpace, config: TrainConfig) -> tuple[int, int, int]:
    """Patches of a group that pass the largest arch in a step, the smallest, and random ones."""
    if config.archs == "patch":
        return _larges(config), _smalls(config), passages_design(space, config).archs
    whole = config.batch if config.sandwich else 0
    return whole, whole, config.random_archs * config.batch


def _shares(config: TrainConfig) -> tuple[float, float]:
    """Parts of the loss that are the smallest arch's and the random ones'; the rest is the largest's."""
    if not config.sandwich:
        return 0.0, 1.0
    # A single patch passes the smallest arch once more, or else no random arch were left.
    students = config.random_archs * config.batch + (config.batch == 1)
    whole = students + config.batch
    return _smalls(config) / whole, (students - _smalls(config)) / whole


def _patch_loss(
    params: Params, net: Supernet, lr: Array, hr: Array, archs: Array, config: TrainConfig
) -> Losses:
    """The largest arch and the smallest on the first patches, as static programs; a random arch of its own on
    each of the patches behind the smallest's, round and round.
    """
    space, large, count = net.space, _larges(config), _smalls(config)
    design, (small, random) = passages_design(space, config), _shares(config)
    patches = (count + np.arange(design.archs)) % len(lr)
    out = run_passages(net, params, lr[patches], archs, design)
    error = lax.stop_gradient(l1_loss(out, hr[patches]))
    if not config.sandwich:
        return l1_loss(out, hr[patches]), {"random": error}
    first, last = (
        _run(net, params, lr[:large], largest_arch(space)),
        _run(net, params, lr[:count], smallest_arch(space)),
    )
    teacher = lax.stop_gradient(first)

    def student(out: Array, at: slice | np.ndarray) -> Array:
        return _student_loss(config.distill, out, hr[at], teacher[at] if config.distill else None)

    loss = (1.0 - small - random) * l1_loss(first, hr[:large])
    loss += small * student(last, slice(count)) + random * student(out, patches)
    metrics = {"largest": l1_loss(first, hr[:large]), "smallest": l1_loss(last, hr[:count]), "random": error}
    return loss, jax.tree.map(lax.stop_gradient, metrics)
