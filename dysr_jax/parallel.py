"""Many devices. Meshes, placement, maps over devices and collectives are made here and nowhere else.

A per-device program is written for one device and mapped over a one-dimensional mesh, with the semantics
of `jax.pmap` (which since JAX 0.10 is itself a wrapper over `jit(shard_map)`).
"""

from collections.abc import Callable
from typing import Any, Final

import chex
import jax
import numpy as np
from jax import lax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from dysr_jax.errors import InputError

AXIS: Final = "devices"
"""Name of the mesh's one axis, for collectives."""


def device_mesh(count: int = 0) -> Mesh:
    """A mesh of the first `count` devices, 0 for all.

    Raises:
        InputError: the machine has fewer devices.
    """
    found = jax.devices()
    if not 0 <= count <= len(found):
        raise InputError(f"devices {count}: allowed are 0 (all) to {len(found)}")
    return Mesh(found[: count or len(found)], (AXIS,))


def per_device(
    fn: Callable[..., Any], mesh: Mesh, *, in_axes: tuple[int | None, ...], out_axes: int | None
) -> Callable[..., Any]:
    """`jax.pmap` of `fn` over the mesh: one call of `fn` a device, collectives over `AXIS`.

    Args:
        fn: the per-device function.
        mesh: of `device_mesh`.
        in_axes: for each argument 0 (its leading axis is the devices) or None (the same for all).
        out_axes: 0 (outputs are stacked on a leading device axis) or None (`fn` returns the same on all
            devices, as after `mean`).

    Returns:
        A function to be jitted by the caller, which also names donated arguments.
    """

    def spec(axis: int | None) -> PartitionSpec:
        return PartitionSpec() if axis is None else PartitionSpec(AXIS)

    def block(*args: Any) -> Any:
        inner = [
            arg if axis is None else jax.tree.map(lambda leaf: leaf[0], arg)
            for axis, arg in zip(in_axes, args, strict=True)
        ]
        out = fn(*inner)
        return out if out_axes is None else jax.tree.map(lambda leaf: leaf[None], out)

    return jax.shard_map(
        block,
        mesh=mesh,
        in_specs=tuple(spec(axis) for axis in in_axes),
        out_specs=spec(out_axes),
        check_vma=False,
    )


def mean(tree: Any) -> Any:
    """The mean over devices, inside a per-device function."""
    return lax.pmean(tree, AXIS)


def index() -> chex.Array:
    """Which device this is, int32, inside a per-device function."""
    return lax.axis_index(AXIS)


def replicate(tree: Any, mesh: Mesh) -> Any:
    """Put a pytree on every device of the mesh."""
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec()))


def on_one_device(tree: Any, mesh: Mesh) -> Any:
    """Put a pytree on the mesh's first device alone: static programs and frames run there."""
    return jax.device_put(tree, mesh.devices.flat[0])


def split(tree: Any, mesh: Mesh) -> Any:
    """Spread host arrays over the mesh by their leading axis, which is as long as there are devices."""
    sharding = NamedSharding(mesh, PartitionSpec(AXIS))
    return jax.tree.map(
        lambda leaf: jax.make_array_from_callback(leaf.shape, sharding, leaf.__getitem__), tree
    )


def fetch(array: chex.Array) -> np.ndarray:
    """The whole array on the host."""
    return np.asarray(array)
