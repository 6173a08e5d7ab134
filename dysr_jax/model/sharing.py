"""What archs of one supernet share: the weights of a set together (compaction), and of every pair of a set.

For pairs, each slot adds a table over the pairs of its branches, so nothing is computed per pair of archs.
Every function raises `InputError` for no arch, or for one that the space does not have.
"""

import math
from collections.abc import Iterable, Mapping, Sequence

import jax.numpy as jnp
import numpy as np

from dysr_jax.errors import InputError
from dysr_jax.model.kernels import Kernels, KernelSpec, fit_inside, stored_specs, weight_count
from dysr_jax.model.space import HEAD_INPUTS, Arch, SearchSpace, arch_parameters, arch_width, validate_arch
from dysr_jax.model.supernet import (
    Kept,
    Params,
    cut_params,
    head_kernels,
    slot_name,
    stored_kernels,
    widest_trunk,
)

BYTES_PER_WEIGHT = 4  # weights are stored in float32


def _genes(space: SearchSpace, archs: Iterable[Arch]) -> np.ndarray:
    genes = [validate_arch(space, arch) for arch in archs]
    if not genes:
        raise InputError("archs is empty: at least one arch is needed")
    return np.array(genes)


def kept_branches(space: SearchSpace, archs: Iterable[Arch]) -> Kept:
    """The branches that occur in `archs`, sorted, for each slot, and the widest trunk that each is on."""
    archs = [tuple(row) for row in _genes(space, archs).tolist()]
    widths = [arch_width(space, arch) for arch in archs]
    slots: list[dict[int, int]] = [{} for _ in space.slots]
    for arch, width in zip(archs, widths, strict=True):
        for kept, index in zip(slots, arch, strict=False):
            kept[index] = max(width, kept.get(index, 0))
    return tuple(tuple(sorted(kept.items())) for kept in slots)


def held_branches(space: SearchSpace, params: Params) -> Kept:
    """The branches whose weights are in `params`, for each slot, and the widest trunk that each can take.

    Compacted weights hold more than the branches they were kept for: a narrow pair's are in those of a wide
    one, and identity reads none. Raises `InputError`: they are not of this space, or of no branch of a slot.
    """
    shapes = {name: jnp.shape(kernel) for name, kernel in params.get("head", {}).items()}
    heads = {w: {name: spec.shape for name, spec in head_kernels(w).items()} for w in space.widths}
    widest = [width for width, head in heads.items() if head == shapes]
    if not widest:
        raise InputError("params: the head's weights are not those of this space")
    names = [slot_name(space, slot) for slot in range(len(space.slots))]
    foreign = ", ".join(sorted(params.keys() - {"head", *names}))
    if foreign:
        raise InputError(f"params: {foreign}: this space has no such slot")
    return tuple(_held(space, slot, params.get(name, {}), *widest) for slot, name in enumerate(names))


def _held(space: SearchSpace, slot: int, stored: Kernels, widest: int) -> tuple[tuple[int, int], ...]:
    """The branches of a slot that can be run with what it stores, and up to which width."""
    shapes = stored_specs(stored)
    if not fit_inside(shapes, stored_kernels(space, slot)):
        raise InputError(f"params: the weights of slot {slot} are not those of this space")
    held: dict[int, int] = {}
    for width in space.widths[: space.widths.index(widest) + 1]:
        held |= {i: width for i, specs in enumerate(space.reads(slot, width)) if fit_inside(specs, shapes)}
    if not held:
        raise InputError(f"params: slot {slot} has the weights of none of its branches")
    return tuple(sorted(held.items()))


def compact_params(params: Params, space: SearchSpace, archs: Sequence[Arch]) -> Params:
    """The union of what `archs` read, cut out of `params`: of a `Supernet` with `kept=kept_branches(...)`."""
    return cut_params(params, space, kept_branches(space, archs))


def union_weight_bytes(space: SearchSpace, archs: Sequence[Arch]) -> int:
    """Bytes of `compact_params(params, space, archs)`."""
    kept = kept_branches(space, archs)
    slots = (weight_count(stored_kernels(space, slot, kept)) for slot in range(len(space.slots)))
    return BYTES_PER_WEIGHT * (sum(slots) + weight_count(head_kernels(widest_trunk(space, kept))))


def ensemble_weight_bytes(space: SearchSpace, archs: Sequence[Arch]) -> int:
    """Bytes of a separate model for each arch, nothing shared."""
    return BYTES_PER_WEIGHT * sum(arch_parameters(space, arch) for arch in archs)


def shared_weight_bytes(space: SearchSpace, archs: Sequence[Arch]) -> np.ndarray:
    """`[n, n]` int: bytes of the weights that both of two archs read; its diagonal, an arch's own."""

    def overlap(a: Mapping[str, KernelSpec], b: Mapping[str, KernelSpec]) -> int:
        """Cuts are concentric, so the smaller of each side."""
        return sum(math.prod(map(min, a[name].shape, b[name].shape)) for name in a.keys() & b.keys())

    genes = _genes(space, archs)
    widths = [arch_width(space, tuple(row)) for row in genes.tolist()]
    shared = (HEAD_INPUTS + 1) * np.minimum.outer(widths, widths)
    for slot, column in enumerate(genes.T[: len(space.slots)]):
        reads = {width: space.reads(slot, width) for width in set(widths)}
        chosen = list(zip(widths, column.tolist(), strict=True))
        distinct = {choice: place for place, choice in enumerate(dict.fromkeys(chosen))}
        specs = [reads[width][index] for width, index in distinct]
        overlaps = np.array([[overlap(first, second) for second in specs] for first in specs])
        places = [distinct[choice] for choice in chosen]
        shared += overlaps[np.ix_(places, places)]
    return BYTES_PER_WEIGHT * shared


def unshared_weight_bytes(shared: np.ndarray) -> np.ndarray:
    """`[n, n]` int, from `shared_weight_bytes`: bytes of the weights that exactly one of two archs reads."""
    own = np.diagonal(shared)
    return own[:, None] + own[None, :] - 2 * shared


def changed_slots(space: SearchSpace, archs: Sequence[Arch]) -> np.ndarray:
    """`[n, n]` int: the number of slots in which two archs differ; all of them, if their widths do."""
    genes, slots = _genes(space, archs), len(space.slots)
    changed = np.sum([column[:, None] != column[None, :] for column in genes.T[:slots]], axis=0)
    if len(space.widths) > 1:
        changed[genes[:, None, slots] != genes[None, :, slots]] = slots
    return changed


def step_costs(space: SearchSpace, archs: Sequence[Arch]) -> np.ndarray:
    """`[n, n]`, each in [0, 1]: how much of the running program a step between two archs changes.

    The mean of two shares: of the slots, those whose branch differs; of the weights that either arch reads,
    those that only one of them does (the Jaccard distance of the two sets of weights).
    """
    shared, slots = shared_weight_bytes(space, archs), changed_slots(space, archs) / len(space.slots)
    unshared = unshared_weight_bytes(shared)
    return (slots + unshared / (shared + unshared)) / 2
