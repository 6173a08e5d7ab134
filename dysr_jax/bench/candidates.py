"""Evaluating candidates: the search program against static programs, compiled for each one."""

import functools
import statistics
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from dysr_jax import parallel
from dysr_jax.bench.rows import Row, describe_space, median_ratio
from dysr_jax.bench.setup import compile_evaluation, make_setup
from dysr_jax.config import RunConfig
from dysr_jax.device import device_name
from dysr_jax.model.supernet import init_params
from dysr_jax.search.evaluator import Evaluator
from dysr_jax.search.patches import grid_patches
from dysr_jax.space import arch_name, sample
from dysr_jax.timing import median_ms


def bench_candidates(config: RunConfig, *, compiled: int = 4, rounds: int = 15) -> dict[str, Any]:
    """Candidates a second, and the search program's time for single archs against the static program's.

    Args:
        config: space, population, patches and precision.
        compiled: candidates that are compiled: the smallest, the largest, the rest random.
        rounds: timed rounds.

    Returns:
        Device, space, `methods` with their candidates a second, `archs` with the milliseconds of one
        evaluation by both programs and their ratio, and `ratio`, the ratios' median.
    """
    setup = make_setup(config, rounds, max(compiled, 1), "compiled")
    net, space, search = setup.net, setup.net.space, config.search
    params = init_params(jax.random.key(config.seed), space)
    patches = grid_patches(setup.validation, search.patches, search.patch)
    evaluate = Evaluator(net, patches, parallel.device_mesh(1))

    calls: dict[str, Callable[[], object]] = {}
    compile_s = []
    for arch in setup.archs:
        start = time.perf_counter()
        run = compile_evaluation(net, params, patches, arch)
        compile_s.append(time.perf_counter() - start)
        genes = jnp.asarray([arch], jnp.int32)
        calls[f"static {arch}"] = functools.partial(run, params, patches)
        calls[f"search {arch}"] = functools.partial(evaluate, params, genes)
    population = sample(jax.random.key(config.seed + 1), space, (search.population,))
    calls["population"] = functools.partial(evaluate, params, population)
    measured = median_ms(calls, rounds)
    rows = [
        Row(arch_name(space, arch), measured[f"search {arch}"], measured[f"static {arch}"])
        for arch in setup.archs
    ]
    static_s = statistics.mean(row.static_ms for row in rows) / 1e3
    rates = {
        "search program": search.population / measured["population"] * 1e3,
        "compile each candidate": 1.0 / (statistics.mean(compile_s) + static_s),
    }
    return {
        "device": device_name(),
        "space": describe_space(net),
        "patches": f"{len(patches.lr)} of {search.patch}x{search.patch}",
        "dtype": jnp.dtype(net.dtype).name,
        "archs": [row.to_json() for row in rows],
        "methods": [{"name": k, "candidates_per_second": v} for k, v in rates.items()],
        "ratio": median_ratio(rows),
    }
