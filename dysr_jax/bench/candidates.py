"""Evaluating candidates: the search program against static programs, compiled for each one."""

import statistics
import time
from typing import Any

import chex
import jax
import jax.numpy as jnp

from dysr_jax import parallel
from dysr_jax.bench.setup import make_setup
from dysr_jax.config import RunConfig
from dysr_jax.device import device_name
from dysr_jax.metrics import mse_y
from dysr_jax.model.programs import frame_program
from dysr_jax.model.supernet import init_params
from dysr_jax.search.evaluator import grid_patches, make_evaluator
from dysr_jax.space import arch_name, sample, size
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
    setup = make_setup(config, compiled)
    net, space = setup.net, setup.net.space
    params = init_params(jax.random.key(config.seed), space)
    patches = grid_patches(setup.validation, config.search.patches, config.search.patch)
    mesh = parallel.device_mesh(1)
    evaluate = make_evaluator(net, patches, mesh)
    program = frame_program(net)

    def static(params: Any, arch: tuple[int, ...]) -> chex.Array:
        return jnp.mean(mse_y(program(params, patches.lr, arch), patches.hr, space.scale))

    calls: dict[str, Any] = {}
    compile_s = []
    for arch in setup.archs:
        start = time.perf_counter()
        run = jax.jit(static, static_argnums=1).lower(params, arch).compile()
        compile_s.append(time.perf_counter() - start)
        genes = jnp.asarray([arch], jnp.int32)
        calls[f"static {arch}"] = lambda run=run: run(params)
        calls[f"search {arch}"] = lambda genes=genes: evaluate(params, genes)
    population = sample(jax.random.key(config.seed + 1), space, (config.search.population,))
    calls["population"] = lambda: evaluate(params, population)
    measured = median_ms(calls, rounds)
    rows = []
    for arch in setup.archs:
        search_ms, static_ms = measured[f"search {arch}"], measured[f"static {arch}"]
        rows.append(
            {
                "arch": arch_name(space, arch),
                "search_ms": search_ms,
                "static_ms": static_ms,
                "ratio": search_ms / static_ms,
            }
        )
    static_s = statistics.mean(row["static_ms"] for row in rows) / 1e3
    rates = {
        "search program": config.search.population / measured["population"] * 1e3,
        "compile each candidate": 1.0 / (statistics.mean(compile_s) + static_s),
    }
    return {
        "device": device_name(),
        "space": f"{len(space.body)} slots, width {space.width}, {size(space):.3g} archs",
        "patches": f"{len(patches.lr)} of {config.search.patch}x{config.search.patch}",
        "dtype": jnp.dtype(net.dtype).name,
        "archs": rows,
        "methods": [{"name": k, "candidates_per_second": v} for k, v in rates.items()],
        "ratio": statistics.median(row["ratio"] for row in rows),
    }
