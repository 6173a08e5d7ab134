"""What a bank's executables are named by: member, frame shape and batch."""

from collections.abc import Sequence
from typing import NamedTuple

import chex
import numpy as np

from dysr_jax.errors import InputError
from dysr_jax.runtime.bundle import Bundle
from dysr_jax.space import arch_name


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


def check_batch(batch: int | None) -> None:
    """Refuse a number of frames at once that is none.

    Raises:
        InputError: it is below 1.
    """
    if batch is not None and batch < 1:
        raise InputError(f"batch {batch}: at least 1 frame at once, or None")


def check_frame(frame: chex.Array) -> None:
    """Refuse what is no uint8 RGB image, nor several.

    Raises:
        InputError: names its shape and type.
    """
    if frame.ndim not in (3, 4) or frame.shape[-1] != 3 or frame.dtype != np.uint8:
        raise InputError(
            f"frame of {frame.shape} {frame.dtype}: allowed is [H, W, 3] uint8, or [N, H, W, 3]"
        )


def asked_programs(
    bundle: Bundle, shape: tuple[int, int], members: Sequence[str] | None, batch: int | None
) -> list[Program]:
    """Programs of members (default: all), each once.

    Raises:
        InputError: neither a member nor an arch has that name, or a batch of no frames.
    """
    check_batch(batch)
    names = [member.name for member in bundle.members] if members is None else members
    found = [arch_name(bundle.space, bundle.arch(name)) for name in names]
    return [Program(name, shape, batch) for name in dict.fromkeys(found)]


def program_of(frame: chex.Array, member: str) -> Program:
    """The program of a member that takes a frame, or several at once.

    Raises:
        InputError: the frame is no uint8 RGB image.
    """
    check_frame(frame)
    *batch, rows, columns, _ = frame.shape
    return Program(member, (rows, columns), batch[0] if batch else None)
