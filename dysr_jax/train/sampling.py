"""Which archs a training step draws: a front needs all costs, and uniform draws all cost about as much."""

from typing import Literal

import chex
import jax
import jax.numpy as jnp

from dysr_jax.model import SearchSpace, branch_counts, branch_mult_adds, sample_archs, smallest_arch

Sampling = Literal["uniform", "spread", "nested"]


def sample_training_archs(key: chex.PRNGKey, space: SearchSpace, count: int, how: Sampling) -> chex.Array:
    """Archs for a training step, int32 `[count, slots]`. Traceable.

    `uniform` draws every branch on its own. The others draw how many body slots are active, from none to all;
    the rest takes its cheapest branch. In half of the archs all active slots take one branch, in the others
    each its own. `spread` activates any slots; `nested`, in half of the archs, the first ones, so that small
    archs are the beginnings of larger ones (as depth is in Once-for-All, Cai et al. 2020). The more slots are
    active, the likelier is a costly upsampler.
    """
    if how == "uniform":
        return sample_archs(key, space, (count,))
    keys = jax.random.split(key, 6)
    body = len(space.body)
    order = jnp.argsort(jax.random.uniform(keys[0], (count, body)), 1)
    if how == "nested":
        nested = jax.random.bernoulli(keys[1], 0.5, (count, 1))
        order = jnp.where(nested, jnp.arange(body), order)
    number = jax.random.randint(keys[2], (count, 1), 0, body + 1)
    active = order < number
    alike = jax.random.bernoulli(keys[3], 0.5, (count, 1))
    own = jax.random.uniform(keys[4], (count, body))
    branch = _active_branch(space, jnp.where(alike, own[:, :1], own))
    genes = jnp.where(active, branch, jnp.asarray(smallest_arch(space)[:-1], jnp.int32))
    last = _upsampler(space, number / body, jax.random.uniform(keys[5], (count, 1)))
    return jnp.concatenate([genes, last], 1)


def _upsampler(space: SearchSpace, share: chex.Array, chance: chex.Array) -> chex.Array:
    """Upsamplers `[count, 1]`: the larger the share of active slots, the likelier a costly one."""
    by_cost = jnp.argsort(jnp.asarray(branch_mult_adds(space, len(space.body))))
    place = jnp.floor((share + chance) / 2 * len(by_cost)).astype(jnp.int32)
    return by_cost[jnp.minimum(place, len(by_cost) - 1)].astype(jnp.int32)


def _active_branch(space: SearchSpace, share: chex.Array) -> chex.Array:
    """Shares in [0, 1) `[..., body slots]` as branches other than the slot's cheapest, if it has another."""
    limits = jnp.asarray(branch_counts(space)[:-1], jnp.int32)
    cheapest = jnp.asarray(smallest_arch(space)[:-1], jnp.int32)
    step = 1 + jnp.floor(share * (limits - 1)).astype(jnp.int32)
    return (cheapest + step) % limits
