"""The bank: executables of a bundle's members, compiled ahead of time over one parameter pytree.

All weights are resident and all executables are ready, so a switch is the choice of another executable:
nothing is compiled, copied or loaded.

Compiling while frames go on: one job at a time, in one thread.

The thread has the priority of all others on purpose. One that stands back is held up with the interpreter
lock in its hands, and the frames with it: on a CPU that frames keep busy, the slowest took half as long
again beside a thread of the lowest priority. Handing over the lock more often changed nothing.

A bundle's weights on the device, and executables over them.
"""

import concurrent.futures
import functools
import threading
from collections.abc import Callable, Sequence

import chex
import jax
import numpy as np

from dysr_jax.aot import (
    DEFAULT_CACHE,
    Compile,
    Executable,
    ExecutableCache,
    Memory,
    compile_now,
    static_executable,
    tree_bytes,
    workspace_bytes,
)
from dysr_jax.bundle import Bundle, check_bundle
from dysr_jax.errors import InputError
from dysr_jax.model import Output, Params, arch_params, check_output, frame_spec
from dysr_jax.runtime.executable_lru import Entry, Held, Program, asked_programs, check_shape, program_of
from dysr_jax.threads import in_threads


class Background:
    """A thread of jobs; it starts with the first one."""

    def __init__(self) -> None:
        self._jobs = concurrent.futures.ThreadPoolExecutor(1, "prepare")
        self._closed = threading.Event()

    def submit(self, job: Callable[[], None]) -> concurrent.futures.Future[None]:
        """Run a job after those before it; what it raises is in the future.

        After `close`, and when the interpreter ends, the future is cancelled at once.
        """
        try:
            return self._jobs.submit(job)
        except RuntimeError:  # the pool takes no more
            refused: concurrent.futures.Future[None] = concurrent.futures.Future()
            refused.cancel()
            refused.set_running_or_notify_cancel()
            return refused

    def compile_lowered(self, lowered: jax.stages.Lowered) -> jax.stages.Compiled:
        """Compile for a job.

        Raises:
            CancelledError: no more is wanted.
        """
        if self._closed.is_set():
            raise concurrent.futures.CancelledError
        return lowered.compile()

    def close(self) -> None:
        """Jobs that have not begun are cancelled; one that has compiles nothing more."""
        self._closed.set()
        self._jobs.shutdown(wait=False, cancel_futures=True)


class Resident:
    """The weights, once, and what of them each member reads.

    Args:
        bundle: the members and their weights.
        cache: where executables are looked for and kept; None: all are compiled.
        output: where results lie.
    """

    def __init__(self, bundle: Bundle, *, cache: ExecutableCache | None, output: Output) -> None:
        self._bundle = bundle
        self._cache = cache
        self._output = output
        self._params = jax.device_put(bundle.params)
        self.read: dict[str, Params] = {}
        """By arch's name, once it has an entry: the first argument of its executables."""

    @property
    def weights(self) -> int:
        """Bytes of all weights, what several members read counted once."""
        return tree_bytes(self._params)

    def entry(self, program: Program, compile_lowered: Compile = compile_now) -> Entry:
        """The executable of a program, from the cache or compiled by `compile_lowered`.

        Raises:
            InputError: weights that it reads were not kept.
        """
        arch = self._bundle.arch(program.member)
        read = arch_params(self._params, self._bundle.space, arch)
        executable = static_executable(
            self._bundle.net,
            arch,
            self._params,
            program.shape,
            batch=program.batch,
            output=self._output,
            cache=self._cache,
            compile_lowered=compile_lowered,
        )
        self.read.setdefault(program.member, read)
        return Entry(executable, workspace_bytes(executable.compiled, tree_bytes(read)))

    def warm_up(self, program: Program, executable: Executable) -> None:
        """Run it once, on a black frame: some backends finish their work at the first run."""
        spec = frame_spec(program.shape, program.batch)
        blank = np.zeros(spec.shape, spec.dtype)
        executable(self.read[program.member], blank).block_until_ready()


FrameShape = tuple[int, int]
"""LR rows and columns."""


class Bank:
    """Ready executables by member, frame shape and batch. The member is an argument; none is "set active".

    Any thread may send frames while another one prepares.

    Args:
        bundle: the members and their weights.
        keep: how many executables are held; the least recently used go first. None: all.
        budget: bytes of weights, executables and the largest workspace together (`memory`), likewise.
            While executables are being compiled those that they replace are still there.
        cache: where executables are looked for and kept on disk; None: all are compiled.
        output: where results lie; `host` is pinned host memory, where the device has it.

    Raises:
        InputError: the weights alone are more than the budget, `keep` is below 1, or `output` is another.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        keep: int | None = None,
        budget: int | None = None,
        cache: ExecutableCache | None = DEFAULT_CACHE,
        output: Output = "device",
    ) -> None:
        check_bundle(bundle)
        self.bundle = bundle
        # A hit is a look-up; the names of archs that a stream can go through are few.
        self._name = functools.lru_cache(maxsize=4096)(self._find_name)
        check_output(output)
        self._resident = Resident(bundle, cache=cache, output=output)
        self._held = Held(weights=self._resident.weights, keep=keep, budget=budget)
        self._background = Background()

    def prepare(
        self,
        shape: FrameShape,
        members: Sequence[str] | None = None,
        *,
        batch: int | None = None,
        warm_up: bool = True,
    ) -> None:
        """Compile members (default: all) for a frame shape, in threads; or load them from the cache.

        Args:
            shape: LR rows and columns.
            members: their names, or those of other archs whose weights the bundle has.
            batch: frames at once, `[N, H, W, 3]`; None: one, `[H, W, 3]`.
            warm_up: run each new executable once, so that its first frame is as fast as the next.

        Raises:
            InputError: a member that the bundle does not have, or more than the budget; what was ready
                before still is.
        """
        programs = asked_programs(self.bundle, shape, members, batch)
        missing = [program for program in programs if program not in self._held]
        entries = dict(zip(missing, in_threads(self._resident.entry, missing), strict=True))
        self._held.add(entries, programs)
        for program, entry in entries.items() if warm_up else ():
            self._resident.warm_up(program, entry.executable)

    def prepare_soon(
        self, shape: FrameShape, members: Sequence[str] | None = None, *, batch: int | None = None
    ) -> "concurrent.futures.Future[None]":
        """Like `prepare`, one after the other in a thread; frames go on meanwhile.

        Each member is ready as soon as it is compiled.

        Returns:
            Done when all are ready; it holds what `prepare` would have raised.
        """

        def job() -> None:
            programs = asked_programs(self.bundle, shape, members, batch)
            for program in programs:
                if program not in self._held:
                    entry = self._resident.entry(program, self._background.compile_lowered)
                    self._resident.warm_up(program, entry.executable)
                    self._held.add({program: entry}, programs)

        return self._background.submit(job)

    def close(self) -> None:
        """Prepare nothing more in the background: futures are cancelled, after what is compiled just now.

        Without this a process that ends waits for what it asked `prepare_soon` for. Frames still go.
        """
        self._background.close()

    def is_ready(self, member: str, shape: FrameShape, *, batch: int | None = None) -> bool:
        """Whether frames of this shape can be sent to a member."""
        return Program(self._name(member), check_shape(shape), batch) in self._held

    def canonical(self, member: str) -> str:
        """The one spelling of a name (`Bundle.canonical`); one that means nothing here stays as it is."""
        return self._name(member)

    def _find_name(self, member: str) -> str:
        try:
            return self.bundle.canonical(member)
        except InputError:
            return member

    def memory(self) -> Memory:
        """What is held: bytes of weights, executables and workspace."""
        return self._held.memory()

    def dispatch(self, frame: chex.Array, member: str) -> jax.Array:
        """Start to upscale a frame, or several at once; the result is an array that is still being computed.

        Args:
            frame: `[H, W, 3]` or `[N, H, W, 3]` uint8, on the host or on the device.
            member: a member's name, `fastest` or `best`, or the name of an arch that was prepared; however it
                is spelled.

        Returns:
            `[s H, s W, 3]` or `[N, s H, s W, 3]` uint8.

        Raises:
            InputError: the frame is no uint8 RGB image, or the bank was not prepared for this member,
                frame shape and batch.
        """
        member = self._name(member)
        program = program_of(frame, member)
        executable = self._held.get(program)
        if executable is None:
            ready = ", ".join(str(program) for program in self._held.programs())
            raise InputError(
                f"member {member!r} is not prepared for a frame of {program.size}; ready are "
                f"{ready or 'none'}"
            )
        return executable(self._resident.read[member], frame)

    def __call__(self, frame: chex.Array, member: str) -> np.ndarray:
        """Upscale a frame, or several at once: as `dispatch`, on the host."""
        return np.asarray(self.dispatch(frame, member))
