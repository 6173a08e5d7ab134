"""A population's quality in one dispatch, spread over the devices."""

from collections.abc import Callable, Sequence
from typing import Any

import chex
import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh

from dysr_jax import parallel
from dysr_jax.data.sources import Pair
from dysr_jax.errors import InputError
from dysr_jax.metrics import mse_y, psnr
from dysr_jax.model.programs import frame_program
from dysr_jax.model.supernet import Params, Supernet


@flax.struct.dataclass
class Patches:
    """Validation patches; `image` says which photograph each is from."""

    lr: chex.Array
    """`[P, p, p, 3]` uint8."""
    hr: chex.Array
    """`[P, s p, s p, 3]` uint8."""
    image: chex.Array
    """int32 `[P]`."""


def grid_patches(pairs: Sequence[Pair], count: int, side: int) -> Patches:
    """`count` patches on an even grid over the validation images, the same at each call.

    Args:
        pairs: validation images, each at least `side` LR pixels high and wide.
        count: number of patches; every image gives as many as the others, one at least.
        side: of a patch, in LR pixels.

    Raises:
        InputError: an image is smaller than a patch.
    """
    scale = pairs[0].hr.shape[0] // pairs[0].lr.shape[0]
    lr, hr, image = [], [], []
    each = max(1, count // len(pairs))
    for number, pair in enumerate(pairs):
        free = [length - side for length in pair.lr.shape[:2]]
        if min(free) < 0:
            raise InputError(
                f"validation image {pair.name!r}: LR {pair.lr.shape[:2]} is smaller than a patch; "
                f"allowed is search.patch up to {min(pair.lr.shape[:2])}, not {side}"
            )
        rows = int(np.ceil(np.sqrt(each)))
        for i in range(each):
            row = round(free[0] * (i // rows) / max(1, (each - 1) // rows))
            column = round(free[1] * (i % rows) / max(1, rows - 1))
            lr.append(pair.lr[row : row + side, column : column + side])
            top, left, size = row * scale, column * scale, side * scale
            hr.append(pair.hr[top : top + size, left : left + size])
            image.append(number)
    return Patches(
        lr=jnp.asarray(np.stack(lr)),
        hr=jnp.asarray(np.stack(hr)),
        image=jnp.asarray(image, jnp.int32),
    )


class Evaluator:
    """`(params, genes [N, slots]) -> PSNR-Y [N]` in dB, by the search program.

    Candidates go one after the other on a device (`lax.map`; `vmap` over `lax.switch` would run every
    branch) and side by side over devices. PSNR-Y is the reported metric, on uint8 output: a photograph's
    is that of its patches' mean squared error, and photographs are averaged.
    """

    def __init__(self, net: Supernet, patches: Patches, mesh: Mesh) -> None:
        self._mesh = mesh
        self._patches = parallel.replicate(patches, mesh)
        self._evaluate = jax.jit(_evaluation(net, int(patches.image.max()) + 1, mesh))
        self._executables: dict[int, Any] = {}

    def prepare(self, params: Params, genes: chex.Array) -> None:
        """Compile for as many candidates as `genes` has, once; nothing is evaluated."""
        if len(genes) not in self._executables:
            arguments = parallel.replicate((params, genes, self._patches), self._mesh)
            self._executables[len(genes)] = self._evaluate.lower(*arguments).compile()

    def __call__(self, params: Params, genes: chex.Array) -> chex.Array:
        """Evaluate candidates in one dispatch; a number of them that was not prepared compiles.

        Args:
            params: on every device of the mesh (`parallel.replicate`).
            genes: int32 `[N, slots]`.
        """
        self.prepare(params, genes)
        genes = parallel.replicate(genes, self._mesh)
        return self._executables[len(genes)](params, genes, self._patches)


def _evaluation(
    net: Supernet, images: int, mesh: Mesh
) -> Callable[[Params, chex.Array, Patches], chex.Array]:
    program = frame_program(net)
    devices = mesh.devices.size

    def quality(params: Params, arch: chex.Array, patches: Patches) -> chex.Array:
        error = mse_y(program(params, patches.lr, arch), patches.hr, net.space.scale)
        total = jax.ops.segment_sum(error, patches.image, images)
        number = jax.ops.segment_sum(jnp.ones_like(error), patches.image, images)
        return jnp.mean(psnr(total / number))

    def block(params: Params, genes: chex.Array, patches: Patches) -> chex.Array:
        return lax.map(lambda arch: quality(params, arch, patches), genes)

    mapped = parallel.per_device(block, mesh, in_axes=(None, 0, None), out_axes=0)

    def evaluate(params: Params, genes: chex.Array, patches: Patches) -> chex.Array:
        padding = -len(genes) % devices
        padded = jnp.concatenate([genes, jnp.repeat(genes[:1], padding, 0)])
        split = padded.reshape(devices, -1, genes.shape[1])
        return mapped(params, split, patches).reshape(-1)[: len(genes)]

    return evaluate
