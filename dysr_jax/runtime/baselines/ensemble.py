"""The members as separate models, all of them resident."""

from typing import ClassVar

import chex
import jax
import numpy as np

from dysr_jax.runtime.bank import FrameShape
from dysr_jax.runtime.baselines.models import Model, read_model
from dysr_jax.runtime.baselines.shelf import Shelf
from dysr_jax.runtime.executables import ExecutableCache
from dysr_jax.runtime.memory import Memory
from dysr_jax.threads import in_threads


class Ensemble:
    """Every member with its own weights and its own executable."""

    name: ClassVar[str] = "ensemble"
    cached: ClassVar[bool] = True
    loads: ClassVar[bool] = False

    def __init__(self, shelf: Shelf, cache: ExecutableCache) -> None:
        self._shelf, self._cache = shelf, cache
        self._models: dict[str, Model] = {}

    def prepare(self, shape: FrameShape) -> None:
        """Read all weights; compile all executables in threads, or load them; run each once."""
        names = self._shelf.names
        models = in_threads(lambda n: read_model(self._shelf, n, shape, self._cache), names)
        self._models = dict(zip(names, models, strict=True))
        blank = np.zeros((*shape, 3), np.uint8)
        for name in names:
            self.dispatch(blank, name).block_until_ready()

    def switch(self, member: str) -> None:
        """Nothing: every member is resident."""

    def dispatch(self, frame: chex.Array, member: str) -> jax.Array:
        """Run the member's executable over its own weights."""
        model = self._models[member]
        return model.executable(model.params, frame)

    def memory(self) -> Memory:
        """All weights and all executables, and the largest workspace: one frame at a time."""
        each = [model.memory() for model in self._models.values()]
        return Memory(
            weights=sum(memory.weights for memory in each),
            executables=sum(memory.executables for memory in each),
            workspace=max((memory.workspace for memory in each), default=0),
        )
