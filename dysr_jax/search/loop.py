"""The search loop: ask, look up or evaluate, tell, save; and how a restart goes on at the next generation.

The archive alone determines the search. A state file that is missing, damaged or of another search is
ignored: the generations are repeated with the records that they left.
"""

import dataclasses
import functools
import hashlib
import sys
import time
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
from dysr_jax.search import nsga2, surrogate
from dysr_jax.search.archive import Archive, Record
from dysr_jax.search.clock import CLOCK_FILE, Clock, Lap, Laps
from dysr_jax.search.config import SearchConfig, judge
from dysr_jax.search.evaluator import Evaluator
from dysr_jax.search.latency import LatencyTable, branch_ms, predict, table_terms
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
    a killed search goes on with the next one; nothing is evaluated twice. The time of each generation is kept
    in `search_clock.jsonl` (`Laps`). All processes of a job search the same, all but one with `write` False.
    Raises `InputError`: the space is too small, the archive or the clock's file damaged.
    """
    space, run, clock = net.space, epath.Path(run), Clock()
    config.check_space(space)
    params = parallel.replicate(params, mesh)
    archive = Archive(run / "archive.jsonl", write=write)
    laps = Laps(run / CLOCK_FILE, write=write)
    evaluate = Evaluator(net, patches, mesh, costs=functools.partial(branch_ms, table, space), clock=clock)
    operators = nsga2.Operators(space, config.mutation, config.crossover)
    first = first_archs(space, archive.records.values(), config)
    with clock.part("compile"):
        fresh = nsga2.init(key, operators, config.population, len(config.objectives), first)
    saved = load(run, fresh)
    if saved is None or not belongs(saved, space, archive, config):
        saved = Saved(fresh, 0, 0)
    state, start, _ = saved
    # Nobody writes before everybody has read the same.
    parallel.same(
        lambda: [start, _digest(list(archive.records.values())), _digest(np.asarray(state.genes).tolist())],
        f"out {str(run)!r}: not all processes see the same",
    )
    if start < config.generations:
        with clock.part("compile"):  # what first calls do; later ones are NSGA-II's own time
            told = nsga2.tell(fresh, fresh.genes, fresh.objectives, fresh.violation)
            jax.block_until_ready((nsga2.ask(fresh, operators), told))
    plain = config.surrogate == "none" and config.method == "nsga2"
    options = {"desc": "search", "unit": "generation", "disable": not write}
    with tqdm(total=config.generations, initial=start, **options) as bar:
        for generation in range(start, config.generations):
            asked = surrogate.Asked(state.genes, state, {})
            with clock.part("nsga2" if plain else "surrogate"):
                if generation:  # what a later one left in the archive is not known yet
                    known = [record for record in archive.records.values() if record.generation < generation]
                    own = jax.random.fold_in(key, generation)
                    asked = surrogate.ask(own, state, operators, config, table_terms(table, space), known)
                genes, state, predicted, note = asked
                archs = to_archs(space, genes)
            if note and write and generation == max(start, 1):
                bar.write(note, file=sys.stderr)
            parallel.same(
                functools.partial(_digest, archs), "the search came apart: processes ask for other archs"
            )
            new = [arch for arch in dict.fromkeys(archs) if arch not in archive.records]
            if new:
                evaluate.prepare(params, genes)  # the archive's seconds hold no compilation
                rows, begin = np.asarray(new, np.int32), time.perf_counter()
                quality = evaluate(params, rows).tolist()
                seconds = (time.perf_counter() - begin) / len(new)
                names, latency = arch_names(space, rows), predict(table, space, rows).tolist()
                each = zip(names, new, quality, latency, strict=True)
                with clock.part("write"):
                    archive.append([Record(*of, generation, seconds, predicted.get(of[1])) for of in each])
            found = [archive.records[arch] for arch in archs]
            judged = judge(space, found, config)
            with clock.part("nsga2"):
                state, metrics = nsga2.tell(state, genes, *judged)
                metrics = jax.device_get(metrics)
            if write:
                with clock.part("write"):
                    save(run, Saved(state, generation + 1, len(archive.records)))
                    laps.append(Lap(generation, len(new), clock.lap()))
            tau = surrogate.tau([r for r in archive.records.values() if r.generation == generation])
            bar.set_postfix(_shown(metrics, config, len(archive.records), tau), refresh=False)
            bar.update()
    return archive


def _shown(
    metrics: nsga2.Metrics, config: SearchConfig, evaluated: int, tau: float | None
) -> dict[str, str | int]:
    """What the progress bar shows: how much was evaluated, the front, its ends; a surrogate's tau."""
    best = dict(zip(config.objectives, metrics.best.tolist(), strict=True))
    ends = {"best": f"{-best['psnr_y']:.2f} dB", "fastest": f"{best['latency_ms']:.3g} ms"}
    ranks = {} if tau is None else {"tau": f"{tau:.2f}"}
    return {"evaluated": evaluated, "front": int(metrics.front), **(ends if metrics.front else {}), **ranks}


def _digest(value: object) -> str:
    return hashlib.sha256(repr(value).encode()).hexdigest()
