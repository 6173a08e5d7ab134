"""Ready executables within a number and a number of bytes; the least recently used go first.

What a bank's executables are named by: member, frame shape and batch.
"""

import dataclasses
import itertools
import threading
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import chex
import jax
import numpy as np

from dysr_jax.aot import Executable, Memory
from dysr_jax.bundle import Bundle
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
        """As messages name it."""
        size = f"{self.shape[0]}x{self.shape[1]}"
        return size if self.batch is None else f"{self.batch}x{size}"

    def __str__(self) -> str:
        """Member and size."""
        return f"{self.member} at {self.size}"


def check_batch(batch: int | None) -> int | None:
    """A number of frames at once as a Python int, or None.

    Raises:
        InputError: it is no integer of at least 1.
    """
    if batch is None:
        return None
    count = as_integer(batch)
    if count is None or count < 1:
        raise InputError(f"batch {batch!r}: at least 1 frame at once, or None")
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
    """Refuse what is no uint8 RGB image, nor several.

    Raises:
        InputError: names its shape and type.
    """
    if not isinstance(frame, np.ndarray | jax.Array):
        raise InputError(f"frame {type(frame).__name__}: must be an array, [H, W, 3] uint8")
    if frame.ndim not in (3, 4) or frame.shape[-1] != 3 or frame.dtype != np.uint8:
        raise InputError(f"frame of {frame.shape} {frame.dtype}: allowed is [H, W, 3] uint8, or [N, H, W, 3]")


def asked_programs(
    bundle: Bundle, shape: tuple[int, int], members: Sequence[str] | None, batch: int | None
) -> list[Program]:
    """Programs of members (default: all), each once.

    Raises:
        InputError: neither a member nor an arch has that name, or a shape or batch of no frames.
    """
    shape, batch = check_shape(shape), check_batch(batch)
    if isinstance(members, str):
        raise InputError(f"members {members!r}: must be a list of names")
    names = [member.name for member in bundle.members] if members is None else members
    found = [bundle.canonical(name) for name in names]
    return [Program(name, shape, batch) for name in dict.fromkeys(found)]


def program_of(frame: chex.Array, member: str) -> Program:
    """The program of a member that takes a frame, or several at once.

    Raises:
        InputError: the frame is no uint8 RGB image.
    """
    check_frame(frame)
    *batch, rows, columns, _ = frame.shape
    return Program(member, (rows, columns), batch[0] if batch else None)


@dataclasses.dataclass
class Entry:
    """An executable, what a call of it takes, and when it was last used."""

    executable: Executable
    workspace: int
    """Bytes of temporaries, frame and result."""
    used: int = 0
    """By the count of all uses."""


class Held:
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
        self._weights = weights
        self._keep = keep
        self._budget = budget
        self._entries: dict[Program, Entry] = {}
        self._clock = itertools.count()
        self._changing = threading.Lock()

    def get(self, program: Program) -> Executable | None:
        """The executable, which counts as used now; waits for nobody."""
        entry = self._entries.get(program)
        if entry is None:
            return None
        entry.used = next(self._clock)
        return entry.executable

    def __contains__(self, program: Program) -> bool:
        """Whether it is ready."""
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
        """Hold more; what was not asked for just now, and is too much, goes.

        Args:
            new: executables.
            asked: these stay together: programs of `new`, and ones that are held already.

        Raises:
            InputError: what was asked for is more than the budget; nothing was changed.
        """
        with self._changing:
            every = {**self._entries, **new}
            stay = {program: every[program] for program in asked if program in every}
            self._refuse(stay)
            for entry in stay.values():
                entry.used = next(self._clock)
            others = [program for program in every if program not in stay]
            for program in sorted(others, key=lambda program: every[program].used):
                if self._fits(every, len(stay)):
                    break
                del every[program]
            self._entries = every  # a reader has the old ones or the new ones

    def _fits(self, entries: Mapping[Program, Entry], asked: int) -> bool:
        few = self._keep is None or len(entries) <= max(self._keep, asked)
        return few and (self._budget is None or self._memory(entries).total <= self._budget)

    def _refuse(self, asked: Mapping[Program, Entry]) -> None:
        """Raise if what was asked for is more than the budget."""
        needed = self._memory(asked)
        if self._budget is None or needed.total <= self._budget:
            return
        fitting: dict[Program, Entry] = {}
        for program, entry in asked.items():
            if self._memory({**fitting, program: entry}).total <= self._budget:
                fitting[program] = entry
        names = ", ".join(str(program) for program in fitting)
        raise InputError(
            f"budget {self._budget} bytes: {needed.total} are needed ({needed.weights} of weights, "
            f"{needed.executables} of {len(asked)} executables, {needed.workspace} of workspace); what fits "
            f"is {names or 'none of them'}"
        )

    def _memory(self, entries: Mapping[Program, Entry]) -> Memory:
        return Memory(
            weights=self._weights,
            executables=sum(entry.executable.code_bytes for entry in entries.values()),
            workspace=max((entry.workspace for entry in entries.values()), default=0),
        )
