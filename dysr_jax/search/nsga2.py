"""NSGA-II (Deb et al. 2002) over integer genes, as jitted JAX: `init`, `ask`, `tell`.

Selection is by constrained domination, front numbers and crowding distance. Objectives, float `[N, M]`, are
minimised; a violation is 0 where every constraint holds and larger the further off. Genes are int32 `[N,
genes]`; a generation's children are distinct from each other and from the population.
"""

import dataclasses
import functools
import itertools

import flax.struct
import jax
import jax.numpy as jnp
from chex import Array, PRNGKey
from jax import lax

from dysr_jax import model
from dysr_jax.compiling import jit

OVERSAMPLE = 4  # children drawn for each one wanted, so that duplicates can be dropped


@flax.struct.dataclass(eq=False)
class State:
    """The population and what selection needs of it."""

    key: PRNGKey
    genes: Array  # int32 `[P, genes]`
    objectives: Array  # float32 `[P, M]`, minimised; infinite until told
    violation: Array
    """float32 `[P]`, by how much the constraints are violated in all; 0 is feasible, infinite until told."""
    rank: Array  # int32 `[P]`, 0 is the non-dominated front
    crowding: Array  # float32 `[P]`


@flax.struct.dataclass(eq=False)
class Metrics:
    """What a generation reached."""

    front: Array  # int32: feasible archs of the population that none dominates
    best: Array  # float32 `[M]`: the least of each objective on that front; infinite where it is empty


@dataclasses.dataclass(frozen=True)
class Operators:
    """Constants of the variation."""

    space: model.SearchSpace
    mutation: float | None = None  # probability that a gene changes; None means 1 / (2 genes)
    crossover: float = 1.0  # probability that a child has two parents


def dominates(objectives: Array) -> Array:
    """Whether, bool `[N, N]`, row i is nowhere worse than row j and somewhere better."""
    first, second = objectives[:, None], objectives[None]
    return jnp.all(first <= second, -1) & jnp.any(first < second, -1)


def _feasible_rank(matrix: Array, feasible: Array) -> Array:
    """Front numbers of the feasible rows, peeled off one front after the other; -1 for the others."""

    def left(rank: Array) -> Array:
        return (rank < 0) & feasible

    def peel(carry: tuple[Array, Array]) -> tuple[Array, Array]:
        rank, front = carry
        dominated = jnp.any(matrix & left(rank)[:, None], 0)
        return jnp.where(left(rank) & ~dominated, front, rank), front + 1

    start = (jnp.full(len(matrix), -1, jnp.int32), jnp.int32(0))
    return lax.while_loop(lambda carry: jnp.any(left(carry[0])), peel, start)[0]


def nondominated_rank(objectives: Array, violation: Array | None = None) -> Array:
    """Front number of each row, int32 `[N]`: front 0 is dominated by none. Nothing may be NaN.

    Rows with a `violation` (float `[N]`; None: all are feasible) come after all feasible ones, a front for
    each distinct violation. They are counted and not peeled: there may be as many fronts as rows.
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


def _one_objective_crowding(values: Array, rank: Array) -> Array:
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


def crowding_distance(objectives: Array, rank: Array) -> Array:
    """Crowding distance within each front of int32 `rank` `[N]`: float `[N]`, never NaN.

    The mean over objectives, as pymoo has it; a front of one or two is infinite; an objective that is equal
    throughout a front counts nothing. An infinite objective, as the PSNR of a perfect image is, stands where
    the front's finite extreme on its side does, beyond it in order.
    """
    each = jax.vmap(_one_objective_crowding, (1, None), 1)(objectives, rank)
    members = jax.ops.segment_sum(jnp.ones_like(rank), rank, len(rank))[rank]
    return jnp.where(members <= 2, jnp.inf, jnp.mean(each, 1))


def is_duplicate(genes: Array, population: Array) -> Array:
    """Whether a row of `[N, genes]` stands in `population` `[P, genes]` or earlier in `genes`: bool `[N]`."""
    rows = jnp.concatenate([population, genes])
    order = jnp.lexsort(rows.T)  # stable: equal rows stay in the order that decides which one counts
    same = jnp.all(rows[order][1:] == rows[order][:-1], -1)
    duplicate = jnp.zeros(len(rows), bool).at[order[1:]].set(same)
    return duplicate[len(population) :]


@functools.partial(jit, static_argnames=("operators", "population", "objectives"))
def init(
    key: PRNGKey, operators: Operators, population: int, objectives: int = 2, first: Array | None = None
) -> State:
    """A state whose `genes` are the first generation: `population` archs, at least 2, for M `objectives`.

    They are the extremes of the space, those of each width, and archs from all along its costs
    (`sample_plain_archs`), filled up with uniform ones where those repeat each other. Archs that are given,
    `first` int32 `[N, genes]`, come before all of these. All draws of the search come from `key`.
    """
    key, key_plain, key_sample = jax.random.split(key, 3)
    space, count = operators.space, OVERSAMPLE * population
    widths = (None, *space.widths)  # None: of the whole space, which come first
    extremes = [(model.smallest_arch(space, width), model.largest_arch(space, width)) for width in widths]
    ends = jnp.asarray(list(dict.fromkeys(itertools.chain(*extremes))), jnp.int32)
    plain = model.sample_plain_archs(key_plain, space, count)
    given = ends[:0] if first is None else first
    genes = jnp.concatenate([given, ends, plain, model.sample_archs(key_sample, space, (count,))])
    genes = genes[jnp.argsort(is_duplicate(genes, genes[:0]), stable=True)][:population]
    untold = jnp.full((population, objectives), jnp.inf, jnp.float32)
    rank, crowding = jnp.zeros(population, jnp.int32), jnp.zeros(population, jnp.float32)
    return State(key, genes, untold, untold[:, 0], rank, crowding)


def _tournament(key: PRNGKey, state: State, count: int) -> Array:
    """Winners of `count` binary tournaments: lower rank, then larger crowding distance."""
    pair = jax.random.randint(key, (2, count), 0, len(state.genes))
    rank, crowding = state.rank[pair], state.crowding[pair]
    second = (rank[1] < rank[0]) | ((rank[1] == rank[0]) & (crowding[1] > crowding[0]))
    return state.genes[jnp.where(second, pair[1], pair[0])]


@functools.partial(jit, static_argnames=("operators", "wanted"))
def ask(state: State, operators: Operators, wanted: int | None = None) -> tuple[Array, State]:
    """Children to evaluate, int32 `[wanted, genes]` (None: P), and the state to `tell`.

    Children that repeat each other or the population come last: where the space has too few others near.
    """
    key, key_first, key_second, key_both, key_cross, key_mutate = jax.random.split(state.key, 6)
    population, count = state.genes.shape
    wanted = population if wanted is None else wanted
    first, second = (_tournament(k, state, OVERSAMPLE * wanted) for k in (key_first, key_second))
    crossed = model.crossover(key_cross, first, second)
    both = jax.random.bernoulli(key_both, operators.crossover, (len(first), 1))
    rate = 0.5 / count if operators.mutation is None else operators.mutation
    children = model.mutate(key_mutate, operators.space, jnp.where(both, crossed, first), rate)
    order = jnp.argsort(is_duplicate(children, state.genes), stable=True)
    return children[order][:wanted], dataclasses.replace(state, key=key)


@jit
def tell(
    state: State, genes: Array, objectives: Array, violation: Array | None = None
) -> tuple[State, Metrics]:
    """Elitist selection among the population and evaluated `genes`, int32 `[N, genes]`.

    `objectives` `[N, M]` and `violation` `[N]` (None: all are feasible) are float32. NaN counts as infinite,
    and rows whose objectives are infinite throughout are as good as not told.
    """
    violation = jnp.zeros(len(genes)) if violation is None else violation
    everyone = jnp.concatenate([genes, state.genes])
    values = _without_nan(jnp.concatenate([objectives, state.objectives]))
    excess = _without_nan(jnp.concatenate([violation, state.violation]))
    out = is_duplicate(everyone, everyone[:0]) | jnp.all(values == jnp.inf, 1)
    rank = nondominated_rank(values, jnp.where(out, jnp.inf, excess))
    rank = jnp.where(out, len(everyone) - 1, rank)
    crowding = crowding_distance(values, rank)
    best = jnp.lexsort((-crowding, rank))[: len(state.genes)]
    told = State(state.key, everyone[best], values[best], excess[best], rank[best], crowding[best])
    front = (told.rank == 0) & (told.violation == 0)
    least = jnp.min(jnp.where(front[:, None], told.objectives, jnp.inf), 0)
    return told, Metrics(jnp.sum(front), least)


def _without_nan(values: Array) -> Array:
    return jnp.where(jnp.isnan(values), jnp.inf, values)
