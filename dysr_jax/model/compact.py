"""The smallest parameter pytree that serves a given set of archs."""

import math
from collections.abc import Iterable, Sequence

import jax.numpy as jnp

from dysr_jax.errors import InputError
from dysr_jax.model.kernels import Kernels, KernelSpec, cut_all
from dysr_jax.model.supernet import Kept, Params, head_kernels, slot_name, stored_kernels
from dysr_jax.space import HEAD_INPUTS, Arch, SearchSpace, parameters, validate

BYTES_PER_WEIGHT = 4
"""Weights are stored in float32."""


def kept_branches(space: SearchSpace, archs: Iterable[Arch]) -> Kept:
    """The branches that occur in `archs`, sorted, for each slot.

    Raises:
        InputError: no arch was given, or one that the space does not have.
    """
    checked = [validate(space, arch) for arch in archs]
    if not checked:
        raise InputError("archs is empty: at least one arch is needed")
    return tuple(tuple(sorted({*column})) for column in zip(*checked, strict=True))


def held_branches(space: SearchSpace, params: Params) -> Kept:
    """The branches whose weights are in `params`, a tuple of indices for each slot.

    Compacted weights hold more than the branches they were kept for: a narrow pair's are in those of a wide
    one, and identity reads none.

    Raises:
        InputError: they are not of this space, or of no branch of a slot.
    """
    shapes = {name: jnp.shape(kernel) for name, kernel in params.get("head", {}).items()}
    if shapes != {name: spec.shape for name, spec in head_kernels(space).items()}:
        raise InputError("params: the head's weights are not those of this space")
    names = [slot_name(space, slot) for slot in range(len(space.slots))]
    foreign = ", ".join(sorted(params.keys() - {"head", *names}))
    if foreign:
        raise InputError(f"params: {foreign}: this space has no such slot")
    return tuple(_held(space, slot, params.get(name, {})) for slot, name in enumerate(names))


def _held(space: SearchSpace, slot: int, stored: Kernels) -> tuple[int, ...]:
    """Indices of a slot's branches that can be run with what it stores."""
    shapes = {name: KernelSpec(jnp.shape(kernel)) for name, kernel in stored.items()}
    if not _inside(shapes, stored_kernels(space, slot)):
        raise InputError(f"params: the weights of slot {slot} are not those of this space")
    reads = [branch.reads(space.width, space.scale) for branch in space.branches(slot)]
    held = tuple(index for index, specs in enumerate(reads) if _inside(specs, shapes))
    if not held:
        raise InputError(f"params: slot {slot} has the weights of none of its branches")
    return held


def _inside(parts: dict[str, KernelSpec], wholes: dict[str, KernelSpec]) -> bool:
    """Whether each of `parts` can be cut out of the whole of its name."""
    return all(
        name in wholes
        and len(part.shape) == len(wholes[name].shape)
        and all(a <= b for a, b in zip(part.shape, wholes[name].shape, strict=True))
        for name, part in parts.items()
    )


def compact(params: Params, space: SearchSpace, archs: Sequence[Arch]) -> Params:
    """The union of what `archs` read, cut out of the whole supernet's `params`.

    Apply it with `Supernet(space, kept=kept_branches(space, archs))`.
    """
    kept = kept_branches(space, archs)
    small = {"head": dict(params["head"])}
    for slot in range(len(space.slots)):
        name, specs = slot_name(space, slot), stored_kernels(space, slot, kept)
        if specs:
            small[name] = cut_all(params[name], specs)
    return small


def union_weight_bytes(space: SearchSpace, archs: Sequence[Arch]) -> int:
    """Bytes of `compact(params, space, archs)`."""
    kept = kept_branches(space, archs)
    stored = (stored_kernels(space, slot, kept) for slot in range(len(space.slots)))
    weights = sum(math.prod(spec.shape) for specs in stored for spec in specs.values())
    return BYTES_PER_WEIGHT * (weights + (HEAD_INPUTS + 1) * space.width)


def ensemble_weight_bytes(space: SearchSpace, archs: Sequence[Arch]) -> int:
    """Bytes of a separate model for each arch, nothing shared."""
    return BYTES_PER_WEIGHT * sum(parameters(space, arch) for arch in archs)
