"""The chain: an arch as a sequence of small executables over the same resident weights.

Each distinct stage is compiled once (the head, a branch over the shapes that its slot stores, an upsampler),
and every arch whose weights are there can be run. A switch replaces the executables and kernels of the slots
that changed: the paper's incremental adaptation. A frame pays for it with a dispatch per slot, and with a
trunk that goes through memory between slots.
"""

import functools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import chex
import jax
import numpy as np

from dysr_jax import aot, model
from dysr_jax.aot import DEFAULT_CACHE, Executable, ExecutableCache, Memory
from dysr_jax.bundle import Bundle, check_bundle
from dysr_jax.errors import InputError
from dysr_jax.model import Arch, Kernels, Output, Params, Shape, StageKey, StageProgram
from dysr_jax.runtime.executable_lru import check_batch, check_frame, check_shape
from dysr_jax.runtime.server import FrameShape, MemberLike, Members, Server, resolve_all, resolver
from dysr_jax.threads import in_threads


class Link(NamedTuple):
    """An executable and the kernels that it reads."""

    executable: Executable
    kernels: Kernels


def changed_slots(old: Arch, new: Arch) -> tuple[int, ...]:
    """The slots in which two archs of a space name different branches, the upsampler's last."""
    return tuple(slot for slot, (a, b) in enumerate(zip(old, new, strict=True)) if a != b)


class Plan:
    """The links of the arch that ran last, for one shape of frames; None where nothing runs (identity).

    `head` runs before the slots; `choices` are links by slot and branch index, at least one per slot.
    """

    def __init__(self, head: Link, choices: dict[tuple[int, int], Link | None]) -> None:
        self.head = head
        self._choices = choices
        firsts = dict(reversed(list(choices)))  # the first index of each slot
        arch = tuple(firsts[slot] for slot in range(len(firsts)))
        # One attribute for both: another thread never sees an arch with the links of the one before.
        self._current = arch, [choices[place] for place in enumerate(arch)]

    @property
    def arch(self) -> Arch:
        """The arch that ran last; the first branch of every slot before that."""
        return self._current[0]

    def switch(self, arch: Arch) -> list[Link | None]:
        """The links of an arch, one per slot; those that changed are looked up, the others stay.

        Raises `KeyError` with the slot and branch index that are not among the choices.
        """
        old, links = self._current
        arch = tuple(arch)
        if arch != old:
            links = links.copy()
            for slot in changed_slots(old, arch):
                links[slot] = self._choices[slot, arch[slot]]
            self._current = arch, links
        return links

    def run(self, frame: chex.Array, links: Sequence[Link | None]) -> jax.Array:
        """Start to upscale a frame by the links of an arch."""
        *body, upsampler = links
        x, lr = self.head.executable(self.head.kernels, frame)
        for link in body:
            if link is not None:
                x = link.executable(link.kernels, x)
        assert upsampler is not None, "an upsampler is no identity"
        return upsampler.executable(upsampler.kernels, x, lr)

    def warm_up(self, frame: np.ndarray) -> None:
        """Run every executable once on a frame."""
        last = len(self.arch) - 1
        x, lr = self.head.executable(self.head.kernels, frame)
        links = [(slot, link) for (slot, _), link in self._choices.items() if link]
        for link in {id(link.executable): link for slot, link in links if slot < last}.values():
            x = link.executable(link.kernels, x)
        jax.block_until_ready([link.executable(link.kernels, x, lr) for slot, link in links if slot == last])


class Chain(Server):
    """Serves any arch whose weights are there; `cache` and `output` are as of `Bank`.

    With `params` of the whole supernet that is every arch of the space; with the bundle's own weights (None)
    it is every arch made of the branches that their kernels hold, the members among them.
    """

    def __init__(
        self,
        bundle: Bundle,
        params: Params | None = None,
        *,
        cache: ExecutableCache | None = DEFAULT_CACHE,
        output: Output = "device",
    ) -> None:
        model.check_output(output)
        check_bundle(bundle)
        self.bundle = bundle
        self._net, self._cache, self._output = bundle.net, cache, output
        self._params = jax.device_put(bundle.params if params is None else params)
        self._resolve = resolver(bundle)
        self.branches = model.held_branches(bundle.space, self._params)
        """Indices of the branches that can be run, for each slot."""
        self._executables: dict[StageKey, Executable] = {}  # slots that store the same shapes share them
        self._plans: dict[Shape, Plan] = {}

    @property
    def count(self) -> int:
        """Number of executables that are held, for all shapes of frames that were prepared."""
        return len(self._executables)

    @property
    def servable(self) -> int:
        """Number of archs that can be run."""
        return math.prod(len(indices) for indices in self.branches)

    def memory(self) -> Memory:
        """Bytes of weights, executables and workspace that are held."""
        return aot.executables_memory(aot.tree_bytes(self._params), self._executables.values())

    def changed(self, old: Arch, new: Arch) -> tuple[int, ...]:
        """The slots whose executable and kernels a switch between two archs of the space replaces."""
        return changed_slots(*(model.validate_arch(self.bundle.space, arch) for arch in (old, new)))

    def prepare(
        self, shape: FrameShape, members: Members = None, *, batch: int | None = None, warm_up: bool = True
    ) -> None:
        """Compile all that any arch needs, whichever members are named, in threads; or load it.

        With `batch`, for frames `[N, H, W, 3]`.
        """
        resolve_all(self.bundle, members)
        frame = model.frame_spec(check_shape(shape), check_batch(batch)).shape
        if frame in self._plans:
            return
        plan = self._plan(frame)
        if warm_up:
            plan.warm_up(np.zeros(frame, np.uint8))
        self._plans[frame] = plan

    def dispatch(self, frame: chex.Array, member: MemberLike) -> jax.Array:
        """Start to upscale `[H, W, 3]` or `[N, H, W, 3]` uint8, by any arch whose weights are there.

        An InputError for no uint8 RGB frame, a shape that was not prepared, no such member, or a branch whose
        weights were not kept.
        """
        check_frame(frame)
        plan = self._plans.get(frame.shape)
        if plan is None:
            ready = ", ".join("x".join(map(str, shape[:-1])) for shape in list(self._plans)) or "none"
            asked = "x".join(map(str, frame.shape[:-1]))
            raise InputError(f"the chain is not prepared for a frame of {asked}; ready are {ready}")
        try:
            links = plan.switch(self._resolve(member).arch)
        except KeyError as error:
            raise model.not_kept(self.bundle.space, *error.args[0]) from None
        return plan.run(frame, links)

    def _plan(self, frame: Shape) -> Plan:
        """The plan for frames of a shape; distinct stages that are not there yet are compiled or loaded."""
        head = model.head_part(self._net, self._params, frame)
        parts = {
            (slot, index): model.branch_part(self._net, self._params, slot, index, frame, output=self._output)
            for slot, indices in enumerate(self.branches)
            for index in indices
        }
        every = [head, *(part for part in parts.values() if part)]
        missing = {part.key: part for part in every if part.key not in self._executables}
        how: dict[str, Any] = {"output": self._output, "cache": self._cache}
        compile_stage = functools.partial(aot.stage_executable, self._net, **how)
        executables = in_threads(compile_stage, list(missing.values()))
        self._executables.update(zip(missing, executables, strict=True))
        return Plan(self._link(head), {place: part and self._link(part) for place, part in parts.items()})

    def _link(self, part: StageProgram) -> Link:
        return Link(self._executables[part.key], part.kernels)
