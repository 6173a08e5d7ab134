"""The search loop: ask, look up or evaluate, tell."""

import pathlib
import time
from collections.abc import Sequence
from typing import NamedTuple

import chex
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from tqdm import tqdm

from dysr_jax import parallel
from dysr_jax.model.supernet import Params, Supernet
from dysr_jax.search import nsga2
from dysr_jax.search.archive import Archive, Record
from dysr_jax.search.config import SearchConfig, check_config
from dysr_jax.search.evaluator import Evaluator, Patches
from dysr_jax.search.latency import LatencyTable, predict
from dysr_jax.space import Arch, SearchSpace, arch_name, to_archs


class _Evaluation(NamedTuple):
    """What turns genes into records."""

    evaluate: Evaluator
    params: Params
    space: SearchSpace
    table: LatencyTable


def _records(
    work: _Evaluation, archs: list[Arch], generation: int, population: int
) -> list[Record]:
    """Evaluate archs in one dispatch, filled up to the population's size so that nothing recompiles."""
    filled = archs + archs[:1] * (population - len(archs))
    genes = jnp.asarray(filled, jnp.int32)
    latency = np.asarray(predict(work.table, work.space, genes)).tolist()
    start = time.perf_counter()
    quality = parallel.fetch(work.evaluate(work.params, genes)).tolist()
    seconds = (time.perf_counter() - start) / len(archs)
    return [
        Record(arch_name(work.space, a), a, quality[i], latency[i], generation, seconds)
        for i, a in enumerate(archs)
    ]


def search(
    key: chex.PRNGKey,
    net: Supernet,
    params: Params,
    patches: Patches,
    table: LatencyTable,
    config: SearchConfig,
    mesh: Mesh,
    run: pathlib.Path,
    *,
    write: bool = True,
) -> Archive:
    """Evolve archs and keep every evaluated one in `archive.jsonl` of `run`.

    The candidates depend on the arguments only. A search that was killed goes through its generations
    again and finds what was evaluated in the archive, so nothing is evaluated twice.

    Args:
        key: all draws come from it.
        net: the supernet.
        params: its trained weights.
        patches: what quality is measured on.
        table: this device's latencies.
        config: of the search.
        mesh: the devices.
        run: directory of the archive.
        write: whether this process writes it, and has a progress bar.

    Raises:
        InputError: see `check_config`; or an archive that is damaged.
    """
    space = net.space
    check_config(config, space)
    params = parallel.replicate(params, mesh)
    archive = Archive(run / "archive.jsonl", write=write)
    parallel.same(
        len(archive.records), f"out {str(run)!r}: allowed is what all processes see alike"
    )
    work = _Evaluation(Evaluator(net, patches, mesh), params, space, table)
    operators = nsga2.Operators(space, config.mutation, config.crossover)
    state = nsga2.init(key, operators, config.population)
    genes = state.genes
    with tqdm(total=config.generations, desc="search", unit="generation", disable=not write) as bar:
        for generation in range(config.generations):
            if generation:
                genes, state = nsga2.ask(state, operators)
            archs = to_archs(space, genes)
            new = [a for a in dict.fromkeys(archs) if a not in archive.records]
            if new:
                work.evaluate.prepare(params, genes)  # the archive's seconds hold no compilation
                archive.append(_records(work, new, generation, config.population))
            found = [archive.records[arch] for arch in archs]
            objectives = jnp.asarray([[-r.psnr_y, r.latency_ms] for r in found], jnp.float32)
            state = nsga2.tell(state, genes, objectives)
            bar.update()
            bar.set_postfix(evaluated=len(archive.records), refresh=False)
    return archive


def candidates_per_second(records: Sequence[Record]) -> float:
    """Rate of evaluation over all records, compilation apart."""
    return len(records) / sum(record.seconds for record in records)
