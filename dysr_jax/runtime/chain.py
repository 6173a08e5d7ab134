"""The chained plan: an arch as a sequence of small executables over the same resident weights.

The bank compiles a program for each arch that it serves. Here each distinct stage is compiled once (the
head, a branch over the shapes that its slot stores, an upsampler), and every arch whose weights are there
can be run. A switch replaces the executables and kernels of the slots that changed and nothing else: the
paper's incremental adaptation. A frame pays for it with a dispatch a slot, and with a trunk that goes
through memory between slots.

What runs, slot by slot: executables over kernels, replaced where an arch differs from the one before.

Executables of stages, each distinct one compiled once.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import chex
import jax
import numpy as np

from dysr_jax.aot import DEFAULT_CACHE, ExecutableCache, Memory, stage_executable, tree_bytes, workspace_bytes
from dysr_jax.bundle import Bundle, check_bundle
from dysr_jax.errors import InputError
from dysr_jax.model import (
    Arch,
    Kernels,
    Output,
    Params,
    Shape,
    StageKey,
    StageProgram,
    Supernet,
    branch_part,
    check_output,
    frame_spec,
    head_part,
    held_branches,
    not_kept,
    validate_arch,
)
from dysr_jax.runtime.executable_lru import Entry, check_batch, check_frame, check_shape
from dysr_jax.threads import in_threads


class Link(NamedTuple):
    """What a slot runs."""

    executable: Any
    kernels: Kernels


def changed(old: Arch, new: Arch) -> tuple[int, ...]:
    """The slots in which two archs of a space name different branches, the upsampler's last."""
    return tuple(slot for slot, (a, b) in enumerate(zip(old, new, strict=True)) if a != b)


class Plan:
    """The links of the arch that ran last, for one shape of frames; None where nothing runs (identity).

    Args:
        head: runs before the slots.
        choices: links by slot and branch index, at least one a slot.
    """

    def __init__(self, head: Link, choices: dict[tuple[int, int], Link | None]) -> None:
        self.head = head
        self._choices = choices
        firsts: dict[int, int] = {}
        for slot, index in choices:
            firsts.setdefault(slot, index)
        arch = tuple(firsts[slot] for slot in range(len(firsts)))
        # One attribute for both: another thread never sees an arch with the links of the one before.
        self._current = arch, [choices[place] for place in enumerate(arch)]

    @property
    def arch(self) -> Arch:
        """The arch that ran last; the first branch of every slot before that."""
        return self._current[0]

    def switch(self, arch: Arch) -> list[Link | None]:
        """The links of an arch, one a slot; those that changed are looked up, the others stay.

        Raises:
            KeyError: the slot and branch index that are not among the choices.
            ValueError: another number of slots.
        """
        old, links = self._current
        arch = tuple(arch)
        if arch != old:
            links = links.copy()
            for slot in changed(old, arch):
                links[slot] = self._choices[slot, arch[slot]]
            self._current = arch, links
        return links

    def warm_up(self, frame: np.ndarray) -> None:
        """Run every executable once on a frame."""
        x, lr = self.head.executable(self.head.kernels, frame)
        last = len(self.arch) - 1
        body = [link for (slot, _), link in self._choices.items() if link and slot < last]
        for link in {id(link.executable): link for link in body}.values():
            x = link.executable(link.kernels, x)
        ends = [link for (slot, _), link in self._choices.items() if link and slot == last]
        jax.block_until_ready([link.executable(link.kernels, x, lr) for link in ends])


class Stages:
    """Ready executables by what tells them apart; slots that store the same shapes share them.

    Args:
        net: whose stages they are.
        output: where results lie.
        cache: where executables are looked for and kept on disk; None: all are compiled.
    """

    def __init__(self, net: Supernet, *, output: Output, cache: ExecutableCache | None) -> None:
        self._net = net
        self._output = output
        self._cache = cache
        self._entries: dict[StageKey, Entry] = {}

    def __len__(self) -> int:
        """How many are ready."""
        return len(self._entries)

    def add(self, parts: Sequence[StageProgram]) -> None:
        """Compile or load what is not there yet, in threads."""
        missing = {part.key: part for part in parts if part.key not in self._entries}
        entries = in_threads(self._entry, list(missing.values()))
        self._entries.update(zip(missing, entries, strict=True))

    def _entry(self, part: StageProgram) -> Entry:
        executable = stage_executable(self._net, part, output=self._output, cache=self._cache)
        return Entry(executable, workspace_bytes(executable.compiled, tree_bytes(part.kernels)))

    def link(self, part: StageProgram) -> Link:
        """The executable of a part that was added, over the part's kernels."""
        return Link(self._entries[part.key].executable, part.kernels)

    def memory(self, weights: int) -> Memory:
        """Bytes of the executables and of the largest workspace, beside those of the weights."""
        entries = list(self._entries.values())
        return Memory(
            weights=weights,
            executables=sum(entry.executable.code_bytes for entry in entries),
            workspace=max((entry.workspace for entry in entries), default=0),
        )


class Chain:
    """Serves any arch whose weights are there. The arch is an argument; none is "set active".

    Args:
        bundle: gives the space, the compute dtype and the weights.
        params: the whole supernet's, to serve every arch of the space. None: the bundle's, which serve
            whatever can be made of the branches that their kernels hold, the members among it.
        cache: where executables are looked for and kept on disk; None: all are compiled.
        output: where results lie; `host` is pinned host memory, where the device has it.

    Raises:
        InputError: `params` are of another space.
    """

    def __init__(
        self,
        bundle: Bundle,
        params: Params | None = None,
        *,
        cache: ExecutableCache | None = DEFAULT_CACHE,
        output: Output = "device",
    ) -> None:
        check_output(output)
        check_bundle(bundle)
        self.bundle = bundle
        self.net = bundle.net
        self._output = output
        self._params = jax.device_put(bundle.params if params is None else params)
        self.branches = held_branches(bundle.space, self._params)
        """Indices of the branches that can be run, for each slot."""
        self._stages = Stages(self.net, output=output, cache=cache)
        self._plans: dict[Shape, Plan] = {}

    @property
    def count(self) -> int:
        """Executables that are held, for all shapes of frames that were prepared."""
        return len(self._stages)

    @property
    def servable(self) -> int:
        """Number of archs that can be run."""
        return math.prod(len(indices) for indices in self.branches)

    def memory(self) -> Memory:
        """What is held: bytes of weights, executables and workspace."""
        return self._stages.memory(tree_bytes(self._params))

    def changed(self, old: Arch, new: Arch) -> tuple[int, ...]:
        """The slots whose executable and kernels a switch between two archs replaces.

        Raises:
            InputError: an arch that the space does not have.
        """
        return changed(validate_arch(self.net.space, old), validate_arch(self.net.space, new))

    def prepare(self, shape: tuple[int, int], *, batch: int | None = None, warm_up: bool = True) -> None:
        """Compile all that any arch needs for a frame shape, in threads; or load it from the cache.

        Args:
            shape: LR rows and columns.
            batch: frames at once, `[N, H, W, 3]`; None: one, `[H, W, 3]`.
            warm_up: run each executable once, so that its first frame is as fast as the next.

        Raises:
            InputError: no rows and columns, or a batch below 1.
        """
        frame = frame_spec(check_shape(shape), check_batch(batch)).shape
        if frame in self._plans:
            return
        plan = self._plan(frame)
        if warm_up:
            plan.warm_up(np.zeros(frame, np.uint8))
        self._plans[frame] = plan

    def _plan(self, frame: Shape) -> Plan:
        """Over executables that are compiled where they are not there."""
        net, params = self.net, self._params
        head = head_part(net, params, frame)
        parts = {
            (slot, index): branch_part(net, params, slot, index, frame, output=self._output)
            for slot, indices in enumerate(self.branches)
            for index in indices
        }
        self._stages.add([head, *(part for part in parts.values() if part)])
        link = self._stages.link
        return Plan(link(head), {place: part and link(part) for place, part in parts.items()})

    def _prepared(self, frame: chex.Array) -> Plan:
        check_frame(frame)
        plan = self._plans.get(frame.shape)
        if plan is None:
            ready = ", ".join("x".join(map(str, shape[:-1])) for shape in list(self._plans))
            asked = "x".join(map(str, frame.shape[:-1]))
            raise InputError(f"the chain is not prepared for a frame of {asked}; ready are {ready or 'none'}")
        return plan

    def _links(self, plan: Plan, arch: Arch) -> list[Any]:
        try:
            return plan.switch(arch)
        except (KeyError, TypeError, ValueError):  # what is wrong costs time only where it is
            checked = validate_arch(self.net.space, arch)
        for slot, index in enumerate(checked):
            if index not in self.branches[slot]:
                raise not_kept(self.net.space, slot, index)
        return plan.switch(checked)

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
