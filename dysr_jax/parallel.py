"""Many devices and processes: the only file that makes meshes, places arrays, and lets processes talk.

A per-device program is mapped over a one-dimensional mesh with the semantics of `jax.pmap` (since JAX 0.10
itself a wrapper over `jit(shard_map)`). The mesh spans all processes of a job (`dysr_jax.distributed`), which
run the same program on the same host values; process 0 alone writes, prints and measures.
"""

import json
from collections.abc import Callable
from typing import Any, Final, TypeVar

import chex
import jax
import numpy as np
from jax import lax
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from dysr_jax.errors import InputError

AXIS: Final = "devices"  # name of the mesh's one axis, for collectives

T = TypeVar("T")


def device_mesh(count: int | None = None) -> Mesh:
    """A mesh of the first `count` devices of all processes; default: of all devices.

    An InputError if there are fewer devices, or a process would have none to work on.
    """
    found = jax.devices()
    count = len(found) if count is None else count
    if not 1 <= count <= len(found):
        raise InputError(f"devices {count}: must be in [1, {len(found)}]")
    if jax.process_count() > 1 and count != len(found):
        job = f"a job of {jax.process_count()} processes"
        raise InputError(f"devices {count}: must be all {len(found)} in {job}")
    return Mesh(found[:count], (AXIS,))


def per_device(
    fn: Callable[..., Any], mesh: Mesh, *, in_axes: tuple[int | None, ...], out_axes: int | None
) -> Callable[..., Any]:
    """`jax.pmap` of `fn` over the mesh: one call of `fn` per device, collectives over `AXIS`.

    Of `in_axes`, per argument, 0 says that its leading axis is the devices, None that it is the same on all;
    of `out_axes`, that outputs are stacked on a leading device axis, or the same on all, as after `mean`.
    The caller jits what is returned, and names donated arguments.
    """

    def spec(axis: int | None) -> PartitionSpec:
        return PartitionSpec() if axis is None else PartitionSpec(AXIS)

    def block(*args: Any) -> Any:
        given = zip(in_axes, args, strict=True)
        out = fn(*(x if axis is None else jax.tree.map(lambda leaf: leaf[0], x) for axis, x in given))
        return out if out_axes is None else jax.tree.map(lambda leaf: leaf[None], out)

    specs = tuple(spec(axis) for axis in in_axes)
    return jax.shard_map(block, mesh=mesh, in_specs=specs, out_specs=spec(out_axes), check_vma=False)


def mean(tree: Any) -> Any:
    """The mean over devices; call it inside a per-device function."""
    return lax.pmean(tree, AXIS)


def index() -> chex.Array:
    """Index of this device, int32; call it inside a per-device function."""
    return lax.axis_index(AXIS)


def replicate(tree: Any, mesh: Mesh) -> Any:
    """Put a pytree, whose values are the same in every process, on every device of the mesh."""
    everywhere = NamedSharding(mesh, PartitionSpec())
    if jax.process_count() == 1:
        return jax.device_put(tree, everywhere)

    def put(leaf: Any) -> jax.Array:
        value = np.asarray(leaf)
        return jax.make_array_from_process_local_data(everywhere, value, value.shape)

    return jax.tree.map(put, tree)


def on_one_device(tree: Any, mesh: Mesh) -> Any:
    """Put a replicated or local pytree on this process's first device: static programs run there."""

    def local(leaf: Any) -> Any:
        spans = isinstance(leaf, jax.Array) and not leaf.is_fully_addressable
        return leaf.addressable_data(0) if spans else leaf

    return jax.device_put(jax.tree.map(local, tree), mesh.local_mesh.devices.flat[0])


def split(tree: Any, mesh: Mesh) -> Any:
    """Spread host arrays, the same in every process, over the mesh: one entry per device."""
    sharding = NamedSharding(mesh, PartitionSpec(AXIS))
    make = jax.make_array_from_callback
    return jax.tree.map(lambda leaf: make(leaf.shape, sharding, leaf.__getitem__), tree)


def local_places(mesh: Mesh) -> list[int]:
    """Mesh positions of this process's devices."""
    here = jax.process_index()
    return [place for place, device in enumerate(mesh.devices.flat) if device.process_index == here]


def from_local(tree: Any, mesh: Mesh) -> Any:
    """Arrays over the mesh from each process's part: one entry per local device, as in `local_places`."""
    sharding = NamedSharding(mesh, PartitionSpec(AXIS))
    return jax.tree.map(lambda leaf: jax.make_array_from_process_local_data(sharding, leaf), tree)


def fetch(array: Any) -> np.ndarray:
    """The whole array on the host, in every process; all call it, in the order of other collectives."""
    here = not isinstance(array, jax.Array) or array.is_fully_addressable
    if here or array.is_fully_replicated:
        return np.asarray(array)
    return multihost_utils.process_allgather(array, tiled=True)


def is_main() -> bool:
    """Whether this is process 0: the one that writes, prints and measures."""
    return jax.process_index() == 0


def gather(value: Any) -> list[Any]:
    """The JSON values of all processes, by process, in every process; a barrier too."""
    if jax.process_count() == 1:
        return [value]
    content = np.frombuffer(json.dumps(value).encode(), np.uint8)
    lengths = multihost_utils.process_allgather(np.int32(len(content))).tolist()
    room = 1 << max(lengths).bit_length()  # few shapes, so few compilations
    padded = np.pad(content, (0, room - len(content)))
    rows = multihost_utils.process_allgather(padded)
    return [json.loads(row[:n].tobytes()) for row, n in zip(rows, lengths, strict=True)]


def _tried(make: Callable[[], T]) -> tuple[T | None, str | None]:
    try:
        return make(), None
    except InputError as error:
        return None, str(error)


def from_main(make: Callable[[], T]) -> T:
    """The JSON value (without tuples) that `make` returns on process 0, the only one that calls it.

    Its InputError is raised in every process.
    """
    if jax.process_count() == 1:
        return make()
    value, error = gather(_tried(make) if is_main() else None)[0]
    if error:
        raise InputError(error)
    return value


def everywhere(make: Callable[[], T]) -> T:
    """What `make` returns in this process; bad input that one process meets is raised in all of them.

    The InputError is that of `make` here, or of the first process that raised one.
    """
    if jax.process_count() == 1:
        return make()
    result, error = _tried(make)
    errors = gather(error)
    if any(errors):
        process, first = next((i, text) for i, text in enumerate(errors) if text)
        raise InputError(error or f"process {process}: {first}")
    return result  # type: ignore[return-value]


def same(make: Callable[[], Any], message: str) -> None:
    """Refuse a JSON value, made by `make`, that differs between processes, with `message` and the process.

    A barrier too. One process has nobody to differ from: it makes nothing.
    """
    if jax.process_count() == 1:
        return
    values = gather(make())
    for process, other in enumerate(values):
        if other != values[0]:
            raise InputError(f"{message} (process {process} differs from process 0)")
