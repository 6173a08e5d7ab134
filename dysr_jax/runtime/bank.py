"""The bank: executables of a bundle's members, compiled ahead of time over one parameter pytree.

All weights are resident and all executables are ready, so a switch is the choice of another executable:
nothing is compiled, copied or loaded.
"""

import concurrent.futures
import threading
import time
from collections.abc import Callable
from typing import Any, Final

import jax
import numpy as np

from dysr_jax import aot
from dysr_jax.aot import DEFAULT_CACHE, Compile, Executable, ExecutableCache, Memory
from dysr_jax.bundle import Bundle, check_bundle
from dysr_jax.errors import InputError
from dysr_jax.fields import require
from dysr_jax.model import RGB, Frame, FrameFormat, Output, Params, arch_params, check_output, frame_spec
from dysr_jax.runtime.executable_lru import ExecutableLRU, Program, check_batch, check_frame, check_shape
from dysr_jax.runtime.server import (
    FrameLike,
    FrameShape,
    MemberLike,
    Members,
    VideoServer,
    resolve_all,
    resolver,
)
from dysr_jax.threads import in_threads

Job = concurrent.futures.Future[None]

TUNING_S: Final = 60.0
"""No measuring begins later in one `Bank.prepare`; a later one goes on."""


class Background:
    """One thread that compiles, a job at a time, while frames go on.

    It has the priority of all others on purpose: one of lower priority is held up while it holds the
    interpreter lock, and the frames with it (on a busy CPU the slowest took half as long again).
    """

    def __init__(self) -> None:
        self._jobs = concurrent.futures.ThreadPoolExecutor(1, "prepare")
        self._closed = threading.Event()

    def submit(self, job: Callable[[], None]) -> Job:
        """Queue a job; after `close` its future is cancelled at once."""
        try:
            return self._jobs.submit(job)
        except RuntimeError:  # the pool takes no more
            refused = Job()
            refused.cancel()
            refused.set_running_or_notify_cancel()
            return refused

    def compile_lowered(self, lowered: jax.stages.Lowered) -> jax.stages.Compiled:
        """Compile for a job; raises `CancelledError` once no more is wanted."""
        if self._closed.is_set():
            raise concurrent.futures.CancelledError
        return lowered.compile()

    def close(self) -> None:
        """Cancel the jobs that have not begun; one that has begun compiles nothing more."""
        self._closed.set()
        self._jobs.shutdown(wait=False, cancel_futures=True)


class Bank(VideoServer):
    """Ready executables by member, frame shape and batch. Any thread may send frames while another prepares.

    At most `keep` executables are held (None: all), and at most `budget` bytes of weights, executables and
    the largest workspace together; the least recently used go first. While executables are being compiled,
    those that they replace are still there. `cache` keeps executables on disk; None: all are compiled. With
    `tune`, `prepare` measures on a CPU which form of a program is fastest (`dysr_jax.aot.tune_static`), once,
    and for a minute at most at a time; what was measured before is used in any case.
    Results lie on the device, or with `output="host"` in pinned host memory, where the device has it. Weights
    above the budget, `keep` below 1 and another `output` are an InputError.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        keep: int | None = None,
        budget: int | None = None,
        cache: ExecutableCache | None = DEFAULT_CACHE,
        output: Output = "device",
        tune: bool = True,
    ) -> None:
        check_bundle(bundle)
        check_output(output)
        self.bundle = bundle
        self._cache, self._output, self._tune = cache, output, tune
        self._params = jax.device_put(bundle.params)
        self._read: dict[str, Params] = {}  # by arch's name: the first argument of its executables
        self._resolve = resolver(bundle)
        self._held = ExecutableLRU(weights=aot.tree_bytes(self._params), keep=keep, budget=budget)
        self._background = Background()

    def prepare(
        self,
        shape: FrameShape,
        members: Members = None,
        *,
        batch: int | None = None,
        frames: FrameFormat = RGB,
        warm_up: bool = True,
    ) -> None:
        """Compile members, or other archs whose weights are there, in threads; or load them from the cache.

        For upright frames of `shape`, which come as `frames` says; with `batch`, for images `[N, H, W, 3]`.
        An InputError above the budget; what was ready still is.
        """
        programs = self._programs(shape, members, batch, frames)
        missing = [program for program in programs if program not in self._held]
        end = time.monotonic() + TUNING_S
        for program in missing if self._tune else ():
            if time.monotonic() < end:
                what, how = self._static(program)
                aot.tune_static(*what, **how)
        executables = dict(zip(missing, in_threads(self._executable, missing), strict=True))
        self._held.add(executables, programs)
        for program, executable in executables.items() if warm_up else ():
            self._warm_up(program, executable)

    def prepare_soon(
        self,
        shape: FrameShape,
        members: Members = None,
        *,
        batch: int | None = None,
        frames: FrameFormat = RGB,
    ) -> Job:
        """Prepare in a thread, one member after the other; each is ready as soon as it is compiled.

        The future is done when all are ready; it holds what `prepare` would have raised.
        """

        def job() -> None:
            programs = self._programs(shape, members, batch, frames)
            for program in programs:
                if program not in self._held:
                    executable = self._executable(program, self._background.compile_lowered)
                    self._warm_up(program, executable)
                    self._held.add({program: executable}, programs)

        return self._background.submit(job)

    def close(self) -> None:
        """Prepare nothing more in the background: futures are cancelled, after what is compiled just now.

        Without this a process that ends waits for what it asked `prepare_soon` for. Frames still go.
        """
        self._background.close()

    def is_ready(
        self, member: MemberLike, shape: FrameShape, *, batch: int | None = None, frames: FrameFormat = RGB
    ) -> bool:
        """Whether frames of this shape and format can be sent to a member."""
        return Program(self._resolve(member).name, check_shape(shape), batch, frames) in self._held

    def memory(self) -> Memory:
        """Bytes of weights, executables and workspace that are held."""
        return self._held.memory()

    def dispatch(self, frame: FrameLike, member: MemberLike) -> jax.Array:
        """Start to upscale `[H, W, 3]` or `[N, H, W, 3]` uint8, or planes, on the host or on the device.

        What is no uint8 RGB image and no planes, no member, or was not prepared for, is an InputError.
        """
        name = self._resolve(member).name
        program = Program(name, *check_frame(frame))
        executable = self._held.get(program)
        if executable is None:
            ready = ", ".join(map(str, self._held.programs())) or "none"
            asked = f"member {name!r} is not prepared for a frame of {program.size}"
            raise InputError(f"{asked}; ready are {ready}")
        return executable(self._read[name], frame.arrays if isinstance(frame, Frame) else frame)

    def _programs(
        self, shape: FrameShape, members: Members, batch: int | None, frames: FrameFormat
    ) -> list[Program]:
        shape, batch = check_shape(shape), check_batch(batch)
        require(batch is None or frames == RGB, "batch", batch, "none, of frames in planes")
        return [Program(found.name, shape, batch, frames) for found in resolve_all(self.bundle, members)]

    def _executable(self, program: Program, compile_lowered: Compile = aot.compile_now) -> Executable:
        """Compile or load a program; raises `InputError` if weights that it reads were not kept."""
        what, how = self._static(program)
        self._read.setdefault(program.member, arch_params(self._params, self.bundle.space, what[1]))
        how |= {"frames": program.frames, "compile_lowered": compile_lowered}
        return aot.static_executable(*what, **how)

    def _static(self, program: Program) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """A program, but for its format, as arguments of `aot.static_executable` and `aot.tune_static`."""
        arch = self._resolve(program.member).arch
        what = (self.bundle.net, arch, self._params, program.shape)
        return what, {"batch": program.batch, "output": self._output, "cache": self._cache}

    def _warm_up(self, program: Program, executable: Executable) -> None:
        """Run an executable once, on a black frame: some backends finish their work at the first run."""
        spec = frame_spec(program.shape, program.batch, program.frames)
        frame = jax.tree.map(lambda array: np.zeros(array.shape, array.dtype), spec)
        executable(self._read[program.member], frame).block_until_ready()
