"""Shared kernels: what a slot stores so that each of its branches can cut out what it reads."""

import math
import operator
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from chex import Array

from dysr_jax.errors import InputError

Kernels = dict[str, Array]


class KernelSpec(NamedTuple):
    """The part of a shared kernel that a branch reads."""

    shape: tuple[int, ...]  # `[k, k, I, O]` dense, `[k, k, C]` depthwise, `[I, O]` pointwise, `[O]` bias
    gain: float = 1.0  # variance gain of the initialiser, over fan-in (He et al. 2015 use 2); 0 means zeros
    per_pixel: bool = True  # applied at every LR pixel (counts as mult-adds), or once per image


def weight_count(specs: Mapping[str, KernelSpec]) -> int:
    """Number of weights in kernels of these specs."""
    return sum(math.prod(spec.shape) for spec in specs.values())


def pixel_mult_adds(specs: Mapping[str, KernelSpec]) -> int:
    """Multiply-adds per LR pixel; biases and kernels that are applied once per image count nothing."""
    return sum(math.prod(s.shape) for s in specs.values() if s.per_pixel and len(s.shape) > 1)


def union_specs(reads: Iterable[Mapping[str, KernelSpec]]) -> dict[str, KernelSpec]:
    """The smallest kernels that hold what each branch reads: by name, the largest of every dimension.

    At one width the shapes that this package's branches read of one kernel are nested, so nothing is stored
    that no branch reads. Raises `InputError`: two specs cannot share a kernel (see `check_kernels`).
    """
    stored: dict[str, KernelSpec] = {}
    for specs in reads:
        for name, spec in specs.items():
            first = stored.get(name, spec)
            if problem := _difference(first, spec):
                raise InputError(f"kernel {name!r}: {problem}")
            stored[name] = first._replace(shape=tuple(map(max, first.shape, spec.shape)))
    return stored


def _difference(first: KernelSpec, second: KernelSpec) -> str:
    """Why two specs cannot share a kernel; empty where they can."""
    if len(first.shape) != len(second.shape):
        return f"shapes {first.shape} and {second.shape} differ in rank"
    for field in ("gain", "per_pixel"):
        values = getattr(first, field), getattr(second, field)
        if values[0] != values[1]:
            return f"{field} is {values[0]} and {values[1]}"
    return ""


def fit_inside(parts: Mapping[str, KernelSpec], wholes: Mapping[str, KernelSpec]) -> bool:
    """Whether each of `parts` can be cut out of the whole of its name."""
    pairs = [(part.shape, wholes[name].shape if name in wholes else ()) for name, part in parts.items()]
    return all(len(part) == len(whole) and all(map(operator.le, part, whole)) for part, whole in pairs)


def stored_specs(stored: Kernels) -> dict[str, KernelSpec]:
    """The shapes of stored kernels, arrays or their shapes, for `fit_inside`."""
    return {name: KernelSpec(jnp.shape(kernel)) for name, kernel in stored.items()}


def _defect(spec: KernelSpec) -> str:
    """Why no kernel can have this spec; empty where one can."""
    sides = [isinstance(side, int | np.integer) and side >= 1 for side in spec.shape]
    if not 1 <= len(sides) <= 4 or not all(sides):
        return f"shape {spec.shape!r} must be 1 to 4 integers of at least 1"
    if not 0.0 <= spec.gain < math.inf:
        return f"gain {spec.gain!r} must be finite, and at least 0"
    return ""


def check_kernels(reads: Mapping[str, Mapping[str, KernelSpec]], where: str) -> None:
    """Refuse kernels that cannot be, and branches that name the same kernel and mean another one.

    One array is stored for both, so it has one rank, gain and use; across slots too, because a population
    stacks them. `reads` is by branch. Raises `InputError`: names `where`, the branches, the kernel.
    """
    first: dict[str, tuple[str, KernelSpec]] = {}
    for branch, specs in reads.items():
        for kernel, spec in specs.items():
            if problem := _defect(spec):
                raise InputError(f"{where}: branch {branch!r}, kernel {kernel!r}: {problem}")
            other, shared = first.setdefault(kernel, (branch, spec))
            if problem := _difference(shared, spec):
                both = f"branches {other!r} and {branch!r} share kernel {kernel!r}"
                raise InputError(f"{where}: {both}, but {problem}; give one of them another name")


def _starts(full: tuple[int, ...], part: tuple[int, ...]) -> list[int]:
    """Where in a kernel of shape `full` a part begins: centred in two spatial axes (rank 3, 4), else at 0."""
    spatial = 2 if len(full) > 2 else 0
    lengths = enumerate(zip(full, part, strict=True))
    return [(whole - cut) // 2 if axis < spatial else 0 for axis, (whole, cut) in lengths]


def cut_kernel(kernel: Array, shape: tuple[int, ...]) -> Array:
    """The part of a shared kernel that a branch reads: the spatial centre, the leading channels."""
    starts = _starts(kernel.shape, shape)
    return kernel[tuple(slice(s, s + n) for s, n in zip(starts, shape, strict=True))]


def cut_kernels(stored: Kernels, specs: Mapping[str, KernelSpec]) -> Kernels:
    """`cut_kernel` for each kernel that `specs` names."""
    return {name: cut_kernel(stored[name], spec.shape) for name, spec in specs.items()}


def stack_kernels(slots: Sequence[Kernels], specs: Mapping[str, KernelSpec]) -> Kernels:
    """The kernels of several slots, `[slots, *shape]` each; zero where a slot stores none or less."""

    def pasted(kernel: Array | None, shape: tuple[int, ...]) -> Array:
        if kernel is None:
            return jnp.zeros(shape)
        lengths = zip(_starts(shape, kernel.shape), kernel.shape, shape, strict=True)
        return jnp.pad(kernel, [(start, full - start - part) for start, part, full in lengths])

    return {n: jnp.stack([pasted(k.get(n), spec.shape) for k in slots]) for n, spec in specs.items()}


def cast_kernels(kernels: Kernels, dtype: Any) -> Kernels:
    """Every kernel in the compute dtype."""
    return {name: kernel.astype(dtype) for name, kernel in kernels.items()}
