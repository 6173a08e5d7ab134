"""What runs in the children of the experiment, and the children: each does its part when asked, then sleeps.

A process pool of one would do, but for three things that only its private parts tell or do: why a child
ended, that it ends now though it computes, and that Ctrl-C reaches the parent alone.
"""

import contextlib
import functools
import multiprocessing
import os
import pathlib
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from typing import Any, Final, NamedTuple

import jax
import numpy as np

from dysr_jax.aot import ExecutableCache, count_compilations
from dysr_jax.bench.switch.result import MemberAtRest, SwitchResult
from dysr_jax.bench.switch.servers import Reload, find_strategy
from dysr_jax.bench.switch.weights_store import WeightsStore, write_weights_store
from dysr_jax.bundle import find_bundle
from dysr_jax.device import device_name, resident_bytes
from dysr_jax.errors import InputError
from dysr_jax.runtime import Bank, FrameShape
from dysr_jax.timing import undisturbed_ms
from dysr_jax.user_modules import register_inherited

REST_ROUNDS: Final = 15  # frames of each member, taken in turn, that decide whether it holds the frame rate
UNTIMED_FRAMES: Final = 2  # frames after a sleep that do not count

FRAME: Final = "frame.npy"
REFERENCE: Final = "reference.npy"  # what the bank makes of the frame: `[members, s H, s W, 3]`


class RestWorker:
    """Times members (none: all) of a `find_bundle`, at rest, at LR rows and columns (None: the bundle's), and
    writes what the servers start from.
    """

    def __init__(
        self, bundle: str | None, scale: int | None, frame: FrameShape | None, members: tuple[str, ...]
    ) -> None:
        self._given = bundle, scale, frame, members

    def time_members(self, fps: float) -> SwitchResult:
        """Time every member, host to host, with the least possible influence of other programs."""
        path, scale, shape, members = self._given
        bundle = find_bundle(path, scale)
        shape = bundle.frame if shape is None else shape
        asked = {bundle.member(name) for name in members} or set(bundle.members)
        names = [member.name for member in bundle.members if member in asked]
        self._frame = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
        self._bank = Bank(bundle, cache=None)
        self._bank.prepare(shape, names)
        calls = {name: functools.partial(self._bank, self._frame, name) for name in names}
        timed = [MemberAtRest(*item) for item in undisturbed_ms(calls, REST_ROUNDS).items()]
        return SwitchResult(
            device=device_name(),
            frame=shape,
            scale=bundle.space.scale,
            dtype=np.dtype(bundle.net.dtype).name,
            fps=fps,
            members=tuple(member for member in timed if member.rest_ms <= 1e3 / fps),
            left_out=tuple(member for member in timed if member.rest_ms > 1e3 / fps),
        )

    def write_store(self, folder: pathlib.Path, names: Sequence[str]) -> WeightsStore:
        """Write the members' weights, a frame, and what the bank makes of it."""
        np.save(folder / FRAME, self._frame)
        np.save(folder / REFERENCE, [self._bank(self._frame, name) for name in names])
        return write_weights_store(folder, self._bank.bundle, names)


class SwitchTiming(NamedTuple):
    """Seconds of a switch and of the frames after it."""

    member: str
    host: float  # of what the host does before the first frame can be dispatched
    first: float  # from before the switch to the end of the first frame, on the host
    steady: list[float]  # of the frames after it


class StrategyWorker:
    """A server and a stopwatch, over what `RestWorker.write_store` left; `cache` is a folder."""

    def __init__(self, name: str, store: WeightsStore, shape: FrameShape, cache: pathlib.Path) -> None:
        self._strategy, self._store, self._shape = find_strategy(name), store, shape
        self._cache = ExecutableCache(cache)
        self._frame = np.load(store.folder / FRAME)
        jax.block_until_ready(jax.device_put(self._frame))  # the backend is up before the clock starts

    def is_up(self) -> None:
        """Return as soon as the process answers."""

    def ready(self) -> float:
        """Seconds from weights on disk until a frame of any member can be asked for."""
        self._before = resident_bytes()
        start = time.perf_counter()
        self._server = self._strategy.make(self._store, self._cache)
        self._server.prepare(self._shape)
        return time.perf_counter() - start

    def max_abs_diff(self) -> int:
        """The largest difference of any pixel of any member to the bank's, in levels of 255."""
        reference = np.load(self._store.folder / REFERENCE, mmap_mode="r")
        pairs = zip(self._store.names, reference, strict=True)
        return max(
            int(np.abs(self._server(self._frame, name) - made.astype(int)).max()) for name, made in pairs
        )

    def time_switches(self, path: Sequence[str], steady: int) -> tuple[list[SwitchTiming], int]:
        """Switch along a path from its first member, with steady frames after each switch: times, and how
        many programs were compiled or loaded, which must be none where a server has everything resident.
        """
        for _ in range(1 + UNTIMED_FRAMES):
            self._server(self._frame, path[0])
        with count_compilations() as compilations:
            timings = [self._time_switch(member, steady) for member in path[1:]]
        if compilations.value and not self._strategy.loads:
            raise RuntimeError(f"{compilations.value} programs were compiled or loaded meanwhile")
        return timings, compilations.value

    def _time_switch(self, member: str, steady: int) -> SwitchTiming:
        start = time.perf_counter()
        if isinstance(self._server, Reload):
            self._server.switch(member)
        switched = time.perf_counter()
        marks = []
        for _ in range(1 + steady):
            self._server(self._frame, member)
            marks.append(time.perf_counter())
        return SwitchTiming(member, switched - start, marks[0] - start, np.diff(marks).tolist())

    def bytes(self) -> dict[str, int | None]:
        """Memory in use, on the device and on the host."""
        resident, stats = resident_bytes(), jax.local_devices()[0].memory_stats() or {}
        memory = self._server.memory()
        return {
            "weight_bytes": memory.weights,
            "executable_bytes": memory.executables,
            "workspace_bytes": memory.workspace,
            "device_bytes": memory.total,
            "own_workspace_bytes": memory.own_workspaces or None,
            "peak_bytes": stats.get("peak_bytes_in_use"),
            "rss_bytes": resident,
            "rss_before_bytes": self._before,
        }


class ChildError(RuntimeError):
    """A child raised, or ended before it answered."""


class Child(contextlib.AbstractContextManager["Child"]):
    """An object that lives in a process of its own, where `make`, a class or function of a module, makes it
    from `given`; a context, at whose end the process ends.
    """

    def __init__(self, make: Callable[..., Any], *given: Any) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self.process = context.Process(target=_answer, args=(theirs, make, given), daemon=True)
        with _uninterrupted():
            self.process.start()
        theirs.close()

    def __exit__(self, *_: object) -> None:
        """End the process, whatever it does."""
        self.process.kill()
        self.process.join()
        self._connection.close()

    def call(self, method: str, *given: Any) -> Any:
        """Call a method of the object, and wait for what it returns; an InputError is raised as it is,
        anything else, or the end of the process, as a ChildError of one line.
        """
        try:
            with contextlib.suppress(OSError):  # it has ended; perhaps it said why
                self._connection.send((method, given))
            outcome, value = self._connection.recv()
        except (EOFError, OSError):
            self.process.join()
            raise ChildError(_end(self.process.exitcode)) from None
        if outcome is not None:
            raise outcome(value)
        return value


def _end(code: int | None) -> str:
    if code == -signal.SIGKILL:
        return "its process was killed (out of memory?)"
    return f"its process ended ({'signal' if code and code < 0 else 'exit code'} {abs(code or 0)})"


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """A process that starts here never receives Ctrl-C; this one receives it afterwards."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # its start would unblock the signal
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _answer(connection: Connection, make: Callable[..., Any], given: tuple[Any, ...]) -> None:
    """Make the object, and call its methods, until the parent ends or one of them raises. An answer is an
    exception's class and text, or None and what the method returned.
    """
    _set_up()
    with contextlib.suppress(EOFError, OSError):  # the parent ended
        try:
            register_inherited()
            made = make(*given)
            while True:
                method, arguments = connection.recv()
                connection.send((None, getattr(made, method)(*arguments)))
        except (EOFError, BrokenPipeError):
            pass
        except InputError as error:
            connection.send((InputError, str(error)))
        except Exception as error:
            first = (str(error).strip().splitlines() or [""])[0]
            connection.send((ChildError, f"{type(error).__name__}: {first}".removesuffix(": ")))


def _set_up() -> None:
    """Before JAX is used: children share a GPU, and every compilation is a real one."""
    os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"
    jax.config.update("jax_enable_compilation_cache", False)
