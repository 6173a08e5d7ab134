"""What a bank's executables are named by: member, frame shape and batch."""

from collections.abc import Sequence
from typing import NamedTuple

import chex
import jax
import numpy as np

from dysr_jax.errors import InputError
from dysr_jax.given import as_integer
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
        raise InputError(
            f"shape {shape!r}: must be LR rows and columns, two integers of at least 1"
        )
    return sides[0], sides[1]  # type: ignore[return-value]


def check_frame(frame: chex.Array) -> None:
    """Refuse what is no uint8 RGB image, nor several.

    Raises:
        InputError: names its shape and type.
    """
    if not isinstance(frame, np.ndarray | jax.Array):
        raise InputError(f"frame {type(frame).__name__}: must be an array, [H, W, 3] uint8")
    if frame.ndim not in (3, 4) or frame.shape[-1] != 3 or frame.dtype != np.uint8:
        raise InputError(
            f"frame of {frame.shape} {frame.dtype}: allowed is [H, W, 3] uint8, or [N, H, W, 3]"
        )


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
