"""NSGA-II (Deb et al. 2002) over integer genes, as jitted JAX: `init`, `ask`, `tell`.

Objectives are minimised. Genes are int32 `[N, slots]`; a generation's children are distinct from each
other and from the population.
"""

import dataclasses
import functools

import chex
import flax.struct
import jax
import jax.numpy as jnp
from jax import lax

from dysr_jax.space import SearchSpace, crossover, largest, mutate, sample, smallest

OVERSAMPLE = 4
"""Children drawn for each one wanted, so that duplicates can be dropped."""


@flax.struct.dataclass
class State:
    """The population and what selection needs of it."""

    key: chex.PRNGKey
    genes: chex.Array
    """int32 `[P, slots]`."""
    objectives: chex.Array
    """float32 `[P, M]`, minimised; infinite until told."""
    rank: chex.Array
    """int32 `[P]`, 0 is the non-dominated front."""
    crowding: chex.Array
    """float32 `[P]`."""


@flax.struct.dataclass
class Operators:
    """Constants of the variation."""

    space: SearchSpace = flax.struct.field(pytree_node=False)
    mutation: float = flax.struct.field(pytree_node=False, default=0.0)
    """Probability a gene; 0 means 1 / slots."""
    crossover: float = flax.struct.field(pytree_node=False, default=0.9)
    """Probability that a child has two parents."""


def dominates(objectives: chex.Array) -> chex.Array:
    """Whether, bool `[N, N]`, row i is nowhere worse than row j and somewhere better; from float `[N, M]`."""
    first, second = objectives[:, None], objectives[None]
    return jnp.all(first <= second, -1) & jnp.any(first < second, -1)


def nondominated_rank(objectives: chex.Array) -> chex.Array:
    """Front number of each row of `[N, M]`, int32 `[N]`: front 0 is dominated by none."""
    matrix = dominates(objectives)

    def peel(carry: tuple[chex.Array, chex.Array]) -> tuple[chex.Array, chex.Array]:
        rank, front = carry
        left = rank < 0
        dominated = jnp.any(matrix & left[:, None], 0)
        return jnp.where(left & ~dominated, front, rank), front + 1

    start = (jnp.full(len(objectives), -1, jnp.int32), jnp.int32(0))
    rank, _ = lax.while_loop(lambda carry: jnp.any(carry[0] < 0), peel, start)
    return rank


def _one_objective_crowding(values: chex.Array, rank: chex.Array) -> chex.Array:
    """Distance between the two neighbours in the same front, over the front's range; ends infinite."""
    order = jnp.lexsort((values, rank))
    front, sorted_values = rank[order], values[order]
    inner = front[1:] == front[:-1]
    gap = jnp.where(inner, sorted_values[1:] - sorted_values[:-1], jnp.inf)
    before = jnp.concatenate([jnp.full(1, jnp.inf), gap])
    after = jnp.concatenate([gap, jnp.full(1, jnp.inf)])
    low = jax.ops.segment_min(values, rank, len(values))[front]
    high = jax.ops.segment_max(values, rank, len(values))[front]
    spread = high - low
    distance = jnp.where(spread > 0, (before + after) / jnp.where(spread > 0, spread, 1.0), 0.0)
    return jnp.zeros_like(values).at[order].set(distance)


def crowding_distance(objectives: chex.Array, rank: chex.Array) -> chex.Array:
    """Crowding distance within each front: `[N, M]` and int32 `[N]` to float `[N]`.

    The mean over objectives, as pymoo has it; a front of one or two is infinite; an objective that is
    equal throughout a front counts nothing.
    """
    each = jax.vmap(_one_objective_crowding, (1, None), 1)(objectives, rank)
    members = jax.ops.segment_sum(jnp.ones_like(rank), rank, len(rank))[rank]
    return jnp.where(members <= 2, jnp.inf, jnp.mean(each, 1))


def is_duplicate(genes: chex.Array, population: chex.Array) -> chex.Array:
    """Whether a row of `[N, slots]` stands in `population` `[P, slots]` or earlier in `genes`: bool `[N]`."""
    known = jnp.any(jnp.all(genes[:, None] == population[None], -1), 1)
    same = jnp.all(genes[:, None] == genes[None], -1)
    return known | jnp.any(jnp.tril(same, -1), 1)


def init(key: chex.PRNGKey, operators: Operators, population: int) -> State:
    """A state to `ask` for the first generation: the extremes of the space and random archs."""
    key, key_sample = jax.random.split(key)
    space = operators.space
    ends = jnp.asarray([smallest(space), largest(space)], jnp.int32)
    drawn = sample(key_sample, space, (OVERSAMPLE * population,))
    genes = jnp.concatenate([ends, drawn])
    order = jnp.argsort(is_duplicate(genes, genes[:0]), stable=True)
    return State(
        key=key,
        genes=genes[order][:population],
        objectives=jnp.full((population, 2), jnp.inf),
        rank=jnp.zeros(population, jnp.int32),
        crowding=jnp.zeros(population),
    )


def _tournament(key: chex.PRNGKey, state: State, count: int) -> chex.Array:
    """Winners of `count` binary tournaments: lower rank, then larger crowding distance."""
    pair = jax.random.randint(key, (2, count), 0, len(state.genes))
    rank, crowding = state.rank[pair], state.crowding[pair]
    second = (rank[1] < rank[0]) | ((rank[1] == rank[0]) & (crowding[1] > crowding[0]))
    return state.genes[jnp.where(second, pair[1], pair[0])]


@functools.partial(jax.jit, static_argnames="operators")
def ask(state: State, operators: Operators) -> tuple[chex.Array, State]:
    """Children to evaluate, int32 `[P, slots]`, and the state to `tell`.

    Children that repeat each other or the population come last, and only where the space has too few
    others near by.
    """
    key, key_first, key_second, key_both, key_cross, key_mutate = jax.random.split(state.key, 6)
    count = OVERSAMPLE * len(state.genes)
    first = _tournament(key_first, state, count)
    second = _tournament(key_second, state, count)
    crossed = crossover(key_cross, first, second)
    both = jax.random.bernoulli(key_both, operators.crossover, (count, 1))
    rate = operators.mutation or 1.0 / state.genes.shape[1]
    children = mutate(key_mutate, operators.space, jnp.where(both, crossed, first), rate)
    order = jnp.argsort(is_duplicate(children, state.genes), stable=True)
    return children[order][: len(state.genes)], dataclasses.replace(state, key=key)


@jax.jit
def tell(state: State, genes: chex.Array, objectives: chex.Array) -> State:
    """Elitist selection among the population and evaluated `genes`.

    Args:
        state: as `ask` (or `init`) returned it.
        genes: int32 `[N, slots]`.
        objectives: float `[N, M]`, minimised.
    """
    everyone = jnp.concatenate([genes, state.genes])
    values = jnp.concatenate([objectives, state.objectives])
    untold = jnp.all(jnp.isinf(values), 1)
    out = is_duplicate(everyone, everyone[:0]) | untold
    rank = nondominated_rank(jnp.where(out[:, None], jnp.inf, values))
    rank = jnp.where(out, len(everyone) - 1, rank)
    crowding = crowding_distance(values, rank)
    best = jnp.lexsort((-crowding, rank))[: len(state.genes)]
    return State(
        key=state.key,
        genes=everyone[best],
        objectives=values[best],
        rank=rank[best],
        crowding=crowding[best],
    )
