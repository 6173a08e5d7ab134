"""Ready executables within a number and a number of bytes: the least recently used go first."""

import dataclasses
import itertools
import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import chex
import jax
import numpy as np

from dysr_jax.aot import Executable, Memory
from dysr_jax.errors import InputError
from dysr_jax.fields import as_integer


class Program(NamedTuple):
    """What an executable was compiled for."""

    member: str
    shape: tuple[int, int]
    """LR rows and columns."""
    batch: int | None
    """Frames at once; None: one, without a leading axis."""

    @property
    def size(self) -> str:
        """Batch, rows and columns, as messages name them."""
        return "x".join(str(side) for side in (self.batch, *self.shape) if side is not None)

    def __str__(self) -> str:
        return f"{self.member} at {self.size}"


def check_batch(batch: int | None) -> int | None:
    """A number of frames at once as a Python int, or None.

    Raises:
        InputError: it is not an integer of at least 1.
    """
    if batch is None:
        return None
    count = as_integer(batch)
    if count is None or count < 1:
        raise InputError(f"batch {batch!r}: must be at least 1 frame at once, or None")
    return count


def check_shape(shape: Sequence[int]) -> tuple[int, int]:
    """Rows and columns as Python ints.

    Raises:
        InputError: they are not two integers of at least 1.
    """
    sides = [as_integer(side) for side in shape] if isinstance(shape, Sequence) else []
    if len(sides) != 2 or any(side is None or side < 1 for side in sides):
        raise InputError(f"shape {shape!r}: must be LR rows and columns, two integers of at least 1")
    return sides[0], sides[1]  # type: ignore[return-value]


def check_frame(frame: chex.Array) -> None:
    """Refuse anything but a uint8 RGB frame or a batch of them.

    Raises:
        InputError: names its shape and type.
    """
    if not isinstance(frame, np.ndarray | jax.Array):
        raise InputError(f"frame {type(frame).__name__}: must be an array, [H, W, 3] uint8")
    if frame.ndim not in (3, 4) or frame.shape[-1] != 3 or frame.dtype != np.uint8:
        raise InputError(f"frame of {frame.shape} {frame.dtype}: must be [H, W, 3] uint8, or [N, H, W, 3]")


@dataclasses.dataclass
class Entry:
    """An executable, what a call of it takes, and when it was last used."""

    executable: Executable
    workspace: int
    """Bytes of temporaries, frame and result."""
    used: int = 0
    """The number of its last use, counted over all entries."""


def entries_memory(weights: int, entries: Iterable[Entry]) -> Memory:
    """Bytes of executables and of the largest workspace, beside those of the weights."""
    each = list(entries)
    return Memory(
        weights=weights,
        executables=sum(entry.executable.code_bytes for entry in each),
        workspace=max((entry.workspace for entry in each), default=0),
    )


class ExecutableLRU:
    """Executables by program. Any thread may read while another one adds.

    Args:
        weights: bytes of the resident weights.
        keep: how many executables are held; None: all.
        budget: bytes of weights, executables and the largest workspace together; None: no limit.

    Raises:
        InputError: the weights alone are more than the budget, or `keep` is below 1.
    """

    def __init__(self, *, weights: int, keep: int | None, budget: int | None) -> None:
        if keep is not None and keep < 1:
            raise InputError(f"keep {keep!r}: must be at least 1, or None for all")
        if budget is not None and weights > budget:
            raise InputError(f"budget {budget} bytes: the weights alone are {weights} bytes")
        self._weights, self._keep, self._budget = weights, keep, budget
        self._entries: dict[Program, Entry] = {}
        self._clock = itertools.count()
        self._changing = threading.Lock()

    def get(self, program: Program) -> Executable | None:
        """The executable, which counts as used now; waits for no other thread."""
        entry = self._entries.get(program)
        if entry is None:
            return None
        entry.used = next(self._clock)
        return entry.executable

    def __contains__(self, program: Program) -> bool:
        return program in self._entries

    def programs(self) -> list[Program]:
        """What is ready, in the order of adding."""
        with self._changing:
            return list(self._entries)

    def memory(self) -> Memory:
        """Bytes of what is held."""
        with self._changing:
            return self._memory(self._entries)

    def add(self, new: Mapping[Program, Entry], asked: Sequence[Program]) -> None:
        """Hold more; where that is too much, what was not asked for just now goes.

        Args:
            new: executables.
            asked: programs that stay together: of `new`, or held already.

        Raises:
            InputError: what was asked for is more than the budget; nothing was changed.
        """
        with self._changing:
            every = {**self._entries, **new}
            stay = {program: every[program] for program in asked if program in every}
            self._check_budget(stay)
            for entry in stay.values():
                entry.used = next(self._clock)
            others = [program for program in every if program not in stay]
            for program in sorted(others, key=lambda program: every[program].used):
                if self._fits(every, len(stay)):
                    break
                del every[program]
            self._entries = every  # a reader has the old ones or the new ones

    def _memory(self, entries: Mapping[Program, Entry]) -> Memory:
        return entries_memory(self._weights, entries.values())

    def _fits(self, entries: Mapping[Program, Entry], asked: int) -> bool:
        few = self._keep is None or len(entries) <= max(self._keep, asked)
        return few and (self._budget is None or self._memory(entries).total <= self._budget)

    def _check_budget(self, asked: Mapping[Program, Entry]) -> None:
        needed = self._memory(asked)
        if self._budget is None or needed.total <= self._budget:
            return
        fitting: dict[Program, Entry] = {}
        for program, entry in asked.items():
            if self._memory({**fitting, program: entry}).total <= self._budget:
                fitting[program] = entry
        names = ", ".join(map(str, fitting))
        raise InputError(
            f"budget {self._budget} bytes: {needed.total} are needed ({needed.weights} of weights, "
            f"{needed.executables} of {len(asked)} executables, {needed.workspace} of workspace); what fits "
            f"is {names or 'none of them'}"
        )
