"""Checkpoints of the training state, through Orbax: each appears whole or not at all."""

import types
from typing import Any, Self

import jax
import orbax.checkpoint as ocp
from etils import epath

from dysr_jax.atomic import is_remote
from dysr_jax.distributed import is_lost
from dysr_jax.errors import InputError


class Checkpoints:
    """The checkpoints of one run, numbered by step; the two newest are kept.

    With several processes, all of them save and restore, into a directory that all of them see.
    """

    def __init__(self, directory: epath.PathLike) -> None:
        options = ocp.CheckpointManagerOptions(max_to_keep=2, create=True)
        path = epath.Path(directory)
        # `absolute` would take gs://bucket for a folder of that name.
        self._manager = ocp.CheckpointManager(path if is_remote(path) else path.absolute(), options=options)

    def save(self, step: int, state: Any, data: Any | None = None) -> None:
        """Start to save a pytree, and the position of a Grain iterator `data`; `close` waits for the end."""
        args = ocp.args.StandardSave(state)
        if data is not None:
            from grain.checkpoint import CheckpointSave

            args = ocp.args.Composite(state=args, data=CheckpointSave(data))
        self._manager.save(step, args=args)

    def restore(self, like: Any, data: Any | None = None) -> Any | None:
        """The newest whole checkpoint in the structure and placement of the pytree `like`, None without one.

        `data`, an iterator of Grain, is set to the position that was saved.

        Raises:
            InputError: another number of processes saved `data`.
        """
        step = self._manager.latest_step()
        if step is None:
            return None
        args = ocp.args.StandardRestore(jax.tree.map(ocp.utils.to_shape_dtype_struct, like))
        if data is None:
            return self._manager.restore(step, args=args)
        from grain.checkpoint import CheckpointRestore

        both = ocp.args.Composite(state=args, data=CheckpointRestore(data))
        try:
            return self._manager.restore(step, args=both).state
        except ValueError as error:
            if "process_" not in str(error):
                raise
            raise InputError(
                f"checkpoint {step} holds Grain's position for another number of processes than "
                f"{jax.process_count()}; must be the number that it was saved with"
            ) from None

    def close(self) -> None:
        """Wait for what is being saved."""
        self._manager.wait_until_finished()
        self._manager.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        if not is_lost(error):  # a process that is gone would be waited for in vain
            self.close()
