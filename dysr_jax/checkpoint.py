"""Checkpoints of the training state, through Orbax: each appears whole or not at all."""

import types
from typing import Any, Self

import jax
import orbax.checkpoint as ocp
from etils import epath

from dysr_jax.atomic import is_remote
from dysr_jax.processes import is_lost


class Checkpoints:
    """The checkpoints of one run, numbered by step; the two newest are kept.

    With several processes, all of them save and restore, into a directory that all of them see.
    """

    def __init__(self, directory: epath.PathLike) -> None:
        options = ocp.CheckpointManagerOptions(max_to_keep=2, create=True)
        path = epath.Path(directory)
        # `absolute` would take gs://bucket for a folder of that name.
        self._manager = ocp.CheckpointManager(
            path if is_remote(path) else path.absolute(), options=options
        )

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

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: types.TracebackType | None,
    ) -> None:
        if not is_lost(error):  # a process that is gone would be waited for in vain
            self.close()
