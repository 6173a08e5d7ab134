"""The search loop: ask, look up or evaluate, tell, save; and how a restart goes on at the next generation.

The archive alone determines the search. A state file that is missing, damaged or of another search is
ignored: the generations are repeated with the records that they left.
"""

import dataclasses
import functools
import hashlib
import time
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from chex import PRNGKey
from etils import epath
from flax.serialization import msgpack_restore, msgpack_serialize
from jax.sharding import Mesh
from tqdm import tqdm

from dysr_jax import parallel
from dysr_jax.atomic import replacing
from dysr_jax.model import Params, SearchSpace, Supernet, arch_names, to_archs
from dysr_jax.search import nsga2
from dysr_jax.search.archive import Archive, Record
from dysr_jax.search.config import SearchConfig, judge
from dysr_jax.search.evaluator import Evaluator
from dysr_jax.search.latency import LatencyTable, branch_ms, predict
from dysr_jax.search.nsga2 import State
from dysr_jax.search.population import Patches
from dysr_jax.search.seeding import first_archs

FILE = "search_state.msgpack"


class Saved(NamedTuple):
    """A search between two generations."""

    state: State
    generations: int  # how many the state was told
    evaluated: int  # records in the archive by then


def save(run: epath.PathLike, saved: Saved) -> None:
    """Write a search's state into its directory, whole or not at all."""
    body = msgpack_serialize({**saved._asdict(), "state": _arrays(saved.state)})
    digest = hashlib.sha256(body).digest()
    with replacing(epath.Path(run) / FILE) as partial:
        partial.write_bytes(msgpack_serialize({"sha256": digest, "body": body}))


def load(run: epath.PathLike, fresh: State) -> Saved | None:
    """What `save` wrote, or None where that is missing, damaged or of another shape than a `fresh` state."""
    path = epath.Path(run) / FILE
    if not path.exists():
        return None
    written = path.read_bytes()
    try:
        outer = msgpack_restore(written)
        whole = hashlib.sha256(outer["body"]).digest() == outer["sha256"]
    except Exception:  # whatever msgpack makes of damaged bytes
        return None
    content = msgpack_restore(outer["body"]) if whole else None
    if content is None or _shapes(content["state"]) != _shapes(_arrays(fresh)):
        return None
    fields = {name: jnp.asarray(values) for name, values in content["state"].items()}
    key = jax.random.wrap_key_data(fields.pop("key"), impl=jax.random.key_impl(fresh.key))
    return Saved(State(key=key, **fields), content["generations"], content["evaluated"])


def belongs(saved: Saved, space: SearchSpace, archive: Archive, config: SearchConfig) -> bool:
    """Whether the archive holds what a saved search had evaluated, judged as this search judges it."""
    state, archs = saved.state, [tuple(row) for row in np.asarray(saved.state.genes).tolist()]
    if saved.evaluated > len(archive.records) or saved.generations > config.generations:
        return False
    if not all(arch in archive.records for arch in archs):
        return False
    values, excess = judge(space, [archive.records[arch] for arch in archs], config)
    return np.array_equal(values, state.objectives) and np.array_equal(excess, state.violation)


def _arrays(state: State) -> dict[str, np.ndarray]:
    return jax.device_get(vars(dataclasses.replace(state, key=jax.random.key_data(state.key))))


def _shapes(fields: dict[str, np.ndarray]) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
    return {name: (values.shape, values.dtype) for name, values in fields.items()}


def search(
    key: PRNGKey,
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

    The candidates depend on the arguments only: quality is measured on `patches` with the trained `params`,
    latency by this device's `table`, all draws come from `key`. The state is saved after each generation, and
    a killed search goes on with the next one; nothing is evaluated twice. All processes of a job search the
    same, all but one with `write` False. Raises `InputError`: the space is too small, the archive damaged.
    """
    space, run = net.space, epath.Path(run)
    config.check_space(space)
    params = parallel.replicate(params, mesh)
    archive = Archive(run / "archive.jsonl", write=write)
    evaluate = Evaluator(net, patches, mesh, costs=functools.partial(branch_ms, table, space))
    operators = nsga2.Operators(space, config.mutation, config.crossover)
    first = first_archs(space, archive.records.values(), config)
    fresh = nsga2.init(key, operators, config.population, len(config.objectives), first)
    saved = load(run, fresh)
    if saved is None or not belongs(saved, space, archive, config):
        saved = Saved(fresh, 0, 0)
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
                rows, begin = np.asarray(new, np.int32), time.perf_counter()
                quality = evaluate(params, rows).tolist()
                seconds = (time.perf_counter() - begin) / len(new)
                names, latency = arch_names(space, rows), predict(table, space, rows).tolist()
                each = zip(names, new, quality, latency, strict=True)
                archive.append([Record(*figures, generation, seconds) for figures in each])
            found = [archive.records[arch] for arch in archs]
            state, metrics = nsga2.tell(state, genes, *judge(space, found, config))
            if write:
                save(run, Saved(state, generation + 1, len(archive.records)))
            bar.set_postfix(_shown(metrics, config, len(archive.records)), refresh=False)
            bar.update()
    return archive


def _shown(metrics: nsga2.Metrics, config: SearchConfig, evaluated: int) -> dict[str, str | int]:
    """What the progress bar shows: how much was evaluated, the front, its ends."""
    best = dict(zip(config.objectives, metrics.best.tolist(), strict=True))
    ends = {"best": f"{-best['psnr_y']:.2f} dB", "fastest": f"{best['latency_ms']:.3g} ms"}
    return {"evaluated": evaluated, "front": int(metrics.front), **(ends if metrics.front else {})}


def _digest(value: object) -> str:
    return hashlib.sha256(repr(value).encode()).hexdigest()


def candidates_per_second(records: Sequence[Record]) -> float:
    """Rate of evaluation over all records, compilation apart; 0 where all were reused."""
    seconds = [record.seconds for record in records if record.seconds]
    return len(seconds) / sum(seconds) if seconds else 0.0
