"""A server and a stopwatch: what each child of the switch experiment does while the others sleep.

What the switch experiment starts from: the members that fit, their weights on disk, a frame.
"""

import functools
import pathlib
import time
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import jax
import numpy as np

from dysr_jax.aot import ExecutableCache, count_compilations
from dysr_jax.bench.switch.reload import Shelf, write_shelf
from dysr_jax.bench.switch.servers import STRATEGIES
from dysr_jax.bundle import find_bundle
from dysr_jax.device import device_name, resident_bytes
from dysr_jax.runtime import Bank
from dysr_jax.timing import undisturbed_ms

REST_ROUNDS: Final = 15
"""Frames of each member, taken in turn, by which it is decided whether it fits."""

FRAME: Final = "frame.npy"
REFERENCE: Final = "reference.npy"
"""What the bank makes of the frame: `[members, s H, s W, 3]`."""


class Rest(NamedTuple):
    """The members of a bundle, one at a time."""

    device: str
    dtype: str
    frame: tuple[int, int]
    """LR rows and columns."""
    scale: int
    frame_ms: dict[str, float]
    """By member: host to host, as little as can be of what other programs add."""


class Stage:
    """Times the members of a bundle at rest, and lays out what the servers start from.

    Args:
        bundle: of a bundle directory; None: the weights that come with the package.
        scale: see `find_bundle`.
        frame: LR rows and columns; None: the bundle's.
        members: names; none: all.
    """

    def __init__(
        self, bundle: str | None, scale: int | None, frame: tuple[int, int] | None, members: tuple[str, ...]
    ) -> None:
        self._given = bundle, scale, frame, members

    def rest(self) -> Rest:
        """Time every member.

        Raises:
            InputError: no such bundle or member.
        """
        path, scale, shape, members = self._given
        bundle = self._bundle = find_bundle(path, scale)
        shape = bundle.frame if shape is None else shape
        asked = {bundle.member(name) for name in members} or set(bundle.members)
        names = [member.name for member in bundle.members if member in asked]
        self._frame = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
        self._bank = Bank(bundle, cache=None)
        self._bank.prepare(shape, names)
        calls = {name: functools.partial(self._bank, self._frame, name) for name in names}
        times, dtype = undisturbed_ms(calls, REST_ROUNDS), np.dtype(bundle.net.dtype).name
        return Rest(device_name(), dtype, shape, bundle.space.scale, times)

    def lay_out(self, folder: pathlib.Path, names: Sequence[str]) -> Shelf:
        """Write the members' weights, a frame, and what the bank makes of it."""
        np.save(folder / FRAME, self._frame)
        np.save(folder / REFERENCE, [self._bank(self._frame, name) for name in names])
        return write_shelf(folder, self._bundle, names)


SETTLE: Final = 2
"""Frames that nobody times, after a sleep."""


class Taken(NamedTuple):
    """Seconds of a switch and of the frames after it."""

    member: str
    host: float
    """Of what the host does before the first frame can be dispatched."""
    first: float
    """From before the switch to the end of the first frame, on the host."""
    steady: list[float]
    """Of the frames after it."""


class Turn(NamedTuple):
    """What a child did while the others slept."""

    taken: list[Taken]
    compilations: int
    """Programs that were compiled, or loaded from disk."""


class Contestant:
    """A server and a stopwatch.

    Args:
        name: of `STRATEGIES`.
        shelf: what `Stage.lay_out` left.
        shape: LR rows and columns.
        cache: folder for executables.
    """

    def __init__(self, name: str, shelf: Shelf, shape: tuple[int, int], cache: pathlib.Path) -> None:
        self._kind, self._shelf, self._shape = STRATEGIES[name], shelf, shape
        self._cache = ExecutableCache(cache)
        self._frame = np.load(shelf.folder / FRAME)
        # The backend is up before the clock starts.
        jax.block_until_ready(jax.device_put(self._frame))

    def is_up(self) -> bool:
        """Whether it can be asked for something: always, once this returns."""
        return True

    def ready(self) -> float:
        """Seconds from weights on disk until a frame of any member can be asked for."""
        self._before = resident_bytes()
        start = time.perf_counter()
        self._server = self._kind(self._shelf, self._cache)
        self._server.prepare(self._shape)
        return time.perf_counter() - start

    def levels_off(self) -> int:
        """The largest difference of any pixel of any member to the bank's, in levels of 255."""
        reference = np.load(self._shelf.folder / REFERENCE, mmap_mode="r")
        return max(
            int(np.abs(self._switched(name) - expected.astype(int)).max())
            for name, expected in zip(self._shelf.names, reference, strict=True)
        )

    def _switched(self, member: str) -> np.ndarray:
        self._server.switch(member)
        return self._upscaled(member)

    def _upscaled(self, member: str) -> np.ndarray:
        return np.asarray(self._server.dispatch(self._frame, member))

    def turn(self, path: Sequence[str], steady: int) -> Turn:
        """Start at the first member of a path and switch along it, with steady frames after each switch.

        Raises:
            RuntimeError: something was compiled or loaded by a server that has everything resident.
        """
        self._switched(path[0])
        for _ in range(SETTLE):
            self._upscaled(path[0])
        with count_compilations() as compilations:
            taken = [self._taken(member, steady) for member in path[1:]]
        if compilations.value and not self._kind.loads:
            raise RuntimeError(f"{compilations.value} programs were compiled or loaded meanwhile")
        return Turn(taken, compilations.value)

    def _taken(self, member: str, steady: int) -> Taken:
        start = time.perf_counter()
        self._server.switch(member)
        switched = time.perf_counter()
        self._upscaled(member)
        marks = [time.perf_counter()]
        for _ in range(steady):
            self._upscaled(member)
            marks.append(time.perf_counter())
        after = np.diff(marks).tolist()
        return Taken(member, switched - start, marks[0] - start, after)

    def bytes(self) -> dict[str, Any]:
        """What it takes now, on the device and on the host."""
        resident = resident_bytes()
        stats = jax.local_devices()[0].memory_stats() or {}
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
