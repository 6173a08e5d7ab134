"""The search loop: ask, look up or evaluate, tell, save."""

import hashlib
import time
from collections.abc import Sequence

import chex
import numpy as np
from etils import epath
from jax.sharding import Mesh
from tqdm import tqdm

from dysr_jax import parallel
from dysr_jax.model import Arch, Params, SearchSpace, Supernet, arch_names, to_archs
from dysr_jax.search import nsga2, resume
from dysr_jax.search.archive import Archive, Record
from dysr_jax.search.config import SearchConfig
from dysr_jax.search.evaluator import Evaluator
from dysr_jax.search.latency import LatencyTable, branch_ms, predict
from dysr_jax.search.objectives import judge
from dysr_jax.search.patches import Patches


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
    """Evolve archs and keep every evaluated one in `archive.jsonl` of the directory `run`.

    The candidates depend on the arguments only. After each generation the state is saved, and a search that
    was killed goes on with the next one. What it evaluated stands in the archive, which may be ahead of the
    state, so nothing is evaluated twice.

    Quality is measured on `patches` with the trained `params`, latency by this device's `table`; all draws
    come from `key`. All processes of a job search the same, and all but one with `write` False.

    Raises:
        InputError: see `SearchConfig.check_space`; or an archive that is damaged.
    """
    space, run = net.space, epath.Path(run)
    config.check_space(space)
    params = parallel.replicate(params, mesh)
    archive = Archive(run / "archive.jsonl", write=write)
    evaluate = Evaluator(net, patches, mesh, costs=branch_ms(table, space))
    operators = nsga2.Operators(space, config.mutation, config.crossover)
    fresh = nsga2.init(key, operators, config.population, len(config.objectives))
    saved = resume.load(run, fresh)
    if saved is None or not resume.belongs(saved, space, archive, config):
        saved = resume.Saved(fresh, 0, 0)
    state, start, _ = saved
    # Nobody writes before everybody has read the same.
    read = [start, _digest(list(archive.records.values())), _digest(np.asarray(state.genes).tolist())]
    parallel.same(read, f"out {str(run)!r}: not all processes see the same")
    options = {"desc": "search", "unit": "generation", "disable": not write}
    with tqdm(total=config.generations, initial=start, **options) as bar:
        for generation in range(start, config.generations):
            genes, state = nsga2.ask(state, operators) if generation else (state.genes, state)
            archs = to_archs(space, genes)
            parallel.same(_digest(archs), "the search came apart: processes ask for other archs")
            new = [arch for arch in dict.fromkeys(archs) if arch not in archive.records]
            if new:
                evaluate.prepare(params, genes)  # the archive's seconds hold no compilation
                begin = time.perf_counter()
                quality = evaluate(params, np.asarray(new, np.int32))
                seconds = time.perf_counter() - begin
                archive.append(_records(space, table, new, quality, generation, seconds))
            found = [archive.records[arch] for arch in archs]
            state, metrics = nsga2.tell(state, genes, *judge(space, found, config))
            if write:
                resume.save(run, resume.Saved(state, generation + 1, len(archive.records)))
            bar.set_postfix(_shown(metrics, config, len(archive.records)), refresh=False)
            bar.update()
    return archive


def _records(
    space: SearchSpace,
    table: LatencyTable,
    archs: list[Arch],
    quality: np.ndarray,
    generation: int,
    seconds: float,
) -> list[Record]:
    """Of archs that were evaluated together, in so many seconds."""
    genes, share = np.asarray(archs, np.int32), seconds / len(archs)
    figures = arch_names(space, genes), archs, quality.tolist(), predict(table, space, genes).tolist()
    return [Record(*each, generation, share) for each in zip(*figures, strict=True)]


def _shown(metrics: nsga2.Metrics, config: SearchConfig, evaluated: int) -> dict[str, str | int]:
    """What the progress bar shows: how much was evaluated, the front, its ends."""
    front, best = int(metrics.front), dict(zip(config.objectives, metrics.best.tolist(), strict=True))
    ends = {"best": f"{-best['psnr_y']:.2f} dB", "fastest": f"{best['latency_ms']:.3g} ms"}
    return {"evaluated": evaluated, "front": front, **(ends if front else {})}


def _digest(value: object) -> str:
    """Of what has to be the same in every process."""
    return hashlib.sha256(repr(value).encode()).hexdigest()


def candidates_per_second(records: Sequence[Record]) -> float:
    """Rate of evaluation over all records, compilation apart."""
    return len(records) / sum(record.seconds for record in records)
