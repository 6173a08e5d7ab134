"""Branches of many archs at once: those that differ only in how many channels they read run as the widest.

An arch reads leading channels, in and out. So an image whose other channels are zero goes through the wide
kernel as through the narrow one: before each product over channels those beyond its arch's own are masked.
A branch that does not say that it is `nested` runs once per width, and an image takes its own.
"""

from collections.abc import Mapping, Sequence

import jax.numpy as jnp
import numpy as np
from chex import Array

from dysr_jax.errors import InputError
from dysr_jax.model.backend import LayerBackend, XlaLayers, layer_backend
from dysr_jax.model.branches import Branch, Identity
from dysr_jax.model.kernels import Kernels, cut_kernels, union_specs
from dysr_jax.model.supernet import Supernet, run_branch


def branch_families(branches: Sequence[Branch], width: int, scale: int) -> list[list[int]]:
    """Indices of the branches that `run_masked` takes together: `nested` ones of a class that read kernels of
    the same names and spatial sides; every other branch is alone.
    """
    families: dict[object, list[int]] = {}
    for index, branch in enumerate(branches):
        kind, specs = type(branch), branch.reads(width, scale)
        sides = tuple((name, spec.shape[:-2] if len(spec.shape) > 2 else ()) for name, spec in specs.items())
        families.setdefault((kind, sides) if vars(kind).get("nested") else index, []).append(index)
    return list(families.values())


class _MaskedLayers(XlaLayers):
    """The layers of a backend, each on the channels that the arch of an image reads."""

    def __init__(self, layers: LayerBackend, trunk: Array, masks: Mapping[int, Array | None]) -> None:
        self._layers, self._trunk, self._masks = layers, trunk, masks
        self.depthwise_conv2d = layers.depthwise_conv2d  # mixes no channels

    def _masked(self, x: Array, kernel: Array) -> Array:
        if x is self._trunk:  # what is beyond an arch's width is zero there
            return x
        if id(kernel) not in self._masks:
            raise InputError("a nested branch must hand its kernels to the layers as it got them")
        mask = self._masks[id(kernel)]
        return x if mask is None else x * mask

    def conv2d(self, x: Array, kernel: Array) -> Array:
        return self._layers.conv2d(self._masked(x, kernel), kernel)

    def pointwise(self, x: Array, kernel: Array) -> Array:
        return self._layers.pointwise(self._masked(x, kernel), kernel)


def run_masked(
    net: Supernet,
    branches: Sequence[Branch],
    stored: Kernels,
    x: Array,
    chosen: Array,
    width: Array,
    *,
    upsampler: bool = False,
) -> Array:
    """Images `[N, H, W, C]` of the widest trunk through a family: the branch `chosen` (int `[N]`), at a width
    (int `[N]`, by index in the space's). Channels of `x` beyond an image's width must be zero, and those of
    the result are, unless it is an `upsampler`'s.

    Raises `InputError`: a nested branch does not hand the kernels to the layers as it got them.
    """
    widths, scale = net.space.widths, net.space.scale
    if not vars(type(branches[0])).get("nested"):
        return _run_per_width(net, branches[0], stored, x, width, upsampler)
    reads = [[branch.reads(w, scale) for w in widths] for branch in branches]
    whole = union_specs(specs for each in reads for specs in each)
    first, layers, kernels = branches[0], layer_backend(net.layers), cut_kernels(stored, whole)
    if len(branches) == len(widths) == 1:
        return first(kernels, x, layers)

    def mask(counts: np.ndarray, most: int) -> Array | None:
        """`[N, 1, 1, most]`: 1 for as many leading channels as an image's branch and width have."""
        if (counts == most).all():
            return None
        inside = jnp.arange(most) < jnp.asarray(counts)[chosen, width][:, None]
        return inside.astype(x.dtype)[:, None, None, :]

    masks = {}
    for name, spec in whole.items():
        if len(spec.shape) in (2, 4):
            counts = np.array([[specs[name].shape[-2] for specs in each] for each in reads])
            masks[id(kernels[name])] = mask(counts, spec.shape[-2])
    out = first(kernels, x, _MaskedLayers(layers, x, masks))
    if upsampler:
        return out
    trunk = mask(np.array([widths] * len(branches)), widths[-1])
    return out if trunk is None else out * trunk


def _run_per_width(
    net: Supernet, branch: Branch, stored: Kernels, x: Array, width: Array, upsampler: bool
) -> Array:
    if type(branch) is Identity:  # one derived from it may run something
        return x
    out: Array = 0.0
    for index, channels in enumerate(net.space.widths):
        own = run_branch(net, branch, stored, x[..., :channels])
        if not upsampler:
            own = jnp.pad(own, ((0, 0), (0, 0), (0, 0), (0, x.shape[-1] - channels)))
        out = jnp.where((width == index)[:, None, None, None], own, out)
    return out
