"""What a bank's executables are named by: member, frame shape and batch."""

from collections.abc import Sequence
from typing import NamedTuple

import chex
import numpy as np

from dysr_jax.errors import InputError
from dysr_jax.runtime.bundle import Bundle


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


def asked_programs(
    bundle: Bundle, shape: tuple[int, int], members: Sequence[str] | None, batch: int | None
) -> list[Program]:
    """Programs of members (default: all), each once.

    Raises:
        InputError: a member that the bundle does not have, or a batch of no frames.
    """
    if batch is not None and batch < 1:
        raise InputError(f"batch {batch}: at least 1 frame at once, or None")
    names = [member.name for member in bundle.members] if members is None else members
    found = [bundle.member(name).name for name in names]
    return [Program(name, shape, batch) for name in dict.fromkeys(found)]


def frame_program(frame: chex.Array, member: str) -> Program:
    """The program of a member that takes a frame, or several at once.

    Raises:
        InputError: the frame is no uint8 RGB image.
    """
    if frame.ndim not in (3, 4) or frame.shape[-1] != 3 or frame.dtype != np.uint8:
        raise InputError(
            f"frame of {frame.shape} {frame.dtype}: allowed is [H, W, 3] uint8, or [N, H, W, 3]"
        )
    *batch, rows, columns, _ = frame.shape
    return Program(member, (rows, columns), batch[0] if batch else None)
