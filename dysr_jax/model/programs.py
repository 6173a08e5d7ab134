"""What gets compiled: functions of `(params, ..., arch)` over the supernet.

A frame program takes and returns uint8: conversion, clipping and rounding happen inside the executable, so
that a quarter of the bytes cross to the host.
"""

from collections.abc import Callable
from typing import Any, Literal, get_args

import chex
import jax
import jax.numpy as jnp

from dysr_jax.compiling import Options, exact_options
from dysr_jax.device import default_device, host_memory
from dysr_jax.errors import InputError
from dysr_jax.metrics import to_pixels, to_uint8
from dysr_jax.model.backend import XLA, layer_backend
from dysr_jax.model.space import Arch, SearchSpace, validate_arch
from dysr_jax.model.supernet import Kept, Params, Supernet, arch_params

Output = Literal["device", "host"]
"""The memory where a result lies; `host` is pinned host memory, where the backend has it."""
DTYPES = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}


def check_output(output: str) -> None:
    """Raise `InputError` unless `output` is one of `Output`."""
    if output not in get_args(Output):
        raise InputError(f"output {output!r}: must be device or host")


def compute_dtype(name: str) -> str:
    """`float32` or `bfloat16`; `auto` is bfloat16 on accelerators and float32 on the CPU.

    Raises:
        InputError: another name.
    """
    if name == "auto":
        return "float32" if jax.default_backend() == "cpu" else "bfloat16"
    if name not in DTYPES:
        raise InputError(f"dtype {name!r}: must be auto, {' or '.join(DTYPES)}")
    return name


def served_dtype(name: str) -> str:
    """`compute_dtype` of what frames are served in: on a CPU float32 alone, because CPUs lack bfloat16.

    Raises:
        InputError: another name, or bfloat16 on a CPU.
    """
    dtype = compute_dtype(name)
    if dtype == "bfloat16" and jax.default_backend() == "cpu":
        raise InputError("dtype 'bfloat16': a CPU serves float32; must be auto or float32 here")
    return dtype


def make_supernet(space: SearchSpace, dtype: str, kept: Kept | None = None, *, layers: str = XLA) -> Supernet:
    """The supernet that computes in the dtype, and by the layer backend, of these names.

    Raises:
        InputError: no such dtype or backend.
    """
    layer_backend(layers)
    return Supernet(space, dtype=DTYPES[compute_dtype(dtype)], kept=kept, layers=layers)


def frame_program(net: Supernet) -> Callable[[Params, chex.Array, Arch | chex.Array], chex.Array]:
    """`(params, frames, arch) -> frames`: `[N, H, W, 3]` uint8 to `[N, s H, s W, 3]` uint8."""

    def upscale_frames(params: Params, frames: chex.Array, arch: Arch | chex.Array) -> chex.Array:
        return to_uint8(net.apply({"params": params}, to_pixels(frames), arch))

    return upscale_frames


def frame_spec(shape: tuple[int, int], batch: int | None = None) -> jax.ShapeDtypeStruct:
    """Of a uint8 frame of these rows and columns, or of `batch` of them."""
    return jax.ShapeDtypeStruct((*(() if batch is None else (batch,)), *shape, 3), jnp.uint8)


_COMMAND_BUFFERS = "FUSION,CUBLAS,CUBLASLT,CUSTOM_CALL,CUDNN,CONVOLUTION"
"""XLA's own, and cuDNN's convolutions, which the host else launches one by one."""


def compiler_options() -> Options:
    """What XLA is told beyond its defaults for a static program on the default device.

    On the CPU: `dysr_jax.compiling.exact_options`. On NVIDIA GPUs of compute capability 9 and later: a frame
    is one CUDA graph. On an H200 the host then needs about a third of the time to send one
    (`experiments/frame_variants.py`), and it has videos to decode. Others were not tried and keep the
    defaults.
    """
    capability = str(getattr(default_device(), "compute_capability", "0"))
    if capability.split(".")[0].isdigit() and float(capability) >= 9.0:
        return {"xla_gpu_enable_command_buffer": _COMMAND_BUFFERS, "xla_gpu_graph_min_graph_size": 1}
    return exact_options()


def lower_static(
    net: Supernet,
    arch: Arch,
    params: Params,
    shape: tuple[int, int],
    *,
    batch: int | None = None,
    output: Output = "device",
) -> jax.stages.Lowered:
    """The program of one arch, `(arch_params(...), frame) -> frame`, to be compiled ahead of time.

    It maps a frame `[*shape, 3]` uint8 to `[s H, s W, 3]` uint8, which lies in `output`; with `batch`, so
    many frames in one array. `params` are arrays or their shapes, of the whole supernet, or of all that was
    kept where `net.kept` is set.
    """
    program = frame_program(net)

    def upscale_frame(params: Params, frame: chex.Array) -> chex.Array:
        if batch is None:
            return program(params, frame[None], arch)[0]
        return program(params, frame, arch)

    read = arch_params(params, net.space, validate_arch(net.space, arch))
    memory = host_memory() if output == "host" else None
    jitted = jax.jit(upscale_frame, out_shardings=memory, compiler_options=compiler_options() or None)
    return jitted.lower(read, frame_spec(shape, batch))


def compile_static(
    net: Supernet, arch: Arch, params: Params, shape: tuple[int, int], **options: Any
) -> jax.stages.Compiled:
    """The executable of `lower_static`, which says what the arguments are."""
    return lower_static(net, arch, params, shape, **options).compile()
