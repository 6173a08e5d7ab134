"""Searching: the search program against compiling each candidate and against eager PyTorch."""

import functools
import importlib.util
import pathlib
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dysr_jax import parallel
from dysr_jax.bench.setup import Setup, compile_evaluation, describe_space, make_setup, matrix_flops
from dysr_jax.bench.torch import torch_device, without_torch
from dysr_jax.config import RunConfig
from dysr_jax.device import device_name
from dysr_jax.errors import InputError
from dysr_jax.model import (
    Arch,
    Params,
    SearchSpace,
    arch_mult_adds,
    init_params,
    sample_archs,
    space_size,
    to_archs,
)
from dysr_jax.search import Evaluator, Patches, computed_share, grid_patches, nsga2
from dysr_jax.timing import median_ms

TORCH_POPULATION = 64
"""Candidates that the PyTorch baseline evaluates in a round: its rate does not depend on their number."""

BASELINE = pathlib.Path(__file__).parents[2] / "experiments" / "baselines" / "torch_supernet.py"


class Case(NamedTuple):
    """What all methods are measured on."""

    setup: Setup
    params: Params
    patches: Patches
    genes: np.ndarray
    """int32 `[largest population, slots]`; smaller populations are its first rows."""
    rounds: int

    def archs(self, count: int) -> list[Arch]:
        """The first ones."""
        return to_archs(self.setup.net.space, self.genes[:count])


Row = dict[str, Any]


def _row(name: str, case: Case, count: int, seconds: float, **more: Any) -> Row:
    """A method's row; `seconds` are of all `count` candidates."""
    rows, columns = case.patches.hr.shape[1:3]
    space = case.setup.net.space
    each = statistics.mean(arch_mult_adds(space, arch, (rows, columns)) for arch in case.archs(count))
    flops = 2 * each * len(case.patches.lr) * count / seconds
    return {
        "name": name,
        "patches": len(case.patches.lr),
        "population": count,
        "candidates_per_second": count / seconds,
        "ms": seconds / count * 1e3,
        "tflops": flops / 1e12,
        **more,
    }


def _search_program(case: Case, populations: Sequence[int]) -> list[Row]:
    """All populations in turn, scheduling on the host and the results' way back included."""
    net = case.setup.net
    mesh = parallel.device_mesh(1)
    params = parallel.replicate(case.params, mesh)
    calls: dict[str, Callable[[], object]] = {}
    compile_s: dict[int, float] = {}
    for count in populations:
        evaluate = Evaluator(net, case.patches, mesh)
        start = time.perf_counter()
        evaluate.prepare(params, case.genes[:count])
        compile_s[count] = time.perf_counter() - start
        calls[str(count)] = functools.partial(evaluate, params, case.genes[:count])
    measured = median_ms(calls, case.rounds, warmup=1)
    return [
        _row(
            "search program",
            case,
            count,
            measured[str(count)] / 1e3,
            computed=computed_share(net.space, case.genes[:count]),
            compile_s=compile_s[count],
        )
        for count in populations
    ]


def _compile_each(case: Case, count: int) -> Row:
    """Static programs, one after the other, the time to compile included."""
    net = case.setup.net
    archs = case.archs(count)
    start = time.perf_counter()
    for arch in archs:
        run = compile_evaluation(net, case.params, case.patches, arch)
        jax.block_until_ready(run(case.params, case.patches))
    return _row("compile each candidate", case, count, time.perf_counter() - start)


def _without_torch() -> str:
    """Why the PyTorch baseline cannot be measured here; empty where it can."""
    if not BASELINE.exists():
        return "left out: its code is in the repository's experiments/"
    return without_torch()


def _load_baseline() -> Any:
    """The PyTorch supernet of `experiments/`."""
    spec = importlib.util.spec_from_file_location("torch_supernet", BASELINE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _torch(case: Case, module: Any) -> Row:
    net = case.setup.net
    count = min(TORCH_POPULATION, len(case.genes))
    evaluate = module.TorchSupernet(
        net.space, case.params, case.patches, device=torch_device(), dtype=jnp.dtype(net.dtype).name
    )
    archs = case.archs(count)
    measured = median_ms({"": lambda: evaluate(archs)}, case.rounds, warmup=1)[""]
    return _row("PyTorch eager", case, count, measured / 1e3)


def _generation(space: SearchSpace, evaluated: Row, rounds: int) -> Row:
    """NSGA-II's own part of a generation, ask and tell, beside evaluating it."""
    operators = nsga2.Operators(space)
    count = evaluated["population"]
    state = nsga2.init(jax.random.key(0), operators, count)
    objectives = jax.random.uniform(jax.random.key(1), (2, count, 2))
    state, _ = nsga2.tell(state, state.genes, objectives[0])

    def generation() -> tuple[nsga2.State, nsga2.Metrics]:
        genes, asked = nsga2.ask(state, operators)
        return nsga2.tell(asked, genes, objectives[1])

    spent = median_ms({"": generation}, rounds)[""]
    whole = evaluated["ms"] * count
    return {
        "patches": evaluated["patches"],
        "population": count,
        "ask_tell_ms": spent,
        "evaluate_ms": whole,
        "share": spent / whole,
    }


def _ratios(rows: Sequence[Row]) -> list[Row]:
    """The search program over the other methods, by patches and population."""
    others = [row for row in rows if row["name"] != "search program"]
    return [
        {
            "patches": row["patches"],
            "population": row["population"],
            **{
                f"over {other['name']}": row["candidates_per_second"] / other["candidates_per_second"]
                for other in others
                if other["patches"] == row["patches"]
            },
        }
        for row in rows
        if row["name"] == "search program"
    ]


def bench_search(
    config: RunConfig,
    *,
    populations: Sequence[int] = (64, 256, 1024),
    patch_counts: Sequence[int] = (),
    compiled: int = 4,
    rounds: int = 5,
) -> dict[str, Any]:
    """Candidates a second of each method, on the same patches and precision, on one device.

    All archs are the first ones of one random population; each candidate is compiled one after the other.
    Weights are fresh: they do not change the time. The search program's own compilation, once a space
    and population size, is in `compile_s` and not in its rate. FLOP/s count every candidate as if it were
    computed alone; `computed` is the part of the branches' work that the search program does, the rest
    being shared between candidates.

    Args:
        config: space, patches and precision.
        populations: candidates in a call of the search program.
        patch_counts: of validation patches; a quarter of the config's and all of it without any.
        compiled: candidates that are compiled.
        rounds: timed rounds; medians count.

    Returns:
        Device, space, dtype, `matrix_tflops` (the measured rate of a large matrix product),
        `methods` with their rates and shares of that rate, `ratios`, and `generation`: what NSGA-II
        itself costs.

    Raises:
        InputError: no population, a count under 1, or a population over the space's size.
    """
    setup = make_setup(config, rounds)
    space, search = setup.net.space, config.search
    if not populations:
        raise InputError("populations (): allowed is one or more")
    for count in populations:
        if not 1 <= count <= space_size(space):
            raise InputError(f"populations {count}: allowed is 1 to {space_size(space)}")
    counts = patch_counts or sorted({max(1, search.patches // 4), search.patches})
    for name, least in (("patch_counts", min(counts)), ("compiled", compiled)):
        if least < 1:
            raise InputError(f"{name} {least}: allowed is 1 or more")
    params = init_params(jax.random.key(config.seed), space)
    most = max(*populations, compiled)
    genes = np.asarray(sample_archs(jax.random.key(config.seed + 1), space, (most,)))
    reason = _without_torch()
    baseline = None if reason else _load_baseline()
    rows: list[Row] = []
    for count in counts:
        patches = grid_patches(setup.validation, count, search.patch)
        case = Case(setup, params, patches, genes, rounds)
        rows += _search_program(case, populations)
        if baseline is not None:
            rows.append(_torch(case, baseline))
        rows.append(_compile_each(case, compiled))
    matrix = matrix_flops(setup.net.dtype) / 1e12
    for row in rows:
        row["matrix_share"] = row["tflops"] / matrix
        row["computed"] = row.pop("computed", 1.0)
        row["compile_s"] = row.pop("compile_s", 0.0)
    return {
        "device": device_name(),
        "space": describe_space(setup.net),
        "patch": f"{search.patch}x{search.patch}",
        "dtype": jnp.dtype(setup.net.dtype).name,
        "matrix_tflops": matrix,
        "pytorch": reason or "measured",
        "methods": rows,
        "ratios": _ratios(rows),
        "generation": [
            _generation(space, row, rounds)
            for row in rows
            if row["name"] == "search program" and row["population"] > 1
        ],
    }
