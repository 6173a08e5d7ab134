"""Other searches for a front that is known: pymoo's NSGA-II, and Optuna's samplers as its users know them.

Each takes `(truth, population, seed)` and yields rows of the truth in the order in which it evaluates them.
"""

import importlib.util
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import jax
import numpy as np

from dysr_jax.model import SearchSpace, gene_counts
from dysr_jax.search import nsga2

TRIALS = 1000
"""Of a study of Optuna: its samplers repeat known archs, and a trial takes longer each time."""


class Truth(Protocol):
    """Every arch of a space, and what it is worth."""

    space: SearchSpace
    objectives: np.ndarray
    """`[N, 2]`, minimised."""

    def rows(self, genes: np.ndarray) -> np.ndarray:
        """Where these archs stand."""


def has_optuna() -> bool:
    """Whether Optuna, which no extra of the package installs, can be imported."""
    return importlib.util.find_spec("optuna") is not None


def pymoo_of_its_own(truth: Truth, population: int, seed: int) -> Iterator[np.ndarray]:
    """NSGA-II of pymoo, with the operators that its manual gives for integers, from random archs."""
    from pymoo.operators.crossover.sbx import SBX
    from pymoo.operators.mutation.pm import PM
    from pymoo.operators.repair.rounding import RoundingRepair
    from pymoo.operators.sampling.rnd import IntegerRandomSampling

    yield from _pymoo(
        truth,
        seed,
        pop_size=population,
        sampling=IntegerRandomSampling(),
        crossover=SBX(prob=1.0, eta=3.0, vtype=float, repair=RoundingRepair()),
        mutation=PM(prob=1.0, eta=3.0, vtype=float, repair=RoundingRepair()),
    )


def pymoo_with_our_operators(truth: Truth, population: int, seed: int) -> Iterator[np.ndarray]:
    """NSGA-II of pymoo with the first generation, crossover and mutation of `dysr_jax.search.nsga2`."""
    from pymoo.core.mutation import Mutation
    from pymoo.operators.crossover.ux import UX

    limits = np.array(gene_counts(truth.space))

    class AnotherBranch(Mutation):
        """A gene becomes another branch, one gene of two children."""

        def _do(self, problem: Any, genes: np.ndarray, *args: Any, random_state: Any, **kwargs: Any) -> Any:
            step = random_state.integers(1, np.maximum(limits, 2), genes.shape)
            hit = random_state.random(genes.shape) < 1 / (2 * len(limits))
            return np.where(hit, (genes.astype(int) + step) % limits, genes)

    first = nsga2.init(jax.random.key(seed), nsga2.Operators(truth.space), population).genes
    yield from _pymoo(
        truth,
        seed,
        pop_size=population,
        sampling=np.asarray(first),
        crossover=UX(),
        mutation=AnotherBranch(prob=1.0),
    )


def _pymoo(truth: Truth, seed: int, **options: Any) -> Iterator[np.ndarray]:
    from pymoo.algorithms.moo.nsga2 import NSGA2
    from pymoo.core.problem import Problem

    limits = np.array(gene_counts(truth.space))
    problem = Problem(n_var=len(limits), n_obj=2, xl=0, xu=limits - 1, vtype=int)
    algorithm = NSGA2(eliminate_duplicates=True, **options)
    algorithm.setup(problem, termination=("n_gen", 10**6), seed=seed, verbose=False)
    while algorithm.has_next():
        children = algorithm.ask()
        if children is None:  # it can make no others
            return
        rows = truth.rows(children.get("X").astype(int))
        yield rows
        children.set("F", truth.objectives[rows])
        for child in children:
            child.evaluated.update("F", "G", "H")
        algorithm.tell(infills=children)


def optuna_nsga2(truth: Truth, population: int, seed: int) -> Iterator[np.ndarray]:
    """NSGA-II of Optuna, a categorical choice per slot."""
    import optuna

    return _optuna(truth, optuna.samplers.NSGAIISampler(population_size=population, seed=seed))


def optuna_tpe(truth: Truth, population: int, seed: int) -> Iterator[np.ndarray]:
    """Optuna's tree-structured Parzen estimator of several objectives, a categorical choice per slot."""
    import optuna

    del population
    return _optuna(truth, optuna.samplers.TPESampler(seed=seed))


def _optuna(truth: Truth, sampler: Any) -> Iterator[np.ndarray]:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(directions=["minimize", "minimize"], sampler=sampler)
    counts = gene_counts(truth.space)
    genes = {f"gene{i}": optuna.distributions.CategoricalDistribution(range(n)) for i, n in enumerate(counts)}
    for _ in range(TRIALS):
        trial = study.ask(genes)
        rows = truth.rows(np.array([[trial.params[name] for name in genes]]))
        yield rows
        study.tell(trial, truth.objectives[rows[0]].tolist())


def rivals() -> dict[str, Callable[[Any, int, int], Iterator[np.ndarray]]]:
    """By their names in tables: those that can be imported."""
    return {name: search for name, search in _RIVALS.items() if "Optuna" not in name or has_optuna()}


_RIVALS: dict[str, Callable[[Any, int, int], Iterator[np.ndarray]]] = {
    "NSGA-II (pymoo)": pymoo_of_its_own,
    "NSGA-II (pymoo with our operators)": pymoo_with_our_operators,
    "NSGA-II (Optuna)": optuna_nsga2,
    "TPE (Optuna)": optuna_tpe,
}
