"""Static programs, whole or a stage, as executables: from the cache where they are there, else compiled."""

import dataclasses
import functools
import threading
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.stages import Compiled, Lowered

from dysr_jax import model
from dysr_jax.aot.executables import DEFAULT_CACHE, Executable, ExecutableCache, compiled_executable
from dysr_jax.aot.fingerprint import Parts, branches_digest, lowered_digest
from dysr_jax.aot.tuning import choose_form, noted_name, offered_forms
from dysr_jax.compiling import exact_options
from dysr_jax.device import default_device
from dysr_jax.model import (
    RGB,
    Arch,
    Branch,
    Form,
    FrameFormat,
    Output,
    Params,
    StageProgram,
    Supernet,
    frame_spec,
)

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
    frames: FrameFormat = RGB,
    cache: ExecutableCache | None = None,
    compile_lowered: Compile = compile_now,
) -> Executable:
    """The executable that `dysr_jax.model.programs.compile_static` makes, with the same arguments.

    `cache` is searched for it and keeps it; `compile_lowered` compiles it, perhaps in another thread. It has
    the form that `tune_static` chose with this cache, else the first of `offered_forms`.
    """
    program = _Static(net, arch, params, shape, batch=batch, output=output, frames=frames)
    return program.executable(program.form(cache), cache, compile_lowered)


def tune_static(
    net: Supernet,
    arch: Arch,
    params: Params,
    shape: tuple[int, int],
    *,
    batch: int | None = None,
    output: Output = "device",
    cache: ExecutableCache | None = DEFAULT_CACHE,
) -> Form:
    """The form of a static program that is fastest on this device: known to `cache`, else measured now.

    Arguments as of `static_executable`; `params` are arrays. Without a cache nothing is measured, nor where
    there is one form only (`offered_forms`).
    """
    program = _Static(net, arch, params, shape, batch=batch, output=output)
    with _tuning:  # one at a time, or they would disturb each other
        if cache is None or len(program.offered) == 1 or program.chosen(cache) is not None:
            return program.form(cache)
        makers = {
            name: functools.partial(program.executable, form, cache) for name, form in program.offered.items()
        }
        spec = frame_spec(shape, batch)
        found = choose_form(makers, jax.device_put(program.read), spec.shape)
        if found is None:
            return program.form(cache)
        cache.write_note(program.note_key, program.arguments, found.to_text())
        return program.offered[found.name]


class _Static:
    """A static program, and what its executables and the choice among their forms are kept by."""

    def __init__(
        self,
        net: Supernet,
        arch: Arch,
        params: Params,
        shape: tuple[int, int],
        frames: FrameFormat = RGB,
        **how: Any,
    ) -> None:
        self.net, self._frames, space = net, frames, net.space
        self.branches = [space.branches(slot)[arch[slot]] for slot in range(len(space.slots))]
        self.read = model.arch_params(params, space, arch)
        self.arguments = (self.read, frame_spec(shape, how["batch"]))  # of plain frames
        self._own_arguments = (self.read, frame_spec(shape, how["batch"], frames))
        self.offered = offered_forms(net, arch, shape, how["batch"])
        of = {"space": dataclasses.asdict(space), "kept": net.kept, "arch": list(arch), **how}
        self._key: Parts = {"program": "static", **of}
        self._lower = functools.partial(model.lower_static, net, arch, params, shape, **how)

    @functools.cached_property
    def note_key(self) -> Parts:
        """Of the choice, which holds for frames of every format: the program of plain frames as it is in its
        first form, and the forms.
        """
        code, lower = _code(self.net, self.branches), functools.partial(self._lower, form=self._first)
        told = {"code": code} if code is not None else {"lowered": lowered_digest(lower())}
        forms = {name: [form.options, form.bands] for name, form in self.offered.items()}
        return {**self._key, **_computed(self.net), **told, "choice": forms}

    @property
    def _first(self) -> Form:
        return next(iter(self.offered.values()))

    def chosen(self, cache: ExecutableCache) -> Form | None:
        """The form that was chosen with a cache, if one was."""
        note = cache.read_note(self.note_key, self.arguments)
        return None if note is None else self.offered.get(noted_name(note))

    def form(self, cache: ExecutableCache | None) -> Form:
        """What was chosen, else the first."""
        known = self.chosen(cache) if cache is not None and len(self.offered) > 1 else None
        return known or self._first

    def executable(
        self, form: Form, cache: ExecutableCache | None, compile_lowered: Compile = compile_now
    ) -> Executable:
        """In this form."""
        frames = dataclasses.asdict(self._frames)
        key = {**self._key, "frames": frames, "options": form.options, "bands": form.bands}
        lower = functools.partial(self._lower, form=form, frames=self._frames)
        return _executable(self.net, lower, key, self.branches, self._own_arguments, cache, compile_lowered)


_tuning = threading.Lock()


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
    code = _code(net, branches)
    key = {**key, **_computed(net)}
    if code is not None:
        return cache.get({**key, "code": code}, arguments, lambda: compile_lowered(lower()), result=result)
    lowered = lower()
    key["lowered"] = lowered_digest(lowered)
    return cache.get(key, arguments, lambda: compile_lowered(lowered), result=result)


def _code(net: Supernet, branches: Sequence[Branch]) -> str | None:
    return branches_digest([model.layer_backend(net.layers), *branches])


def _computed(net: Supernet) -> Parts:
    """What the layers are computed in, and by."""
    return {"dtype": jnp.dtype(net.dtype).name, "layers": net.layers}


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
