"""Static programs, whole or a stage, as executables: from the cache where they are there, else compiled."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.stages import Compiled, Lowered

from dysr_jax import model
from dysr_jax.aot.executables import Executable, ExecutableCache, compiled_executable
from dysr_jax.aot.fingerprint import Parts, branches_digest, lowered_digest
from dysr_jax.compiling import exact_options
from dysr_jax.device import default_device
from dysr_jax.model import Arch, Branch, Output, Params, StageProgram, Supernet, frame_spec

Compile = Callable[[Lowered], Compiled]


def compile_now(lowered: Lowered) -> Compiled:
    """Compile in this thread."""
    return lowered.compile()


def static_executable(
    net: Supernet,
    arch: Arch,
    params: Params,
    shape: tuple[int, int],
    *,
    batch: int | None = None,
    output: Output = "device",
    cache: ExecutableCache | None = None,
    compile_lowered: Compile = compile_now,
) -> Executable:
    """The executable that `dysr_jax.model.programs.compile_static` makes, with the same arguments.

    `cache` is searched for it and keeps it; `compile_lowered` compiles it, perhaps in another thread.
    """
    space = net.space
    of = {"space": dataclasses.asdict(space), "kept": net.kept, "arch": list(arch), "batch": batch}
    key: Parts = {"program": "static", **of, "output": output, "options": model.compiler_options()}
    branches = [space.branches(slot)[arch[slot]] for slot in range(len(space.slots))]
    arguments = (model.arch_params(params, space, arch), frame_spec(shape, batch))
    lower = functools.partial(model.lower_static, net, arch, params, shape, batch=batch, output=output)
    return _executable(net, lower, key, branches, arguments, cache, compile_lowered)


def stage_executable(
    net: Supernet, part: StageProgram, *, output: Output = "device", cache: ExecutableCache | None = None
) -> Executable:
    """The executable of a stage of `net`; the other arguments as of `static_executable`."""
    of = {"stage": part.key.stage, "width": part.key.width, "scale": net.space.scale}
    key: Parts = {"program": "stage", **of, "output": output, "options": exact_options()}
    branches = [] if part.branch is None else [part.branch]
    return _executable(net, part.lower, key, branches, part.arguments, cache, result=part.result)


def _executable(
    net: Supernet,
    lower: Callable[[], Lowered],
    key: Parts,
    branches: Sequence[Branch],
    arguments: tuple[Any, ...],
    cache: ExecutableCache | None,
    compile_lowered: Compile = compile_now,
    *,
    result: Any = 0,
) -> Executable:
    """Load it by key and code, untraced, or by the lowered program if the code is unknown."""
    _start_convolutions(default_device())
    if cache is None:
        return compiled_executable(compile_lowered(lower()), arguments[0])
    code = branches_digest([model.layer_backend(net.layers), *branches])
    key = {**key, "dtype": jnp.dtype(net.dtype).name, "layers": net.layers}
    if code is not None:
        return cache.get({**key, "code": code}, arguments, lambda: compile_lowered(lower()), result=result)
    lowered = lower()
    key["lowered"] = lowered_digest(lowered)
    return cache.get(key, arguments, lambda: compile_lowered(lowered), result=result)


@functools.cache
def _start_convolutions(device: jax.Device) -> None:
    """Run one convolution outside of any CUDA graph, once per process: cuDNN cannot initialise itself while
    one is captured (CUDNN_STATUS_EXECUTION_FAILED in an executable that was loaded, not autotuned here).
    """
    if "xla_gpu_enable_command_buffer" in model.compiler_options():
        image, kernel = jnp.zeros((1, 8, 8, 8)), jnp.zeros((3, 3, 8, 8))
        layout = ("NHWC", "HWIO", "NHWC")
        convolved = jax.lax.conv_general_dilated(image, kernel, (1, 1), "SAME", dimension_numbers=layout)
        convolved.block_until_ready()
