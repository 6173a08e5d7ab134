"""The chained plan: an arch as a sequence of small executables over the same resident weights.

The bank compiles a program for each arch that it serves. Here each distinct stage is compiled once (the
head, a branch over the shapes that its slot stores, an upsampler), and every arch whose weights are there
can be run. A switch replaces the executables and kernels of the slots that changed and nothing else: the
paper's incremental adaptation. A frame pays for it with a dispatch a slot, and with a trunk that goes
through memory between slots.
"""

import concurrent.futures
import math
import os
from collections.abc import Sequence
from typing import Any

import chex
import jax
import numpy as np

from dysr_jax.errors import InputError
from dysr_jax.model.compact import held_branches
from dysr_jax.model.stages import Key, Part, Shape, branch_part, head_part
from dysr_jax.model.supernet import Params, not_kept
from dysr_jax.runtime.bundle import Bundle
from dysr_jax.runtime.plan import Link, Plan, changed
from dysr_jax.space import Arch, validate


class Chain:
    """Serves any arch whose weights are there. The arch is an argument; none is "set active".

    Args:
        bundle: gives the space, the compute dtype and the weights.
        params: the whole supernet's, to serve every arch of the space. None: the bundle's, which serve
            whatever can be made of the branches that their kernels hold, the members among it.

    Raises:
        InputError: `params` are of another space.
    """

    def __init__(self, bundle: Bundle, params: Params | None = None) -> None:
        self.net = bundle.net
        self._params = jax.device_put(bundle.params if params is None else params)
        self.branches = held_branches(bundle.space, self._params)
        """Indices of the branches that can be run, for each slot."""
        self._executables: dict[Key, Any] = {}
        self._plans: dict[Shape, Plan] = {}

    @property
    def count(self) -> int:
        """Executables that are held, for all shapes of frames that were prepared."""
        return len(self._executables)

    @property
    def servable(self) -> int:
        """Number of archs that can be run."""
        return math.prod(len(indices) for indices in self.branches)

    def changed(self, old: Arch, new: Arch) -> tuple[int, ...]:
        """The slots whose executable and kernels a switch between two archs replaces.

        Raises:
            InputError: an arch that the space does not have.
        """
        return changed(validate(self.net.space, old), validate(self.net.space, new))

    def prepare(
        self, shape: tuple[int, int], *, batch: int | None = None, warm_up: bool = True
    ) -> None:
        """Compile all that any arch needs for a frame shape, in threads.

        Args:
            shape: LR rows and columns.
            batch: frames at a time, `[N, H, W, 3]`; None for one, `[H, W, 3]`.
            warm_up: run each executable once, so that its first frame is as fast as the next.
        """
        frame = (*shape, 3) if batch is None else (batch, *shape, 3)
        if frame in self._plans:
            return
        parts = {
            (slot, index): branch_part(self.net, self._params, slot, index, frame)
            for slot, indices in enumerate(self.branches)
            for index in indices
        }
        head = head_part(self.net, self._params, frame)
        self._compile([head, *(part for part in parts.values() if part)])
        plan = Plan(self._link(head), {k: part and self._link(part) for k, part in parts.items()})
        if warm_up:
            plan.warm_up(np.zeros(frame, np.uint8))
        self._plans[frame] = plan

    def _compile(self, parts: Sequence[Part]) -> None:
        """Compile what is not there yet, each distinct executable once."""
        missing = {part.key: part for part in parts if part.key not in self._executables}
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as threads:
            compiled = threads.map(lambda part: part.lower().compile(), missing.values())
            self._executables.update(zip(missing, compiled, strict=True))

    def _link(self, part: Part) -> Link:
        return Link(self._executables[part.key], part.kernels)

    def _prepared(self, frame: chex.Array) -> Plan:
        if frame.ndim not in (3, 4) or frame.shape[-1] != 3 or frame.dtype != np.uint8:
            raise InputError(
                f"frame of {frame.shape} {frame.dtype}: allowed is [H, W, 3] or [N, H, W, 3] uint8"
            )
        plan = self._plans.get(frame.shape)
        if plan is None:
            ready = ", ".join("x".join(map(str, shape[:-1])) for shape in self._plans)
            asked = "x".join(map(str, frame.shape[:-1]))
            raise InputError(
                f"the chain is not prepared for a frame of {asked}; ready are {ready or 'none'}"
            )
        return plan

    def _links(self, plan: Plan, arch: Arch) -> list[Any]:
        known = arch == plan.arch  # most frames follow no switch
        try:
            return plan.switch(arch if known else validate(self.net.space, arch))
        except KeyError as missing:
            slot, index = missing.args[0]
            raise not_kept(self.net.space, slot, index) from None

    def dispatch(self, frame: chex.Array, arch: Arch) -> jax.Array:
        """Start to upscale; the result is on the device when it is ready.

        Args:
            frame: `[H, W, 3]` or `[N, H, W, 3]` uint8.
            arch: one whose weights are there.

        Returns:
            `[s H, s W, 3]` or `[N, s H, s W, 3]` uint8.

        Raises:
            InputError: no uint8 RGB frame, a shape that was not prepared, an arch that the space does not
                have, or a branch whose weights were not kept.
        """
        plan = self._prepared(frame)
        *body, upsampler = self._links(plan, arch)
        x, lr = plan.head.executable(plan.head.kernels, frame)
        for link in body:
            if link is not None:
                x = link.executable(link.kernels, x)
        return upsampler.executable(upsampler.kernels, x, lr)

    def __call__(self, frame: chex.Array, arch: Arch) -> np.ndarray:
        """Upscale a frame or a batch of them: uint8 to uint8 on the host."""
        return np.asarray(self.dispatch(frame, arch))
