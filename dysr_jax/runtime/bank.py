"""The bank: executables of a bundle's members, compiled ahead of time over one parameter pytree.

All weights are resident and all executables are ready, so a switch is the choice of another executable:
nothing is compiled, copied or loaded.
"""

import concurrent.futures
import os
from collections.abc import Sequence
from typing import Any

import chex
import jax
import numpy as np

from dysr_jax.errors import InputError
from dysr_jax.model.programs import compile_static
from dysr_jax.model.supernet import arch_params
from dysr_jax.runtime.bundle import Bundle

FrameShape = tuple[int, int]
"""LR rows and columns."""


class Bank:
    """Ready executables by member and frame shape. The member is an argument; none is "set active".

    Args:
        bundle: the members and their weights.
        keep: how many executables are held; those that were not prepared for longest go first. None: all.
    """

    def __init__(self, bundle: Bundle, *, keep: int | None = None) -> None:
        self.bundle = bundle
        self._keep = keep
        self._params = jax.device_put(bundle.params)
        self._read = {
            m.name: arch_params(self._params, bundle.space, m.arch) for m in bundle.members
        }
        self._executables: dict[tuple[str, FrameShape], Any] = {}

    def prepare(
        self, shape: FrameShape, members: Sequence[str] | None = None, *, warm_up: bool = True
    ) -> None:
        """Compile members (default: all) for a frame shape, in threads.

        Args:
            shape: LR rows and columns.
            members: their names.
            warm_up: run each new executable once, so that its first frame is as fast as the next.

        Raises:
            InputError: a member that the bundle does not have.
        """
        every = [member.name for member in self.bundle.members]
        names = every if members is None else list(members)
        missing = [name for name in dict.fromkeys(names) if (name, shape) not in self._executables]
        archs = [self.bundle.member(name).arch for name in missing]
        net = self.bundle.net
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as threads:
            compiled = threads.map(lambda a: compile_static(net, a, self._params, shape), archs)
            for name, executable in zip(missing, compiled, strict=True):
                self._executables[name, shape] = executable
        self._forget([(name, shape) for name in dict.fromkeys(names)])
        blank = np.zeros((*shape, 3), np.uint8)
        for name in missing if warm_up else []:
            self.dispatch(blank, name).block_until_ready()

    def _forget(self, asked: Sequence[tuple[str, FrameShape]]) -> None:
        """Drop what is too much, but nothing that was asked for just now."""
        for key in asked:
            self._executables[key] = self._executables.pop(key)  # to the end
        most = len(self._executables) if self._keep is None else max(self._keep, len(asked))
        for key in list(self._executables)[: len(self._executables) - most]:
            del self._executables[key]

    def dispatch(self, frame: chex.Array, member: str) -> jax.Array:
        """Start to upscale a frame; the result is on the device when it is ready.

        Args:
            frame: `[H, W, 3]` uint8.
            member: a member's name.

        Returns:
            `[s H, s W, 3]` uint8.

        Raises:
            InputError: the frame is no uint8 RGB image, or the bank was not prepared for this member and
                frame shape.
        """
        if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8:
            raise InputError(f"frame of {frame.shape} {frame.dtype}: allowed is [H, W, 3] uint8")
        shape = (frame.shape[0], frame.shape[1])
        executable = self._executables.get((member, shape))
        if executable is None:
            ready = ", ".join(
                f"{name} at {rows}x{cols}" for name, (rows, cols) in self._executables
            )
            raise InputError(
                f"member {member!r} is not prepared for a frame of {shape[0]}x{shape[1]}; ready are "
                f"{ready or 'none'}"
            )
        return executable(self._read[member], frame)

    def __call__(self, frame: chex.Array, member: str) -> np.ndarray:
        """Upscale a frame: `[H, W, 3]` uint8 to `[s H, s W, 3]` uint8 on the host."""
        return np.asarray(self.dispatch(frame, member))
