"""The supernet as one Flax Linen module over one parameter pytree. Layout NHWC, pixels in [0, 1].

`apply({"params": p}, lr, arch)` is the static program when `arch` is a tuple of ints (one executable per
arch), and the search program when it is a traced int32 array `[genes]` (`lax.switch` over the widths and in
every slot, one executable for the whole space). They share the branches' code. From the head on, a branch
takes its width from the trunk that it is given.
"""

import functools
import itertools
import math
from typing import Any, Final

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
from chex import Array, PRNGKey
from jax import lax

from dysr_jax.compiling import jit
from dysr_jax.errors import InputError
from dysr_jax.model.backend import XLA, layer_backend
from dysr_jax.model.branches import Branch
from dysr_jax.model.conv import patches3x3
from dysr_jax.model.kernels import (
    Kernels,
    KernelSpec,
    cast_kernels,
    cut_kernels,
    fit_inside,
    stored_specs,
    union_specs,
)
from dysr_jax.model.space import HEAD_INPUTS, Arch, SearchSpace, arch_width, at_width, validate_arch
from dysr_jax.model.upsamplers import pixel_shuffle

TRUNCATED_STD: Final = 0.87962566103423978
"""Standard deviation of a standard normal cut at two: what a truncated draw is divided by."""

Params = dict[str, Kernels]
Kept = tuple[tuple[tuple[int, int], ...], ...]
"""What is stored: for each slot, the branch indices and the channels up to which each is stored."""


def slot_name(space: SearchSpace, slot: int) -> str:
    """The key of a slot in the parameter pytree."""
    return "upsampler" if slot == len(space.body) else f"slot{slot:02d}"


def gene_names(space: SearchSpace) -> list[str]:
    """What each index of an arch is for: the `slot_name` of every slot, and `width` if there are several."""
    names = [slot_name(space, slot) for slot in range(len(space.slots))]
    return names if len(space.widths) == 1 else [*names, "width"]


def stored_kernels(space: SearchSpace, slot: int, kept: Kept | None = None) -> dict[str, KernelSpec]:
    """The shared kernels of a slot: the union of what its (kept) branches read."""
    indices = range(len(space.slots[slot]))
    each = [(index, width) for index in indices for width in space.widths] if kept is None else kept[slot]
    reads = {width: space.reads(slot, width) for _, width in each}
    return union_specs(reads[width][index] for index, width in each)


def head_kernels(width: int) -> dict[str, KernelSpec]:
    """What the first convolution reads, to a trunk of `width` channels."""
    return {"kernel": KernelSpec((HEAD_INPUTS, width), 1.0), "bias": KernelSpec((width,), 0.0)}


def widest_trunk(space: SearchSpace, kept: Kept | None = None) -> int:
    """Channels of the widest arch that is stored: all archs have an upsampler."""
    return space.width if kept is None else max(width for _, width in kept[-1])


def run_head(stored: Kernels, lr: Array, dtype: Any, width: int) -> Array:
    """The first convolution: `[N, H, W, 3]` in [0, 1] to the trunk, `[N, H, W, C]` in `dtype`."""
    kernels = cut_kernels(stored, head_kernels(width))
    return patches3x3((lr - 0.5).astype(dtype)) @ kernels["kernel"] + kernels["bias"]


def add_skip(x: Array, lr: Array, scale: int) -> Array:
    """Sub-pixels `[N, H, W, s s 3]` float32: the upsampler's output plus the LR pixel they belong to."""
    return x.astype(jnp.float32) + jnp.tile(lr, (1, 1, 1, scale**2))


def to_image(x: Array, lr: Array, scale: int) -> Array:
    """What follows the upsampler: `[N, H, W, s s 3]` and the LR pixels to `[N, s H, s W, 3]` float32."""
    return pixel_shuffle(add_skip(x, lr, scale), scale)


def not_kept(space: SearchSpace, slot: int, index: int, width: int) -> InputError:
    """The error for a branch whose weights, at this width, compaction dropped."""
    at = f" at {width} channels" if len(space.widths) > 1 else ""
    return InputError(f"slot {slot}: the weights of branch {space.slots[slot][index]!r}{at} were not kept")


def _check_kept(space: SearchSpace, kept: Kept, arch: Arch) -> None:
    width = arch_width(space, arch)
    for slot, stored in enumerate(kept):
        if not any(index == arch[slot] and width <= most for index, most in stored):
            raise not_kept(space, slot, arch[slot], width)


def arch_params(params: Params, space: SearchSpace, arch: Arch) -> Params:
    """The arrays that the static program of an arch reads, whole and not copied. Raises `InputError`:
    `params` is compacted and lacks one of them, or channels of one.
    """
    read, width = {"head": params["head"]}, arch_width(space, arch)
    for slot in range(len(space.slots)):
        name, names = slot_name(space, slot), space.reads(slot, width)[arch[slot]]
        stored = params.get(name, {})
        if not fit_inside(names, stored_specs(stored)):
            raise not_kept(space, slot, arch[slot], width)
        if names:
            read[name] = {kernel: stored[kernel] for kernel in names}
    return read


class Supernet(nn.Module):
    """All archs of a space over one set of shared kernels."""

    space: SearchSpace
    dtype: Any = jnp.float32  # compute dtype; parameters are float32 and the output is float32
    kept: Kept | None = None
    """Set for compacted parameters (`dysr_jax.model.sharing`): only these branches can be named, and only up
    to their widths."""
    layers: str = XLA
    """The backend that computes the branches' convolutions, by name (`dysr_jax.model.backend`)."""

    @nn.compact
    def __call__(self, lr: Array, arch: Arch | Array) -> Array:
        """Super-resolve a batch `[N, H, W, 3]` in [0, 1] to `[N, s H, s W, 3]` float32, not clipped.

        `arch` is a tuple of ints, or a traced int array `[genes]` (see the module). Raises `InputError`: a
        static arch that the space does not have or whose weights were not kept.
        """
        chex.assert_shape(lr, (None, None, None, 3))
        space = self.space
        if isinstance(arch, jax.Array):
            chex.assert_shape(arch, (len(space.genes),))
            if self.kept is not None:
                raise InputError("arch must be a tuple: compacted weights have no search program")
        else:
            arch = validate_arch(space, arch)
            if self.kept is not None:
                _check_kept(space, self.kept, arch)
        stored = [self._kernels("head", head_kernels(widest_trunk(space, self.kept)))]
        stored += [
            self._kernels(slot_name(space, slot), self._specs(slot, arch)) for slot in range(len(space.slots))
        ]
        if not isinstance(arch, jax.Array):
            return self._run(arch_width(space, arch), stored, lr, arch)
        runs = [functools.partial(self._run, width, stored) for width in space.widths]
        return runs[0](lr, arch) if len(runs) == 1 else lax.switch(arch[-1], runs, lr, arch)

    def _kernels(self, name: str, specs: dict[str, KernelSpec]) -> Kernels:
        return cast_kernels(_SharedKernels(specs=tuple(specs.items()), name=name)(), self.dtype)

    def _specs(self, slot: int, arch: Arch | Array) -> dict[str, KernelSpec]:
        """Those that a static arch reads, because a call costs by its number of arrays; else all stored."""
        stored = stored_kernels(self.space, slot, self.kept)
        if self.is_initializing() or isinstance(arch, jax.Array):
            return stored
        reads = self.space.reads(slot, arch_width(self.space, arch))[arch[slot]]
        return {name: stored[name] for name in reads if name in stored}

    def _run(self, width: int, stored: list[Kernels], lr: Array, arch: Arch | Array) -> Array:
        head, *slots = stored
        x = run_head(head, lr, self.dtype, width)
        for slot, kernels in enumerate(slots):
            branches = self.space.branches(slot)
            if isinstance(arch, jax.Array):
                runs = [functools.partial(run_branch, self, branch, kernels) for branch in branches]
                x = runs[0](x) if len(runs) == 1 else lax.switch(arch[slot], runs, x)
            else:
                x = run_branch(self, branches[arch[slot]], kernels, x)
        return to_image(x, lr, self.space.scale)


def narrow_supernet(net: Supernet, width: int) -> Supernet:
    """The supernet of the archs of one width alone (`at_width`), over `cut_params` of its space."""
    return net.clone(space=at_width(net.space, width))


def cut_params(params: Params, space: SearchSpace, kept: Kept | None = None) -> Params:
    """What the (kept) branches of a space read, cut out of parameters, perhaps those of wider archs."""
    small = {"head": cut_kernels(params["head"], head_kernels(widest_trunk(space, kept)))}
    for slot in range(len(space.slots)):
        if specs := stored_kernels(space, slot, kept):
            name = slot_name(space, slot)
            small[name] = cut_kernels(params[name], specs)
    return small


def run_branch(net: Supernet, branch: Branch, stored: Kernels, x: Array) -> Array:
    """A branch on `[N, H, W, C]`, with what it reads cut out of the kernels that its slot stores."""
    kernels = cut_kernels(stored, branch.reads(x.shape[-1], net.space.scale))
    return branch(kernels, x, layer_backend(net.layers))


class _SharedKernels(nn.Module):
    """Declares a slot's kernels; all are initialised whatever the first arch."""

    specs: tuple[tuple[str, KernelSpec], ...]

    @nn.compact
    def __call__(self) -> Kernels:
        # One draw for the whole slot: a draw per kernel makes XLA's CPU compile six times longer.
        counts = [math.prod(spec.shape) for _, spec in self.specs]
        noise = jnp.zeros(sum(counts))
        if self.is_initializing() and self.specs:
            noise = jax.random.truncated_normal(self.make_rng("params"), -2, 2, noise.shape)
        kernels = {}
        for (name, spec), start in zip(self.specs, itertools.accumulate([0, *counts]), strict=False):
            kernels[name] = self.param(name, functools.partial(_scaled, spec, noise, start))
        return kernels


def _scaled(spec: KernelSpec, noise: Array, start: int, key: PRNGKey) -> Array:
    """Variance scaling over fan-in (He et al. 2015) of this kernel's stretch of the slot's noise."""
    std = math.sqrt(spec.gain / math.prod(spec.shape[:-1])) / TRUNCATED_STD
    return std * noise[start : start + math.prod(spec.shape)].reshape(spec.shape)


def init_params(key: PRNGKey, space: SearchSpace) -> Params:
    """Fresh float32 parameters of the whole supernet: `{"head", "slot00", ..., "upsampler"}`."""
    first, frame = (0,) * len(space.genes), jnp.zeros((1, 4, 4, 3))
    return jit(Supernet(space).init, static_argnums=2)(key, frame, first)["params"]
