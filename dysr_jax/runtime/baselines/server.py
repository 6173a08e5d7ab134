"""What every way to serve members can do, so that a benchmark treats all alike."""

from typing import ClassVar, Protocol

import chex
import jax

from dysr_jax.runtime.bank import FrameShape
from dysr_jax.runtime.baselines.shelf import Shelf
from dysr_jax.runtime.executables import ExecutableCache
from dysr_jax.runtime.memory import Memory


class Server(Protocol):
    """Serves the members of a shelf, one frame at a time."""

    name: ClassVar[str]
    """As the command line and the tables call it."""
    cached: ClassVar[bool]
    """Whether executables are kept on disk, so that a second start compiles nothing."""
    loads: ClassVar[bool]
    """Whether a switch compiles, or loads from disk. Where it does not, all that is needed is resident."""

    def __init__(self, shelf: Shelf, cache: ExecutableCache) -> None:
        """Read the weights that are resident; compiled executables go to the cache, if any are kept."""
        ...

    def prepare(self, shape: FrameShape) -> None:
        """Do all that can be done before the first frame of LR rows and columns `shape`."""
        ...

    def switch(self, member: str) -> None:
        """Do all that has to happen before a frame can be dispatched to another member."""
        ...

    def dispatch(self, frame: chex.Array, member: str) -> jax.Array:
        """Start to upscale `[H, W, 3]` uint8 to `[s H, s W, 3]` uint8, which stays on the device.

        Args:
            frame: of the prepared shape.
            member: the one that was switched to last.
        """
        ...

    def memory(self) -> Memory:
        """Of what is held now; of a server that reloads, the most that any member takes."""
        ...
