"""What runs, slot by slot: executables over kernels, replaced where an arch differs from the one before."""

from typing import Any, NamedTuple

import jax
import numpy as np

from dysr_jax.model.kernels import Kernels
from dysr_jax.space import Arch


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
