"""Which children are worth an evaluation: a model of PSNR-Y, fitted to the archive, chooses among many.

Each generation NSGA-II proposes `search.proposals` children for each one that is evaluated. A surrogate
predicts their quality; their other objectives are exact. Those that it puts on the best fronts are evaluated,
and a share about which it is most in doubt, as NSGANetV2 (Lu et al. 2020) does. Only what was evaluated can
become a parent. What is chosen depends on the key and on the records of earlier generations alone.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from chex import Array, PRNGKey

from dysr_jax import model
from dysr_jax.compiling import jit
from dysr_jax.model import Arch, SearchSpace, to_archs
from dysr_jax.search import additive, nsga2
from dysr_jax.search.archive import Record
from dysr_jax.search.config import SearchConfig, judge
from dysr_jax.search.latency import Terms, add_terms

MEMBERS: Final = 8
"""MLPs of an ensemble; each sees a bootstrap of the archive."""
HIDDEN: Final = 64
"""Units of an MLP's hidden layer."""
STEPS: Final = 300
"""Updates of an MLP."""
BATCH: Final = 64
"""Rows per update."""
RATE: Final = 1e-2
"""First learning rate of AdamW, which falls to 0 along a cosine."""
DECAY: Final = 1e-3
"""Weight decay of AdamW."""
DOUBTED: Final = 0.125
"""Share of a generation that is chosen for doubt."""

Weights = dict[str, Array]


def _forward(weights: Weights, x: Array) -> Array:
    """One hidden layer beside a linear one: `[N, columns]` to `[N]`."""
    hidden = jax.nn.relu(x @ weights["in"] + weights["bias"])
    return x @ weights["linear"] + hidden @ weights["out"]


def _train(key: PRNGKey, x: Array, y: Array, count: Array) -> Weights:
    """One MLP on the first `count` rows; rows after these are padding."""
    key_in, key_out, key_bag, key_rows = jax.random.split(key, 4)
    columns = x.shape[1]
    weights = {
        "in": jax.random.normal(key_in, (columns, HIDDEN)) / 2,
        "bias": jnp.zeros(HIDDEN),
        "out": jax.random.normal(key_out, (HIDDEN,)) / HIDDEN,
        "linear": jnp.zeros(columns),
    }
    bag = jax.random.randint(key_bag, (len(x),), 0, count)
    batches = bag[jax.random.randint(key_rows, (STEPS, BATCH), 0, count)]
    optimizer = optax.adamw(optax.cosine_decay_schedule(RATE, STEPS), weight_decay=DECAY)

    def loss(weights: Weights, rows: Array) -> Array:
        return jnp.mean(jnp.square(_forward(weights, x[rows]) - y[rows]))

    def step(
        carry: tuple[Weights, optax.OptState], rows: Array
    ) -> tuple[tuple[Weights, optax.OptState], None]:
        weights, state = carry
        updates, state = optimizer.update(jax.grad(loss)(weights, rows), state, weights)
        return (optax.apply_updates(weights, updates), state), None

    (weights, _), _ = jax.lax.scan(step, (weights, optimizer.init(weights)), batches)
    return weights


@jit
def _fit_predict(key: PRNGKey, x: Array, y: Array, count: Array, asked: Array) -> tuple[Array, Array]:
    """Mean and standard deviation over an ensemble: `[N]` each."""
    keys = jax.random.split(key, MEMBERS)
    weights = jax.vmap(_train, (0, None, None, None))(keys, x, y, count)
    found = jax.vmap(_forward, (0, None))(weights, asked)
    return jnp.mean(found, 0), jnp.std(found, 0)


class Prediction(NamedTuple):
    """Of archs, `[N]` each."""

    psnr_y: np.ndarray  # dB
    doubt: np.ndarray  # how unsure that is; only its order counts


def predict(
    key: PRNGKey, config: SearchConfig, space: SearchSpace, known: Sequence[Record], genes: np.ndarray
) -> Prediction:
    """Fit `config.surrogate` to the records and predict archs, int32 `[N, genes]`.

    The MLPs learn what additive scores leave. They are compiled once for a search: the records are padded to
    as many as it may have.
    """
    seen, quality = np.array([r.arch for r in known], np.int32), np.array([r.psnr_y for r in known])
    fitted = additive.fit(space, seen, quality)
    psnr_y = additive.predict(space, fitted, genes)
    if config.surrogate == "additive":
        return Prediction(psnr_y, additive.doubt(space, fitted, genes))
    left = (quality - additive.predict(space, fitted, seen)) / fitted.scale
    room = max(config.population * config.generations, len(known)) - len(known)
    x = np.pad(additive.one_hot(space, seen), ((0, room), (0, 0)))
    y = np.pad(left.astype(np.float32), (0, room))
    more, spread = _fit_predict(key, x, y, np.int32(len(known)), additive.one_hot(space, genes))
    return Prediction(psnr_y + fitted.scale * np.asarray(more, float), np.asarray(spread, float))


@jit
def _order(objectives: Array, violation: Array) -> Array:
    """Rows by front number, then crowding: int32 `[N]`."""
    rank = nsga2.nondominated_rank(objectives, violation)
    return jnp.lexsort((-nsga2.crowding_distance(objectives, rank), rank))


def choose(
    objectives: np.ndarray, violation: np.ndarray, doubt: np.ndarray, allowed: np.ndarray, count: int
) -> np.ndarray:
    """Up to `count` of the `allowed` rows (bool `[N]`), best first, then by doubt (`[N]`).

    Best is by front number and crowding among all rows of the predicted `objectives` `[N, M]` and
    `violation` `[N]`; the last `DOUBTED` of the count are those of the others in most doubt.
    """
    order = np.asarray(_order(objectives, violation))
    order = order[allowed[order]]
    doubted = int(DOUBTED * count)
    best, others = order[: count - doubted], order[count - doubted :]
    return np.concatenate([best, others[np.argsort(-doubt[others], kind="stable")][:doubted]])


class Asked(NamedTuple):
    """What a generation evaluates."""

    genes: Array  # int32 `[P, genes]`; filled up with members of the population
    state: nsga2.State  # to `tell`
    predicted: dict[Arch, float]  # PSNR-Y in dB, of those that a surrogate chose
    note: str = ""  # why no surrogate chose


def ask(
    key: PRNGKey,
    state: nsga2.State,
    operators: nsga2.Operators,
    config: SearchConfig,
    latency: Terms,
    known: Sequence[Record],
) -> Asked:
    """The archs of the next generation, as the config wants them chosen. `known` are the records of all
    earlier generations and `key` is this generation's own; NSGA-II's draws come from the state.
    """
    space, count = operators.space, config.population
    known = [record for record in known if np.isfinite(record.psnr_y)]
    columns = sum(model.gene_counts(space))
    if config.method == "additive" and known:
        return Asked(_filled(additive.ask(space, config, latency, known), state), state, {})
    if config.surrogate == "none" or len(known) < columns:
        genes, state = nsga2.ask(state, operators)
        few = f"surrogate {config.surrogate}: plain children until {columns} archs are evaluated"
        return Asked(genes, state, {}, "" if config.surrogate == "none" else few)
    proposed, asked = nsga2.ask(state, operators, config.proposals * count)
    children, archs = np.asarray(proposed), to_archs(space, proposed)
    found = predict(key, config, space, known, children)
    figures = zip(archs, found.psnr_y.tolist(), add_terms(space, latency, children).tolist(), strict=True)
    values, excess = judge(space, [Record("", *each, 0, 0.0) for each in figures], config)
    taken = {record.arch for record in known}
    first = {arch: row for row, arch in reversed([*enumerate(archs)]) if arch not in taken}
    allowed = np.zeros(len(archs), bool)
    allowed[list(first.values())] = True
    # Members stand among them as they were measured: a child that they dominate is not worth much.
    rows = choose(
        np.concatenate([values, state.objectives]),
        np.concatenate([np.where(allowed, excess, np.inf), state.violation]),
        np.pad(found.doubt, (0, count)),
        np.pad(allowed, (0, count)),
        count,
    )
    predicted = {archs[row]: float(found.psnr_y[row]) for row in rows}
    return Asked(_filled(children[rows], state), asked, predicted)


def _filled(genes: np.ndarray, state: nsga2.State) -> np.ndarray:
    """As many rows as the state has, so that nothing compiles again."""
    members = np.asarray(state.genes)
    return np.concatenate([genes, members[: len(members) - len(genes)]])


def taus(records: Sequence[Record]) -> dict[int, float]:
    """`tau` of each generation that has one."""
    each = {g: tau([r for r in records if r.generation == g]) for g in {r.generation for r in records}}
    return {generation: found for generation, found in sorted(each.items()) if found is not None}


def tau(records: Sequence[Record]) -> float | None:
    """Kendall's rank correlation (tau-b) of predicted and measured PSNR-Y, over the records that a surrogate
    chose; None where there is none to tell.
    """
    from scipy.stats import kendalltau  # slow to import

    pairs = [(r.predicted_psnr_y, r.psnr_y) for r in records if r.predicted_psnr_y is not None]
    found = float(kendalltau(*zip(*pairs, strict=True)).statistic) if len(pairs) > 1 else np.nan
    return None if np.isnan(found) else found
