"""What runs in the experiment's children: one that times the members at rest, and one per strategy."""

import functools
import pathlib
import time
from collections.abc import Sequence
from typing import Final, NamedTuple

import jax
import numpy as np

from dysr_jax.aot import ExecutableCache, count_compilations
from dysr_jax.bench.switch.result import MemberAtRest, SwitchResult
from dysr_jax.bench.switch.servers import STRATEGIES, Reload
from dysr_jax.bench.switch.weights_store import WeightsStore, write_weights_store
from dysr_jax.bundle import find_bundle
from dysr_jax.device import device_name, resident_bytes
from dysr_jax.runtime import Bank, FrameShape
from dysr_jax.timing import undisturbed_ms

REST_ROUNDS: Final = 15
"""Frames of each member, taken in turn, that decide whether it holds the frame rate."""

UNTIMED_FRAMES: Final = 2
"""Frames after a sleep that do not count."""

FRAME: Final = "frame.npy"
REFERENCE: Final = "reference.npy"
"""What the bank makes of the frame: `[members, s H, s W, 3]`."""


class RestWorker:
    """Times the members of a bundle at rest, and writes what the servers start from.

    Arguments are those of `find_bundle`, LR rows and columns (None: the bundle's), and members (none: all).
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
        self._strategy, self._store, self._shape = STRATEGIES[name], store, shape
        self._cache = ExecutableCache(cache)
        self._frame = np.load(store.folder / FRAME)
        # The backend is up before the clock starts.
        jax.block_until_ready(jax.device_put(self._frame))

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
        return max(
            int(np.abs(self._server(self._frame, name) - expected.astype(int)).max())
            for name, expected in zip(self._store.names, reference, strict=True)
        )

    def time_switches(self, path: Sequence[str], steady: int) -> tuple[list[SwitchTiming], int]:
        """Start at the first member of a path and switch along it, with steady frames after each switch.

        Returns times, and the number of programs that were compiled, or loaded from disk; there must be none
        where a server has everything resident.
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
            "peak_bytes": stats.get("peak_bytes_in_use"),
            "rss_bytes": resident,
            "rss_before_bytes": self._before,
        }
