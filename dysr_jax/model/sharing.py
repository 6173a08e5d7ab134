"""What two archs of one supernet have in common, for all pairs of a set at once.

Each slot adds a table over the pairs of its branches, so nothing is computed a pair of archs.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from dysr_jax.errors import InputError
from dysr_jax.model.branches import KernelSpec
from dysr_jax.model.compact import BYTES_PER_WEIGHT
from dysr_jax.space import HEAD_INPUTS, Arch, SearchSpace, validate


def _genes(space: SearchSpace, archs: Sequence[Arch]) -> np.ndarray:
    """`[n, slots]` int, checked."""
    if not archs:
        raise InputError("archs is empty: at least one arch is needed")
    return np.array([validate(space, arch) for arch in archs])


def _overlap(first: Mapping[str, KernelSpec], second: Mapping[str, KernelSpec]) -> int:
    """Weights that two branches of a slot both read: cuts are concentric, so the smaller of each side."""
    return sum(
        math.prod(map(min, first[name].shape, second[name].shape))
        for name in first.keys() & second.keys()
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
