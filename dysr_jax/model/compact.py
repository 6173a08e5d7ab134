"""The smallest parameter pytree that serves a given set of archs."""

import math
from collections.abc import Iterable, Sequence

from dysr_jax.errors import InputError
from dysr_jax.model.kernels import cut_all
from dysr_jax.model.supernet import Kept, Params, slot_name, stored_kernels
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
