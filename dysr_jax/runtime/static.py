"""The static program of one arch as an executable: from the cache where it is there, else compiled."""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp

from dysr_jax.model.programs import Output, frame_spec, lower_static
from dysr_jax.model.supernet import Params, Supernet, arch_params
from dysr_jax.runtime.executables import Executable, ExecutableCache, compiled_executable
from dysr_jax.runtime.fingerprint import Parts, branches_digest, lowered_digest
from dysr_jax.space import Arch

Compile = Callable[[jax.stages.Lowered], jax.stages.Compiled]


def compile_now(lowered: jax.stages.Lowered) -> jax.stages.Compiled:
    """In this thread."""
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
    """The executable that `dysr_jax.model.programs.compile_static` makes; arguments as there.

    It is looked for, and kept, in `cache`; `compile_lowered` compiles it, perhaps in another thread.
    """

    def lower() -> jax.stages.Lowered:
        return lower_static(net, arch, params, shape, batch=batch, output=output)

    if cache is None:
        return compiled_executable(compile_lowered(lower()))
    space = net.space
    key: Parts = {
        "program": "static",
        "space": dataclasses.asdict(space),
        "kept": net.kept,
        "arch": list(arch),
        "dtype": jnp.dtype(net.dtype).name,
        "batch": batch,
        "output": output,
    }
    arguments = (arch_params(params, space, arch), frame_spec(shape, batch))
    code = branches_digest(space.branches(slot)[index] for slot, index in enumerate(arch))
    if code is not None:
        return cache.get(key | {"code": code}, arguments, lambda: compile_lowered(lower()))
    lowered = lower()
    key["lowered"] = lowered_digest(lowered)
    return cache.get(key, arguments, lambda: compile_lowered(lowered))
