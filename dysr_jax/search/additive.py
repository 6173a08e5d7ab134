"""An additive model of quality, and the exact front of its sums: the baseline of search.

A score for each branch of each slot, at each width, is fitted to evaluated archs by ridge least squares. The
latency table is a sum over slots too, so the front of summed scores against summed milliseconds is found
exactly, without visiting the space, by a dynamic programme over slots that drops dominated partial sums.
LANA (Molchanov et al. 2022) and Puzzle (Bercovich et al. 2024) choose layers by such sums, as an integer
programme for one latency; here it is the whole front.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from dysr_jax import model
from dysr_jax.model import SearchSpace
from dysr_jax.search import pareto
from dysr_jax.search.archive import Record
from dysr_jax.search.config import SearchConfig
from dysr_jax.search.latency import Terms, add_terms

RIDGE: Final = 0.1
"""Penalty on the squared scores of standardised quality. 0.01 to 1 differ little where archs are few."""

MAX_SUMS: Final = 20_000
"""Partial sums of a slot that are kept apart; where there are more, latency is put on a grid of so many."""


def one_hot(space: SearchSpace, genes: np.ndarray) -> np.ndarray:
    """float32 `[N, columns]`: a column for each value of each gene, 1 where the arch has it."""
    counts = model.gene_counts(space)
    return np.concatenate([np.eye(n, dtype=np.float32)[genes[:, i]] for i, n in enumerate(counts)], 1)


def features(space: SearchSpace, genes: np.ndarray) -> np.ndarray:
    """float64 `[N, columns]`: a 1, `one_hot`, and where there are several widths each branch at each."""
    plain = one_hot(space, genes).astype(float)
    columns = [np.ones((len(genes), 1)), plain]
    if len(space.widths) > 1:
        body, width = np.split(plain, [-len(space.widths)], 1)
        columns.append((body[:, :, None] * width[:, None]).reshape(len(genes), -1))
    return np.concatenate(columns, 1)


class Fit(NamedTuple):
    """Scores of the columns of `features`, in standard deviations of quality about its mean."""

    mean: float
    scale: float
    scores: np.ndarray  # `[columns]`
    covariance: np.ndarray  # `[columns, columns]` of the scores, in parts of the noise


def fit(space: SearchSpace, genes: np.ndarray, quality: np.ndarray) -> Fit:
    """By ridge least squares to the finite `quality` `[N]` of evaluated archs `[N, genes]`."""
    mean, scale = float(np.mean(quality)), float(np.std(quality)) or 1.0
    columns = features(space, genes)
    covariance = np.linalg.inv(columns.T @ columns + RIDGE * np.eye(columns.shape[1]))
    return Fit(mean, scale, covariance @ columns.T @ ((quality - mean) / scale), covariance)


def predict(space: SearchSpace, fitted: Fit, genes: np.ndarray) -> np.ndarray:
    """Quality, `[N]`."""
    return fitted.mean + fitted.scale * features(space, genes) @ fitted.scores


def doubt(space: SearchSpace, fitted: Fit, genes: np.ndarray) -> np.ndarray:
    """The root of the leverage, `[N]` without a unit: how unsure the quality is."""
    columns = features(space, genes)
    return np.sqrt(np.maximum(np.sum(columns @ fitted.covariance * columns, 1), 0.0))


def score_terms(space: SearchSpace, fitted: Fit) -> Terms:
    """The quality that a fit predicts, as a sum."""
    widths, slots = len(space.widths), [len(names) for names in space.slots]
    scores = np.split(fitted.scale * fitted.scores, np.cumsum([1, sum(slots)]))
    body, rest = np.repeat(scores[1][None], widths, 0), scores[2]
    width = np.full(widths, fitted.mean + scores[0][0])
    if widths > 1:
        width = width + rest[:widths]
        body = body + rest[widths:].reshape(-1, widths).T
    branch = np.zeros((widths, len(slots), max(slots)))
    for slot, start in enumerate(np.cumsum([0, *slots[:-1]])):
        branch[:, slot, : slots[slot]] = body[:, start : start + slots[slot]]
    return Terms(width, branch)


class Front(NamedTuple):
    """Archs whose sums none dominates, fastest first."""

    genes: np.ndarray  # int32 `[F, genes]`
    cost: np.ndarray  # `[F]`
    value: np.ndarray  # `[F]`, increasing as the cost is
    slack: float
    """For each arch of the true front there is one here that is worth no less and costs at most so much more;
    0 is exact."""


def front(
    space: SearchSpace, value: Terms, cost: Terms, bound: float = np.inf, most: int = MAX_SUMS
) -> Front:
    """The exact front of the most value for the least cost, of costs up to `bound`.

    A partial sum that costs no less and is worth no more than another one of the same slots is dropped: what
    follows adds the same to both. More than `most` at a slot: only the best of each step of a grid stays, and
    `slack` says what that may cost.
    """
    found = []
    for place in range(len(space.widths)):
        rest = np.array([cost.branch[place, i, : len(names)].min() for i, names in enumerate(space.slots)])
        costs, values, slack = cost.width[[place]].astype(float), value.width[[place]].astype(float), 0.0
        genes = np.zeros((1, 0), np.int32)
        for slot, names in enumerate(space.slots):
            count, left = len(names), rest[slot + 1 :].sum()
            costs = (costs[:, None] + cost.branch[place, slot, :count]).ravel()
            values = (values[:, None] + value.branch[place, slot, :count]).ravel()
            kept = pareto.front(costs, values)
            kept = kept[costs[kept] + left <= bound * (1 + 1e-6)]
            if len(kept) > most:
                step = float(np.ptp(costs[kept])) / most
                cell = ((costs[kept] - costs[kept[0]]) / step).astype(int)
                kept, slack = kept[np.append(cell[1:] > cell[:-1], True)], slack + step
            branch = (kept % count).astype(np.int32)
            genes = np.concatenate([genes[kept // count], branch[:, None]], 1)
            costs, values = costs[kept], values[kept]
        if len(space.widths) > 1:
            genes = np.concatenate([genes, np.full((len(genes), 1), place, np.int32)], 1)
        found.append(Front(genes, costs, values, slack))
    genes, costs, values = (np.concatenate([each[i] for each in found]) for i in range(3))
    best = pareto.front(costs, values)
    return Front(genes[best], costs[best], values[best], max(each.slack for each in found))


def ask(space: SearchSpace, config: SearchConfig, latency: Terms, known: Sequence[Record]) -> np.ndarray:
    """Up to `config.population` archs to evaluate, int32 `[N, genes]`: spread along the front of the scores
    fitted to the records, within the bounds as far as they are predicted; none that is known.
    """
    fitted = fit(space, np.array([r.arch for r in known], np.int32), np.array([r.psnr_y for r in known]))
    bound = np.inf if config.max_latency_ms is None else config.max_latency_ms
    found = front(space, score_terms(space, fitted), latency, bound)
    good = found.value >= min(config.min_psnr_y or -np.inf, found.value.max(initial=-np.inf))
    genes = found.genes[good & (add_terms(space, latency, found.genes) <= bound)]
    seen = {record.arch for record in known}
    new = genes[[tuple(row) not in seen for row in genes.tolist()]]
    rows = np.linspace(0, len(new) - 1, min(len(new), config.population))
    return new[np.round(rows).astype(int)]
