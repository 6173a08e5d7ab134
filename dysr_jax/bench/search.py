"""Searching: the search program against compiling each candidate, and against rivals that a caller gives; and
where the time of a whole short search goes.
"""

import dataclasses
import functools
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dysr_jax import model, parallel
from dysr_jax.bench.setup import BenchResult, Setup, compile_evaluation, describe, make_setup
from dysr_jax.bench.whole_search import whole_search
from dysr_jax.compiling import jit
from dysr_jax.config import RunConfig
from dysr_jax.fields import from_dict, require
from dysr_jax.model import Arch, Params, SearchSpace, Supernet
from dysr_jax.search import Evaluator, Patches, SearchTimes, computed_share, grid_patches, nsga2
from dysr_jax.timing import median_ms

SEARCH_PROGRAM = "search program"
RIVAL_POPULATION = 64
"""Candidates that a rival evaluates in a round: its rate does not depend on their number."""

Rival = Callable[[Supernet, Params, Patches], Callable[[Sequence[Arch]], object]]
"""Makes what evaluates candidates, one after the other, and waits for the last."""


@dataclasses.dataclass(frozen=True)
class MethodRow:
    """A way to evaluate candidates, measured on so many patches and candidates in a call."""

    name: str
    patches: int
    population: int
    candidates_per_second: float
    ms: float  # per candidate
    tflops: float  # as if every candidate were computed alone
    matrix_share: float  # of the rate of a large matrix product
    computed: float = 1.0  # share of the branches' work; the rest is shared between candidates
    compile_s: float = 0.0  # once per space and population, and not in the rate


@dataclasses.dataclass(frozen=True)
class GenerationRow:
    """NSGA-II's own part of a generation, beside evaluating it."""

    patches: int
    population: int
    ask_tell_ms: float
    evaluate_ms: float
    share: float


@dataclasses.dataclass(frozen=True)
class SearchResult(BenchResult):
    """What `bench_search` found, beside the measured rate of a large matrix product."""

    device: str
    space: str
    patch: str
    dtype: str
    matrix_tflops: float
    methods: tuple[MethodRow, ...]
    generation: tuple[GenerationRow, ...]
    search: SearchTimes | None = None  # of a whole short search, where one was asked for

    def to_json(self) -> dict[str, Any]:
        """With `ratios`: the search program over the other methods, by patches and population."""
        fields = super().to_json()
        generation = fields.pop("generation")
        own = [row for row in self.methods if row.name == SEARCH_PROGRAM]
        others = [row for row in self.methods if row.name != SEARCH_PROGRAM]
        ratios = []
        for row in own:
            beside = {f"over {r.name}": r.candidates_per_second for r in others if r.patches == row.patches}
            over = {name: row.candidates_per_second / rate for name, rate in beside.items()}
            ratios.append({"patches": row.patches, "population": row.population, **over})
        return {**fields, "ratios": ratios, "generation": generation}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> "SearchResult":
        """The inverse of `to_json`, whatever else the fields hold."""
        own = [
            field.name for field in dataclasses.fields(cls) if field.name != "search" or "search" in fields
        ]
        return from_dict(cls, {name: fields[name] for name in own}, "result")


class _Case(NamedTuple):
    """What all methods are measured on."""

    setup: Setup
    params: Params
    patches: Patches
    genes: np.ndarray  # int32 `[largest population, genes]`; smaller populations are its first rows
    rounds: int
    matrix_tflops: float

    def archs(self, count: int) -> list[Arch]:
        """The first ones."""
        return model.to_archs(self.setup.net.space, self.genes[:count])


def _row(name: str, case: _Case, count: int, seconds: float, **more: Any) -> MethodRow:
    """A method's row; `seconds` are of all `count` candidates."""
    rows, columns = case.patches.hr.shape[1:3]
    space, patches = case.setup.net.space, len(case.patches.lr)
    each = statistics.mean(model.arch_mult_adds(space, arch, (rows, columns)) for arch in case.archs(count))
    tflops = 2 * each * patches * count / seconds / 1e12
    share = tflops / case.matrix_tflops
    return MethodRow(name, patches, count, count / seconds, seconds / count * 1e3, tflops, share, **more)


def _search_program(case: _Case, populations: Sequence[int]) -> list[MethodRow]:
    """All populations in turn, scheduling on the host and the results' way back included."""
    net, mesh = case.setup.net, parallel.device_mesh(1)
    params = parallel.replicate(case.params, mesh)
    calls: dict[str, Callable[[], object]] = {}
    spent = []
    for count in populations:
        evaluate = Evaluator(net, case.patches, mesh)
        start = time.perf_counter()
        evaluate.prepare(params, case.genes[:count])
        spent.append(time.perf_counter() - start)
        calls[str(count)] = functools.partial(evaluate, params, case.genes[:count])
    ms = median_ms(calls, case.rounds, warmup=1)
    rows = []
    for count, compile_s in zip(populations, spent, strict=True):
        own = {"computed": computed_share(net.space, case.genes[:count]), "compile_s": compile_s}
        rows.append(_row(SEARCH_PROGRAM, case, count, ms[str(count)] / 1e3, **own))
    return rows


def _rival(name: str, rival: Rival, case: _Case) -> MethodRow:
    archs = case.archs(RIVAL_POPULATION)
    evaluate = rival(case.setup.net, case.params, case.patches)
    ms = median_ms({"": lambda: evaluate(archs)}, case.rounds, warmup=1)[""]
    return _row(name, case, len(archs), ms / 1e3)


def _compile_each(case: _Case, count: int) -> MethodRow:
    """Static programs, one after the other, the time to compile included."""
    start = time.perf_counter()
    for arch in case.archs(count):
        run = compile_evaluation(case.setup.net, case.params, case.patches, arch)
        jax.block_until_ready(run(case.params, case.patches))
    return _row("compile each candidate", case, count, time.perf_counter() - start)


def _generation(space: SearchSpace, evaluated: MethodRow, rounds: int) -> GenerationRow:
    """Ask and tell, beside what was measured of evaluating as many."""
    operators = nsga2.Operators(space)
    count = evaluated.population
    state = nsga2.init(jax.random.key(0), operators, count)
    objectives = jax.random.uniform(jax.random.key(1), (2, count, 2))
    state, _ = nsga2.tell(state, state.genes, objectives[0])

    def generation() -> tuple[nsga2.State, nsga2.Metrics]:
        genes, asked = nsga2.ask(state, operators)
        return nsga2.tell(asked, genes, objectives[1])

    spent = median_ms({"": generation}, rounds)[""]
    whole = evaluated.ms * count
    return GenerationRow(evaluated.patches, count, spent, whole, spent / whole)


def matrix_flops(dtype: Any, rounds: int = 7) -> float:
    """FLOP/s of a large square matrix product in `dtype` on the first device, random operands."""
    side = 1024 if jax.default_backend() == "cpu" else 8192
    left, right = jax.random.normal(jax.random.key(0), (2, side, side), dtype)
    product = jit(jnp.matmul)
    return 2 * side**3 / median_ms({"": lambda: product(left, right)}, rounds)[""] * 1e3


def bench_search(
    config: RunConfig,
    *,
    populations: Sequence[int] = (64, 256, 1024),
    patch_counts: Sequence[int] = (),
    compiled: int = 4,
    rounds: int = 5,
    generations: int = 3,
    rivals: Mapping[str, Rival] | None = None,
) -> SearchResult:
    """Candidates per second of each method, on the same patches and precision, on one device.

    All archs are the first ones of one random population. `populations` are candidates per call of the search
    program, `compiled` those that are compiled, one after the other, `patch_counts` validation patches
    (default: a quarter of the config's, and all); `rivals` are other ways to evaluate. Of `rounds` medians
    count. Weights are fresh: they do not change the time. Then a whole search of the config's population and
    so many `generations` (0: none) tells where its time goes.

    Raises InputError: no population, a count under 1, or a population over the space's size; a space or
    constraints that cannot be searched.
    """
    require(generations >= 0, "generations", generations, "at least 0")
    setup = make_setup(config, rounds)
    space, recipe = setup.net.space, config.search
    require(bool(populations), "populations", populations, "one or more")
    size = model.space_size(space)
    for count in populations:
        require(1 <= count <= size, "populations", count, f"in [1, {size}]")
    counts = patch_counts or sorted({max(1, recipe.patches // 4), recipe.patches})
    require(min(counts) >= 1, "patch_counts", min(counts), "at least 1")
    require(compiled >= 1, "compiled", compiled, "at least 1")
    params = model.init_params(jax.random.key(config.seed), space)
    most = max(*populations, compiled)
    genes = np.asarray(model.sample_archs(jax.random.key(config.seed + 1), space, (most,)))
    matrix = matrix_flops(setup.net.dtype) / 1e12
    rows: list[MethodRow] = []
    for count in counts:
        patches = grid_patches(setup.validation, count, recipe.patch)
        case = _Case(setup, params, patches, genes, rounds, matrix)
        rows += _search_program(case, populations)
        rows += [_rival(name, rival, case) for name, rival in (rivals or {}).items()]
        rows.append(_compile_each(case, compiled))
    bred = [row for row in rows if row.name == SEARCH_PROGRAM and row.population > 1]
    whole = None
    if generations:
        short = dataclasses.replace(recipe, generations=generations)
        whole = whole_search(dataclasses.replace(config, search=short), setup, params)
    return SearchResult(
        **describe(setup.net),
        patch=f"{recipe.patch}x{recipe.patch}",
        matrix_tflops=matrix,
        methods=tuple(rows),
        generation=tuple(_generation(space, row, rounds) for row in bred),
        search=whole,
    )
