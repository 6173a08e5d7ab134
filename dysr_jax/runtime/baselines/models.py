"""A member as a model of its own: its weights, its executable, nothing shared with another member."""

from typing import NamedTuple

import jax

from dysr_jax.model.supernet import Params
from dysr_jax.runtime.bank import FrameShape
from dysr_jax.runtime.baselines.shelf import Shelf
from dysr_jax.runtime.executables import Executable, ExecutableCache
from dysr_jax.runtime.memory import Memory, tree_bytes, workspace_bytes
from dysr_jax.runtime.static import static_executable


class Model(NamedTuple):
    """Weights and the executable that reads them."""

    params: Params
    executable: Executable

    def memory(self) -> Memory:
        """Of this model alone."""
        weights = tree_bytes(self.params)
        workspace = workspace_bytes(self.executable.compiled, weights)
        return Memory(weights, self.executable.code_bytes, workspace)


def read_model(shelf: Shelf, member: str, shape: FrameShape, cache: ExecutableCache) -> Model:
    """A member's weights from disk, and its executable from the cache, or compiled if it is not there."""
    params, arch = shelf.own(member), shelf.members.member(member).arch
    executable = static_executable(shelf.net(member), arch, params, shape, cache=cache)
    jax.block_until_ready(params)
    return Model(params, executable)
