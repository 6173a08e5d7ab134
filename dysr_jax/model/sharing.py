"""What two archs of one supernet have in common, for all pairs of a set at once.

Each slot adds a table over the pairs of its branches, so nothing is computed a pair of archs.

The smallest parameter pytree that serves a given set of archs.
"""

import math
from collections.abc import Iterable, Mapping, Sequence

import jax.numpy as jnp
import numpy as np

from dysr_jax.errors import InputError
from dysr_jax.model.kernels import Kernels, KernelSpec, cut_all
from dysr_jax.model.space import HEAD_INPUTS, Arch, SearchSpace, parameters, validate
from dysr_jax.model.supernet import Kept, Params, head_kernels, slot_name, stored_kernels

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


def _genes(space: SearchSpace, archs: Sequence[Arch]) -> np.ndarray:
    """`[n, slots]` int, checked."""
    if not archs:
        raise InputError("archs is empty: at least one arch is needed")
    return np.array([validate(space, arch) for arch in archs])


def _overlap(first: Mapping[str, KernelSpec], second: Mapping[str, KernelSpec]) -> int:
    """Weights that two branches of a slot both read: cuts are concentric, so the smaller of each side."""
    return sum(
        math.prod(map(min, first[name].shape, second[name].shape)) for name in first.keys() & second.keys()
    )


def _overlaps(space: SearchSpace, slot: int) -> np.ndarray:
    """`[branches, branches]`: `_overlap` of all pairs of a slot's branches."""
    reads = [branch.reads(space.width, space.scale) for branch in space.branches(slot)]
    return np.array([[_overlap(first, second) for second in reads] for first in reads])


def shared_weight_bytes(space: SearchSpace, archs: Sequence[Arch]) -> np.ndarray:
    """`[n, n]` int: bytes of the weights that both of two archs read; its diagonal, an arch's own.

    Raises:
        InputError: no arch was given, or one that the space does not have.
    """
    genes = _genes(space, archs)
    shared = np.full((len(archs), len(archs)), (HEAD_INPUTS + 1) * space.width)
    for slot, column in enumerate(genes.T):
        shared += _overlaps(space, slot)[np.ix_(column, column)]
    return BYTES_PER_WEIGHT * shared


def unshared_weight_bytes(shared: np.ndarray) -> np.ndarray:
    """`[n, n]` int: bytes of the weights that only one of two archs reads, whichever of the two.

    Args:
        shared: `[n, n]`, of `shared_weight_bytes`.
    """
    own = np.diagonal(shared)
    return own[:, None] + own[None, :] - 2 * shared


def changed_slots(space: SearchSpace, archs: Sequence[Arch]) -> np.ndarray:
    """`[n, n]` int: the number of slots in which two archs name different branches.

    Raises:
        InputError: no arch was given, or one that the space does not have.
    """
    columns = _genes(space, archs).T
    return np.sum([column[:, None] != column[None, :] for column in columns], axis=0)


def step_costs(space: SearchSpace, archs: Sequence[Arch]) -> np.ndarray:
    """`[n, n]`, each in [0, 1]: how much of the running program a step between two archs changes.

    The mean of two shares: of the slots, those whose branch differs; of the weights that either arch
    reads, those that only one of them does (the Jaccard distance of the two sets of weights).

    Raises:
        InputError: no arch was given, or one that the space does not have.
    """
    shared = shared_weight_bytes(space, archs)
    unshared = unshared_weight_bytes(shared)
    slots = changed_slots(space, archs) / len(space.slots)
    return (slots + unshared / (shared + unshared)) / 2
