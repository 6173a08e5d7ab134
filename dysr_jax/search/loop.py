"""The search loop: ask, look up or evaluate, tell, save."""

import hashlib
import itertools
import time
from collections.abc import Sequence
from typing import NamedTuple

import chex
import numpy as np
from etils import epath
from jax.sharding import Mesh
from tqdm import tqdm

from dysr_jax import parallel
from dysr_jax.model import Arch, Params, SearchSpace, Supernet, arch_names, to_archs
from dysr_jax.search import nsga2, resume
from dysr_jax.search.archive import Archive, Record
from dysr_jax.search.config import SearchConfig, check_config
from dysr_jax.search.evaluator import Evaluator
from dysr_jax.search.latency import LatencyTable, branch_ms, predict
from dysr_jax.search.objectives import judge
from dysr_jax.search.patches import Patches


class _Evaluation(NamedTuple):
    """What turns genes into records."""

    evaluate: Evaluator
    params: Params
    space: SearchSpace
    table: LatencyTable


def _records(work: _Evaluation, archs: list[Arch], generation: int) -> list[Record]:
    """Evaluate archs."""
    rows = np.asarray(archs, np.int32)
    latency = predict(work.table, work.space, rows).tolist()
    start = time.perf_counter()
    quality = work.evaluate(work.params, rows).tolist()
    seconds = (time.perf_counter() - start) / len(archs)
    names = arch_names(work.space, rows)
    return [
        Record(names[i], arch, quality[i], latency[i], generation, seconds) for i, arch in enumerate(archs)
    ]


def _best(state: nsga2.State, archive: Archive) -> dict[str, str | int]:
    """What the progress bar shows: how much was evaluated, the front, its ends."""
    kept = (np.asarray(state.rank) == 0) & (np.asarray(state.violation) == 0)
    archs = itertools.compress(resume.population(state), kept)
    front = [archive.records[arch] for arch in archs]
    shown: dict[str, str | int] = {"evaluated": len(archive.records), "front": len(front)}
    if front:
        shown["best"] = f"{max(record.psnr_y for record in front):.2f} dB"
        shown["fastest"] = f"{min(record.latency_ms for record in front):.3g} ms"
    return shown


def _progress(generations: int, start: int, shown: bool) -> tqdm:
    return tqdm(total=generations, initial=start, desc="search", unit="generation", disable=not shown)


def _digest(value: object) -> str:
    """Of what has to be the same in every process."""
    return hashlib.sha256(repr(value).encode()).hexdigest()


def search(
    key: chex.PRNGKey,
    net: Supernet,
    params: Params,
    patches: Patches,
    table: LatencyTable,
    config: SearchConfig,
    mesh: Mesh,
    run: epath.PathLike,
    *,
    write: bool = True,
) -> Archive:
    """Evolve archs and keep every evaluated one in `archive.jsonl` of `run`.

    The candidates depend on the arguments only. After each generation the state is saved, and a search
    that was killed goes on with the next one. What it evaluated stands in the archive, which may be ahead
    of the state, so nothing is evaluated twice.

    Args:
        key: all draws come from it.
        net: the supernet.
        params: its trained weights.
        patches: what quality is measured on.
        table: this device's latencies.
        config: of the search.
        mesh: the devices.
        run: directory of the archive and the state.
        write: False in all processes of a job but one: they search the same and write nothing.

    Raises:
        InputError: see `check_config`; or an archive that is damaged.
    """
    space, run = net.space, epath.Path(run)
    check_config(config, space)
    params = parallel.replicate(params, mesh)
    archive = Archive(run / "archive.jsonl", write=write)
    evaluate = Evaluator(net, patches, mesh, costs=branch_ms(table, space))
    work = _Evaluation(evaluate, params, space, table)
    operators = nsga2.Operators(space, config.mutation, config.crossover)
    fresh = nsga2.init(key, operators, config.population, len(config.objectives))
    saved = resume.load(run, fresh)
    if saved is None or not resume.belongs(saved, space, archive, config):
        saved = resume.Saved(fresh, 0, 0)
    state, start, _ = saved
    # Nobody writes before everybody has read the same.
    read = [start, _digest(list(archive.records.values())), _digest(np.asarray(state.genes).tolist())]
    parallel.same(read, f"out {str(run)!r}: not all processes see the same")
    with _progress(config.generations, start, write) as bar:
        for generation in range(start, config.generations):
            genes, state = nsga2.ask(state, operators) if generation else (state.genes, state)
            archs = to_archs(space, genes)
            parallel.same(_digest(archs), "the search came apart: processes ask for other archs")
            new = [a for a in dict.fromkeys(archs) if a not in archive.records]
            if new:
                work.evaluate.prepare(params, genes)  # the archive's seconds hold no compilation
                archive.append(_records(work, new, generation))
            found = [archive.records[arch] for arch in archs]
            state = nsga2.tell(state, genes, *judge(space, found, config))
            if write:
                resume.save(run, resume.Saved(state, generation + 1, len(archive.records)))
            bar.set_postfix(_best(state, archive), refresh=False)
            bar.update()
    return archive


def candidates_per_second(records: Sequence[Record]) -> float:
    """Rate of evaluation over all records, compilation apart."""
    return len(records) / sum(record.seconds for record in records)
