"""A member's frame program as StableHLO, with its weights in it, for several kinds of devices at once."""

from typing import Final

import jax
import jax.numpy as jnp
from jax import export

from dysr_jax.aot import import_extra
from dysr_jax.bundle import Bundle, Member
from dysr_jax.compiling import exportable
from dysr_jax.model import arch_params, frame_program, make_supernet

PLATFORMS: Final = ("cpu", "cuda", "tpu")


def stablehlo_file(bundle: Bundle, member: Member, shape: tuple[int, int] | None) -> bytes:
    """What `jax.export.deserialize` reads: `[H, W, 3]` uint8 to `[s H, s W, 3]` uint8, in float32.

    Without a shape, rows and columns are free. Raises `InputError`: `flatbuffers` is not installed.
    """
    import_extra("flatbuffers")  # JAX imports it when it serialises
    net = make_supernet(bundle.space, "float32", bundle.kept, layers=bundle.layers)
    program, read = frame_program(net), arch_params(bundle.params, bundle.space, member.arch)

    def upscale_frame(frame: jax.Array) -> jax.Array:
        return program(read, frame[None], member.arch)[0]

    sides = export.symbolic_shape("height, width") if shape is None else shape
    frame = jax.ShapeDtypeStruct((*sides, 3), jnp.uint8)
    return bytes(export.export(exportable(upscale_frame), platforms=PLATFORMS)(frame).serialize())
