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
from dysr_jax.model import (
    RGB,
    Arch,
    Frame,
    FrameFormat,
    Kernels,
    Output,
    Params,
    Shape,
    StageKey,
    StageProgram,
)
from dysr_jax.runtime.converted import dispatch_converted, prepare_converted
from dysr_jax.runtime.executable_lru import check_batch, check_frame, check_shape
from dysr_jax.runtime.server import (
    FrameLike,
    FrameShape,
    MemberLike,
    Members,
    VideoServer,
    resolve_all,
    resolver,
)
from dysr_jax.threads import in_threads


class Link(NamedTuple):
    """An executable and the kernels that it reads."""

    executable: Executable
    kernels: Kernels


class Plan:
    """The links of the arch that ran last, for one shape of frames; None where nothing runs (identity).

    `heads` run before the slots, by width; `choices` are links by slot, branch index and width, at least one
    per slot of each width.
    """

    def __init__(self, heads: dict[int, Link], choices: dict[tuple[int, int, int], Link | None]) -> None:
        self._heads = heads
        self._choices = choices
        # One attribute for all: another thread never sees an arch with the links of the one before.
        self._current: tuple[int, Arch, list[Link | None]] = (0, (), [])

    def switch(self, width: int, branches: Arch) -> list[Link | None]:
        """The links of the head and of a branch index per slot, at a width; those that changed are looked up,
        the others stay: none of another width.

        Raises `KeyError` with the slot, branch index and width that are not among the choices.
        """
        old_width, old, links = self._current
        if (width, branches) != (old_width, old):
            if width == old_width:
                changed = [slot for slot, (a, b) in enumerate(zip(old, branches, strict=True)) if a != b]
                links = links.copy()
            else:
                changed = list(range(len(branches)))
                links = [self._heads.get(width), *(None for _ in branches)]
            for slot in changed:
                links[1 + slot] = self._choices[slot, branches[slot], width]
            self._current = width, branches, links
        return links

    def run(self, frame: chex.Array, links: Sequence[Link | None]) -> jax.Array:
        """Start to upscale a frame by the links of an arch."""
        head, *body, upsampler = links
        assert head is not None and upsampler is not None, "neither is an identity"
        x, lr = head.executable(head.kernels, frame)
        for link in body:
            if link is not None:
                x = link.executable(link.kernels, x)
        return upsampler.executable(upsampler.kernels, x, lr)

    def warm_up(self, frame: np.ndarray) -> None:
        """Run every executable once on a frame."""
        last = max(slot for slot, _, _ in self._choices)
        for width, head in self._heads.items():
            x, lr = head.executable(head.kernels, frame)
            links = [(slot, link) for (slot, _, of), link in self._choices.items() if link and of == width]
            for link in {id(link.executable): link for slot, link in links if slot < last}.values():
                x = link.executable(link.kernels, x)
            ends = [link.executable(link.kernels, x, lr) for slot, link in links if slot == last]
            jax.block_until_ready(ends)


class Chain(VideoServer):
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
        """For each slot, the branches that can be run, by index, and the widest trunk that each can take."""
        self._slots = range(len(self.branches))
        self._executables: dict[StageKey, Executable] = {}  # slots that store the same shapes share them
        self._plans: dict[Shape, Plan] = {}

    @property
    def count(self) -> int:
        """Number of executables that are held, for all shapes of frames that were prepared."""
        return len(self._executables)

    @property
    def servable(self) -> int:
        """Number of archs that can be run."""
        counts = [
            [len(self._runnable(slot, width)) for slot in self._slots] for width in self._net.space.widths
        ]
        return sum(map(math.prod, counts))

    def memory(self) -> Memory:
        """Bytes of weights, executables and workspace that are held."""
        return aot.executables_memory(aot.tree_bytes(self._params), self._executables.values())

    def changed(self, old: Arch, new: Arch) -> tuple[int, ...]:
        """The slots whose executable and kernels a switch between two archs of the space replaces: those of
        other branches, or, if their widths differ, all.
        """
        space = self.bundle.space
        old, new = (model.validate_arch(space, arch) for arch in (old, new))
        other = model.arch_width(space, old) != model.arch_width(space, new)
        return tuple(slot for slot in self._slots if other or old[slot] != new[slot])

    def prepare(
        self,
        shape: FrameShape,
        members: Members = None,
        *,
        batch: int | None = None,
        frames: FrameFormat = RGB,
        warm_up: bool = True,
    ) -> None:
        """Compile all that any arch needs, whichever members are named, in threads; or load it.

        For upright frames of `shape`, which come as `frames` says; with `batch`, for images `[N, H, W, 3]`.
        """
        resolve_all(self.bundle, members)
        prepare_converted(check_shape(shape), self.bundle.space.scale, frames)
        frame = model.frame_spec(check_shape(shape), check_batch(batch)).shape
        if frame in self._plans:
            return
        plan = self._plan(frame)
        if warm_up:
            plan.warm_up(np.zeros(frame, np.uint8))
        self._plans[frame] = plan

    def dispatch(self, frame: FrameLike, member: MemberLike) -> jax.Array:
        """Start to upscale `[H, W, 3]` or `[N, H, W, 3]` uint8, or planes, by any arch whose weights are
        there.

        An InputError for no uint8 RGB frame, a shape that was not prepared, no such member, or a branch whose
        weights were not kept.
        """
        check_frame(frame)
        if isinstance(frame, Frame):
            return dispatch_converted(frame, lambda image: self.dispatch(image, member))
        plan = self._plans.get(frame.shape)
        if plan is None:
            ready = ", ".join("x".join(map(str, shape[:-1])) for shape in list(self._plans)) or "none"
            asked = "x".join(map(str, frame.shape[:-1]))
            raise InputError(f"the chain is not prepared for a frame of {asked}; ready are {ready}")
        space = self.bundle.space
        try:
            arch = self._resolve(member).arch
            links = plan.switch(model.arch_width(space, arch), arch[: len(space.slots)])
        except KeyError as error:
            raise model.not_kept(space, *error.args[0]) from None
        return plan.run(frame, links)

    def _plan(self, frame: Shape) -> Plan:
        """The plan for frames of a shape; distinct stages that are not there yet are compiled or loaded."""
        net, params = self._net, self._params
        widths = [
            width for width in net.space.widths if all(self._runnable(slot, width) for slot in self._slots)
        ]
        heads = {width: model.head_part(net, params, frame, width) for width in widths}
        parts = {
            (slot, index, width): model.branch_part(
                net, params, slot, index, width, frame, output=self._output
            )
            for width in widths
            for slot in self._slots
            for index in self._runnable(slot, width)
        }
        every = [*heads.values(), *(part for part in parts.values() if part)]
        missing = {part.key: part for part in every if part.key not in self._executables}
        how: dict[str, Any] = {"output": self._output, "cache": self._cache}
        compile_stage = functools.partial(aot.stage_executable, self._net, **how)
        executables = in_threads(compile_stage, list(missing.values()))
        self._executables.update(zip(missing, executables, strict=True))
        links = {place: part and self._link(part) for place, part in parts.items()}
        return Plan({width: self._link(head) for width, head in heads.items()}, links)

    def _runnable(self, slot: int, width: int) -> list[int]:
        """The branches of a slot whose weights are there at a width."""
        return [index for index, widest in self.branches[slot] if width <= widest]

    def _link(self, part: StageProgram) -> Link:
        return Link(self._executables[part.key], part.kernels)
