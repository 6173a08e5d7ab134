"""What NSGA-II selects by (Deb et al. 2002): constrained domination, front numbers, crowding distance.

Objectives are minimised. Violations are 0 where every constraint holds and larger the further off.
"""

import chex
import jax
import jax.numpy as jnp
from jax import lax


def dominates(objectives: chex.Array) -> chex.Array:
    """Whether, bool `[N, N]`, row i is nowhere worse than row j and somewhere better; from float `[N, M]`."""
    first, second = objectives[:, None], objectives[None]
    return jnp.all(first <= second, -1) & jnp.any(first < second, -1)


def _feasible_rank(matrix: chex.Array, feasible: chex.Array) -> chex.Array:
    """Front numbers of the feasible rows, peeled off one front after the other; -1 for the others."""

    def left(rank: chex.Array) -> chex.Array:
        return (rank < 0) & feasible

    def peel(carry: tuple[chex.Array, chex.Array]) -> tuple[chex.Array, chex.Array]:
        rank, front = carry
        dominated = jnp.any(matrix & left(rank)[:, None], 0)
        return jnp.where(left(rank) & ~dominated, front, rank), front + 1

    start = (jnp.full(len(matrix), -1, jnp.int32), jnp.int32(0))
    rank, _ = lax.while_loop(lambda carry: jnp.any(left(carry[0])), peel, start)
    return rank


def nondominated_rank(objectives: chex.Array, violation: chex.Array | None = None) -> chex.Array:
    """Front number of each row, int32 `[N]`: front 0 is dominated by none.

    Infeasible rows come after all feasible ones, a front for each distinct violation. They are counted
    and not peeled: there may be as many fronts as rows.

    Args:
        objectives: float `[N, M]`, without NaN.
        violation: float `[N]`, without NaN; all feasible where it is left out.
    """
    excess = jnp.zeros(len(objectives)) if violation is None else jnp.maximum(violation, 0.0)
    feasible = excess == 0
    rank = _feasible_rank(dominates(objectives), feasible)
    order = jnp.argsort(excess)
    larger = (excess[order][1:] > excess[order][:-1]).astype(jnp.int32)
    place = jnp.zeros_like(rank).at[order[1:]].set(jnp.cumsum(larger, dtype=jnp.int32))
    # The distinct excesses are numbered from 0, which the feasible rows take where there are any.
    infeasible = jnp.max(rank) + 1 + place - jnp.any(feasible).astype(jnp.int32)
    return jnp.where(feasible, rank, infeasible)


def _one_objective_crowding(values: chex.Array, rank: chex.Array) -> chex.Array:
    """Distance between the two neighbours in the same front, over the front's range; ends infinite."""
    finite = jnp.isfinite(values)
    low = jax.ops.segment_min(jnp.where(finite, values, jnp.inf), rank, len(values))[rank]
    high = jax.ops.segment_max(jnp.where(finite, values, -jnp.inf), rank, len(values))[rank]
    some = low <= high
    # Halved, so that no range of finite values overflows.
    bounded = jnp.where(some, jnp.clip(values, low, high), 0.0) / 2
    order = jnp.lexsort((values, rank))
    front, ordered = rank[order], bounded[order]
    gap = jnp.where(front[1:] == front[:-1], ordered[1:] - ordered[:-1], jnp.inf)
    before = jnp.concatenate([jnp.full(1, jnp.inf), gap])
    after = jnp.concatenate([gap, jnp.full(1, jnp.inf)])
    spread = jnp.where(some, high / 2 - low / 2, 0.0)[order]
    distance = jnp.where(spread > 0, (before + after) / jnp.where(spread > 0, spread, 1.0), 0.0)
    return jnp.zeros_like(values).at[order].set(distance)


def crowding_distance(objectives: chex.Array, rank: chex.Array) -> chex.Array:
    """Crowding distance within each front: `[N, M]` and int32 `[N]` to float `[N]`, never NaN.

    The mean over objectives, as pymoo has it; a front of one or two is infinite; an objective that is
    equal throughout a front counts nothing. An infinite objective, as the PSNR of a perfect image is,
    stands where the front's finite extreme on its side does, beyond it in order.
    """
    each = jax.vmap(_one_objective_crowding, (1, None), 1)(objectives, rank)
    members = jax.ops.segment_sum(jnp.ones_like(rank), rank, len(rank))[rank]
    return jnp.where(members <= 2, jnp.inf, jnp.mean(each, 1))
