"""Weights as executables read them: cut and cast once, not in every frame.

A static program that is given the stored weights cuts what its arch reads out of them, converts it to the
compute dtype and, on a GPU, brings it into the layout of the convolutions: some small kernels a layer and
frame. Here that is done ahead of time. Archs that read the same part of a kernel still share one array.
"""

from collections.abc import Iterable

import jax
import numpy as np

from dysr_jax.model import (
    Arch,
    KernelSpec,
    Params,
    Supernet,
    arch_params,
    arch_width,
    cut_kernel,
    head_kernels,
    kept_branches,
    slot_name,
    stored_kernels,
)


class CastWeights:
    """The weights of some archs on the device, in the compute dtype.

    Args:
        net: gives space and compute dtype.
        params: float32, of the whole supernet or all that was kept; NumPy arrays or on a device.
    """

    def __init__(self, net: Supernet, params: Params) -> None:
        self._net = net
        self._stored = params
        self._arrays: dict[tuple[str, str, tuple[int, ...]], jax.Array] = {}

    def net(self, arch: Arch) -> Supernet:
        """The supernet that takes what `read` gives for this arch."""
        return self._net.clone(kept=kept_branches(self._net.space, [arch]))

    def read(self, arch: Arch) -> Params:
        """What the static program of an arch reads; a part that another arch reads too is the same array.

        Raises:
            InputError: `params` is compacted and lacks one of them.
        """
        arch_params(self._stored, self._net.space, arch)
        return {
            name: {kernel: self._array(name, kernel, spec) for kernel, spec in specs.items()}
            for name, specs in self._specs(arch)
            if specs
        }

    @property
    def nbytes(self) -> int:
        """Bytes of all that was read so far."""
        return sum(array.nbytes for array in self._arrays.values())

    def _specs(self, arch: Arch) -> Iterable[tuple[str, dict[str, KernelSpec]]]:
        space, kept = self._net.space, kept_branches(self._net.space, [arch])
        yield "head", head_kernels(arch_width(space, arch))
        for slot in range(len(space.slots)):
            yield slot_name(space, slot), stored_kernels(space, slot, kept)

    def _array(self, name: str, kernel: str, spec: KernelSpec) -> jax.Array:
        key = (name, kernel, spec.shape)
        if key not in self._arrays:
            # By NumPy, which compiles nothing.
            part = cut_kernel(np.asarray(self._stored[name][kernel]), spec.shape)
            self._arrays[key] = jax.device_put(part.astype(self._net.dtype))
        return self._arrays[key]
