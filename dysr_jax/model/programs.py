"""Programs to compile: functions of `(params, ..., arch)` over the supernet, fused or in stages.

A frame program takes and returns uint8: conversion, clipping and rounding happen inside the executable, so a
quarter of the bytes cross to the host. The stages of a chain are the head, one program per branch, and the
upsampler: the same functions, cut where a slot begins and ends. A stage takes the kernels that a slot stores,
so slots of the same shapes share an executable. The trunk stays on the device from stage to stage.
"""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
from chex import Array

from dysr_jax.compiling import Jitted, Options, exact_options, jit
from dysr_jax.device import default_device, host_memory
from dysr_jax.errors import InputError
from dysr_jax.metrics import to_pixels, to_uint8
from dysr_jax.model import supernet
from dysr_jax.model.backend import XLA, layer_backend
from dysr_jax.model.bands import Bands, banded_program
from dysr_jax.model.branches import Branch, Identity
from dysr_jax.model.kernels import Kernels, cast_kernels
from dysr_jax.model.planes import RGB, FrameFormat, read_frame, write_frame
from dysr_jax.model.space import Arch, SearchSpace, validate_arch
from dysr_jax.model.supernet import Kept, Params, Supernet

Output = Literal["device", "host"]
"""The memory where a result lies; `host` is pinned host memory, where the backend has it."""
DTYPES = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}


def check_output(output: str) -> None:
    """Raise `InputError` unless `output` is one of `Output`."""
    if output not in get_args(Output):
        raise InputError(f"output {output!r}: must be device or host")


def compute_dtype(name: str) -> str:
    """`float32` or `bfloat16`; `auto` is bfloat16 on accelerators and float32 on the CPU. Raises
    `InputError`: another name.
    """
    if name == "auto":
        return "float32" if jax.default_backend() == "cpu" else "bfloat16"
    if name not in DTYPES:
        raise InputError(f"dtype {name!r}: must be auto, {' or '.join(DTYPES)}")
    return name


def served_dtype(name: str) -> str:
    """`compute_dtype` of what frames are served in: on a CPU float32 alone, because CPUs lack bfloat16.
    Raises `InputError`: another name, or bfloat16 on a CPU.
    """
    dtype = compute_dtype(name)
    if dtype == "bfloat16" and jax.default_backend() == "cpu":
        raise InputError("dtype 'bfloat16': a CPU serves float32; must be auto or float32 here")
    return dtype


def make_supernet(space: SearchSpace, dtype: str, kept: Kept | None = None, *, layers: str = XLA) -> Supernet:
    """The supernet that computes in the dtype, and by the layer backend, of these names. Raises `InputError`:
    no such dtype or backend.
    """
    layer_backend(layers)
    return Supernet(space, dtype=DTYPES[compute_dtype(dtype)], kept=kept, layers=layers)


def frame_program(net: Supernet) -> Callable[[Params, Array, Arch | Array], Array]:
    """`(params, frames, arch) -> frames`: `[N, H, W, 3]` uint8 to `[N, s H, s W, 3]` uint8."""

    def upscale_frames(params: Params, frames: Array, arch: Arch | Array) -> Array:
        return to_uint8(net.apply({"params": params}, to_pixels(frames), arch))

    return upscale_frames


def _program(net: Supernet, plain: bool) -> Callable[[Params, Array, Arch | Array], Array]:
    """Of plain frames `frame_program`; else of float32 pixels in [0, 1], not clipped where they leave."""
    return frame_program(net) if plain else lambda params, lr, arch: net.apply({"params": params}, lr, arch)


def frame_spec(shape: tuple[int, int], batch: int | None = None, form: FrameFormat = RGB) -> Any:
    """The shapes of what a frame program takes, for an upright frame of these rows and columns: of an RGB
    image, of `batch` of them, or of a frame's arrays in another format.
    """
    if form == RGB:
        return jax.ShapeDtypeStruct((*shape, 3) if batch is None else (batch, *shape, 3), jnp.uint8)
    stored = form.stored(shape)
    if form.source is None:
        return (jax.ShapeDtypeStruct((*stored, 3), jnp.uint8),)
    return tuple(jax.ShapeDtypeStruct(plane, form.source.dtype) for plane in form.source.shapes(*stored))


_COMMAND_BUFFERS = "FUSION,CUBLAS,CUBLASLT,CUSTOM_CALL,CUDNN,CONVOLUTION"
"""XLA's own, and cuDNN's convolutions, which the host else launches one by one."""


def compiler_options() -> Options:
    """What XLA is told beyond its defaults for a static program on the default device.

    On the CPU: `dysr_jax.compiling.exact_options`. On NVIDIA GPUs of compute capability 9 and later a frame
    is one CUDA graph, which an H200's host sends in a third of the time (`experiments/frame_variants.py`).
    """
    capability = str(getattr(default_device(), "compute_capability", "0"))
    if capability.split(".")[0].isdigit() and float(capability) >= 9.0:
        return {"xla_gpu_enable_command_buffer": _COMMAND_BUFFERS, "xla_gpu_graph_min_graph_size": 1}
    return exact_options()


class Form(NamedTuple):
    """How XLA makes a static program: what it is told, and whether the frame is cut. The pixels are alike."""

    options: Options
    bands: Bands | None = None


def lower_static(
    net: Supernet,
    arch: Arch,
    params: Params,
    shape: tuple[int, int],
    *,
    batch: int | None = None,
    output: Output = "device",
    form: Form | None = None,
    frames: FrameFormat = RGB,
) -> jax.stages.Lowered:
    """The program of one arch, `(arch_params(...), frame) -> frame`, to be compiled ahead of time.

    It maps a frame `[*shape, 3]` uint8 to `[s H, s W, 3]` uint8, which lies in `output`; with `batch`, so
    many frames in one array; or a frame's arrays to what leaves, as the format `frames` says. `params` are
    arrays or their shapes, of the whole supernet, or of all that was kept where `net.kept` is set. Without a
    `form`, the frame is whole and XLA is told `compiler_options`.
    """
    options, bands = form or Form(compiler_options())
    plain = frames == RGB
    program = _program(net, plain) if bands is None else banded_program(net, bands, pixels=not plain)

    def upscale_frame(params: Params, frame: Any) -> Array:
        if not plain:
            arrays = tuple(array[None] for array in frame)
            return write_frame(program(params, read_frame(arrays, frames), arch), frames)[0]
        if batch is None:
            return program(params, frame[None], arch)[0]
        return program(params, frame, arch)

    read = supernet.arch_params(params, net.space, validate_arch(net.space, arch))
    memory = host_memory() if output == "host" else None
    jitted = jax.jit(upscale_frame, out_shardings=memory, compiler_options=options or None)
    return jitted.lower(read, frame_spec(shape, batch, frames))


def compile_static(
    net: Supernet, arch: Arch, params: Params, shape: tuple[int, int], **options: Any
) -> jax.stages.Compiled:
    """The executable of `lower_static`, which says what the arguments are."""
    return lower_static(net, arch, params, shape, **options).compile()


Shape = tuple[int, ...]


def _batch(frames: Array) -> Array:
    return frames.reshape(-1, *frames.shape[-3:])


class StageKey(NamedTuple):
    """What tells one executable of a supernet from another; slots that store the same shapes share theirs."""

    stage: str  # `head`, or the registered name of a body branch or an upsampler
    width: int  # channels of the trunk
    kernels: tuple[tuple[str, Shape], ...]  # names and stored shapes of what it reads
    input: Shape  # of the trunk; for the head and the upsamplers, of the frames
    layers: str  # the layer backend


class StageProgram(NamedTuple):
    """A stage over the weights of one slot, not yet compiled."""

    key: StageKey
    branch: Branch | None  # None: the head
    program: Jitted
    arguments: tuple[Any, ...]
    """The kernels, whole as the slot stores them and not copied, and the shapes of what follows them."""
    result: Any = 0  # a pytree of the structure of what the program returns

    @property
    def kernels(self) -> Kernels:
        """What the program reads."""
        return self.arguments[0]

    def lower(self) -> jax.stages.Lowered:
        """The program, traced, to be compiled."""
        return self.program.lower(*self.arguments)


def head_part(net: Supernet, params: Params, frame: Shape, width: int) -> StageProgram:
    """`(kernels, frames) -> (trunk, frames)`: uint8 `(H, W, 3)` or `(N, H, W, 3)` to `[N, H, W, width]`.

    The frames come back on the device for the upsampler's stage, so that they cross from the host once.
    """

    def run(kernels: Kernels, frames: Array) -> tuple[Array, Array]:
        kernels = cast_kernels(kernels, net.dtype)
        return supernet.run_head(kernels, to_pixels(_batch(frames)), net.dtype, width), frames

    arguments = (params["head"], jax.ShapeDtypeStruct(frame, jnp.uint8))
    key = _key(net, "head", width, params["head"], frame)
    return StageProgram(key, None, jit(run), arguments, result=(0, 0))


def branch_part(
    net: Supernet,
    params: Params,
    slot: int,
    index: int,
    width: int,
    frame: Shape,
    *,
    output: Output = "device",
) -> StageProgram | None:
    """The branch of this index in a slot (the upsampler's is last), on a trunk of `width` channels; None for
    identity, which runs nothing.

    A body branch is `(kernels, trunk) -> trunk`, `[N, H, W, C]` in the compute dtype; an upsampler is
    `(kernels, trunk, frames) -> frames`, with the result in the memory that `output` says. `params` hold what
    the branch reads, and `frame` is `(H, W, 3)` or `(N, H, W, 3)`.
    """
    space = net.space
    name, branch = space.slots[slot][index], space.branches(slot)[index]
    if type(branch) is Identity:  # one derived from it may run something
        return None

    def run(kernels: Kernels, x: Array) -> Array:
        return supernet.run_branch(net, branch, cast_kernels(kernels, net.dtype), x)

    def run_last(kernels: Kernels, x: Array, frames: Array) -> Array:
        out = to_uint8(supernet.to_image(run(kernels, x), to_pixels(_batch(frames)), space.scale))
        return out.reshape(*frames.shape[:-3], *out.shape[1:])

    stored = params.get(supernet.slot_name(space, slot), {})
    kernels = {kernel: stored[kernel] for kernel in space.reads(slot, width)[index]}
    shape = (*((1,) if len(frame) == 3 else frame[:1]), *frame[-3:-1], width)
    arguments: tuple[Any, ...] = (kernels, jax.ShapeDtypeStruct(shape, net.dtype))
    if slot < len(space.body):
        # The output takes the place of the trunk, which is donated to it.
        key = _key(net, name, width, kernels, shape)
        return StageProgram(key, branch, jit(run, donate_argnums=1), arguments)
    program = jit(run_last, out_shardings=host_memory() if output == "host" else None)
    arguments += (jax.ShapeDtypeStruct(frame, jnp.uint8),)
    return StageProgram(_key(net, name, width, kernels, frame), branch, program, arguments)


def _key(net: Supernet, stage: str, width: int, kernels: Kernels, source: Shape) -> StageKey:
    shapes = tuple((name, jnp.shape(kernel)) for name, kernel in kernels.items())
    return StageKey(stage, width, shapes, source, net.layers)
