"""Checkpoints of the training state, through Orbax: each appears whole or not at all."""

from typing import Any

import jax
import orbax.checkpoint as ocp
from etils import epath


class Checkpoints:
    """The checkpoints of one run, numbered by step; the two newest are kept."""

    def __init__(self, directory: epath.PathLike) -> None:
        options = ocp.CheckpointManagerOptions(max_to_keep=2, create=True)
        self._manager = ocp.CheckpointManager(epath.Path(directory).absolute(), options=options)

    def save(self, step: int, state: Any) -> None:
        """Start to save a pytree; training goes on meanwhile. `close` waits for the end."""
        self._manager.save(step, args=ocp.args.StandardSave(state))

    def restore(self, like: Any) -> Any | None:
        """The newest whole checkpoint in the structure and placement of `like`, None without one."""
        step = self._manager.latest_step()
        if step is None:
            return None
        abstract = jax.tree.map(ocp.utils.to_shape_dtype_struct, like)
        return self._manager.restore(step, args=ocp.args.StandardRestore(abstract))

    def close(self) -> None:
        """Wait for what is being saved."""
        self._manager.wait_until_finished()
        self._manager.close()
