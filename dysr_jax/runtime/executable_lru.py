"""Ready executables within a number and a number of bytes: the least recently used go first."""

import itertools
import threading
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax
import numpy as np

from dysr_jax.aot import Executable, Memory, executables_memory
from dysr_jax.errors import InputError
from dysr_jax.fields import as_integer, require
from dysr_jax.model import RGB, Frame, FrameFormat, frame_spec
from dysr_jax.runtime.server import FrameLike


class Program(NamedTuple):
    """What an executable was compiled for."""

    member: str
    shape: tuple[int, int]  # LR rows and columns
    batch: int | None = None  # frames at once; None: one, without a leading axis
    frames: FrameFormat = RGB

    @property
    def size(self) -> str:
        """Batch, rows and columns, as messages name them."""
        return "x".join(str(side) for side in (self.batch, *self.shape) if side is not None)

    def __str__(self) -> str:
        return f"{self.member} at {self.size}"


def check_batch(batch: int | None) -> int | None:
    """A number of frames at once as a Python int, or None; at least 1."""
    count = None if batch is None else as_integer(batch) or 0
    require(count is None or count >= 1, "batch", batch, "at least 1 frame at once, or None")
    return count


def check_shape(shape: Sequence[int]) -> tuple[int, int]:
    """Rows and columns as Python ints, at least 1."""
    sides = [as_integer(side) for side in shape] if isinstance(shape, Sequence) else []
    valid = len(sides) == 2 and all(side is not None and side >= 1 for side in sides)
    require(valid, "shape", shape, "LR rows and columns, two integers of at least 1")
    return sides[0], sides[1]  # type: ignore[return-value]


def check_frame(frame: FrameLike) -> tuple[tuple[int, int], int | None, FrameFormat]:
    """Rows and columns of an upright frame, the batch and the format; refuses anything but a uint8 RGB frame,
    a batch of them, or the arrays of a frame as its format says.
    """
    if isinstance(frame, Frame):
        return _check_planes(frame), None, frame.format
    if not isinstance(frame, np.ndarray | jax.Array):
        raise InputError(f"frame {type(frame).__name__}: must be an array, [H, W, 3] uint8")
    if frame.ndim not in (3, 4) or frame.shape[-1] != 3 or frame.dtype != np.uint8:
        raise InputError(f"frame of {frame.shape} {frame.dtype}: must be [H, W, 3] uint8, or [N, H, W, 3]")
    *batch, rows, columns, _ = frame.shape
    return (rows, columns), batch[0] if batch else None, RGB


def _check_planes(frame: Frame) -> tuple[int, int]:
    form, first = frame.format, frame.arrays[0]
    shape = form.stored((first.shape[0], first.shape[1]))  # swapping is its own inverse
    expected = [(spec.shape, spec.dtype) for spec in frame_spec(shape, None, form)]
    found = [(array.shape, array.dtype) for array in frame.arrays]
    require(found == expected, "frame", found, f"planes of {expected}")
    return shape


class ExecutableLRU:
    """Executables by program. Any thread may read while another one adds.

    At most `keep` are held (None: all), and at most `budget` bytes of weights, executables and the largest
    workspace together (None: no limit).
    """

    def __init__(self, *, weights: int, keep: int | None, budget: int | None) -> None:
        require(keep is None or keep >= 1, "keep", keep, "at least 1, or None for all")
        if budget is not None and weights > budget:
            raise InputError(f"budget {budget} bytes: the weights alone are {weights} bytes")
        self._weights, self._keep, self._budget = weights, keep, budget
        self._entries: dict[Program, Executable] = {}
        self._used: dict[Program, int] = {}  # the number of its last use, counted over all
        self._clock = itertools.count()
        self._changing = threading.Lock()

    def get(self, program: Program) -> Executable | None:
        """The executable, which counts as used now; does not wait for other threads."""
        executable = self._entries.get(program)
        if executable is not None:
            self._used[program] = next(self._clock)
        return executable

    def __contains__(self, program: Program) -> bool:
        return program in self._entries

    def programs(self) -> list[Program]:
        """What is ready, in the order of adding."""
        return list(self._entries)

    def memory(self, entries: Mapping[Program, Executable] | None = None) -> Memory:
        """Bytes of what is held, or of other entries."""
        return executables_memory(self._weights, (self._entries if entries is None else entries).values())

    def add(self, new: Mapping[Program, Executable], asked: Sequence[Program]) -> None:
        """Hold more; if that is too much, programs that are not `asked` for go.

        If what was asked for is more than the budget, that is an InputError, and nothing was changed.
        """
        with self._changing:
            every = {**self._entries, **new}
            stay = {program: every[program] for program in asked if program in every}
            self._check_budget(stay)
            self._used |= {program: next(self._clock) for program in stay}
            others = [program for program in every if program not in stay]
            for program in sorted(others, key=lambda program: self._used.get(program, 0)):
                if self._fits(every, len(stay)):
                    break
                del every[program]
                self._used.pop(program, None)
            self._entries = every  # a reader has the old ones or the new ones

    def _fits(self, entries: Mapping[Program, Executable], asked: int) -> bool:
        few = self._keep is None or len(entries) <= max(self._keep, asked)
        return few and (self._budget is None or self.memory(entries).total <= self._budget)

    def _check_budget(self, asked: Mapping[Program, Executable]) -> None:
        needed = self.memory(asked)
        if self._budget is None or needed.total <= self._budget:
            return
        fitting: dict[Program, Executable] = {}
        for program, executable in asked.items():
            if self.memory({**fitting, program: executable}).total <= self._budget:
                fitting[program] = executable
        code = f"{needed.weights} of weights, {needed.executables} of {len(asked)} executables"
        told = f"{needed.total} are needed ({code}, {needed.workspace} of workspace)"
        fits = ", ".join(map(str, fitting)) or "none of them"
        raise InputError(f"budget {self._budget} bytes: {told}; what fits is {fits}")
