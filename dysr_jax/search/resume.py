"""The state of a search on disk, so that a restart goes on at the next generation.

The archive alone determines the search: a state file that is missing, damaged or of another search is passed
over, and the generations are gone through again with the records that they left.
"""

import dataclasses
import hashlib
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from etils import epath
from flax.serialization import msgpack_restore, msgpack_serialize

from dysr_jax.atomic import replacing
from dysr_jax.model import SearchSpace
from dysr_jax.search.archive import Archive
from dysr_jax.search.config import SearchConfig
from dysr_jax.search.nsga2 import State
from dysr_jax.search.objectives import judge

FILE = "search_state.msgpack"


class Saved(NamedTuple):
    """A search between two generations."""

    state: State
    generations: int
    """How many the state was told."""
    evaluated: int
    """Records in the archive by then."""


def save(run: epath.PathLike, saved: Saved) -> None:
    """Write a search's state into its directory, whole or not at all."""
    body = msgpack_serialize({**saved._asdict(), "state": _arrays(saved.state)})
    digest = hashlib.sha256(body).digest()
    with replacing(epath.Path(run) / FILE) as partial:
        partial.write_bytes(msgpack_serialize({"sha256": digest, "body": body}))


def load(run: epath.PathLike, fresh: State) -> Saved | None:
    """What `save` wrote, or None where that is missing, damaged or of another shape than a `fresh` state."""
    path = epath.Path(run) / FILE
    content = _verified(path.read_bytes()) if path.exists() else None
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
    """The state's fields on the host, the key as its data."""
    raw = dataclasses.replace(state, key=jax.random.key_data(state.key))
    return jax.device_get({f.name: getattr(raw, f.name) for f in dataclasses.fields(raw)})


def _shapes(fields: dict[str, np.ndarray]) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
    return {name: (values.shape, values.dtype) for name, values in fields.items()}


def _verified(content: bytes) -> dict[str, Any] | None:
    """What was written, or None if these are not the bytes that were."""
    try:
        outer = msgpack_restore(content)
        whole = hashlib.sha256(outer["body"]).digest() == outer["sha256"]
    except Exception:  # whatever msgpack makes of damaged bytes
        return None
    return msgpack_restore(outer["body"]) if whole else None
