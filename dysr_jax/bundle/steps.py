"""The steps between neighbouring members: what the run-time changes when it adapts."""

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any

from dysr_jax.model import (
    Arch,
    SearchSpace,
    arch_name,
    shared_weight_bytes,
    slot_name,
    step_costs,
    unshared_weight_bytes,
)


@dataclasses.dataclass(frozen=True)
class SlotChange:
    """A slot whose branch differs between two neighbours."""

    slot: int
    """Its index in the arch."""
    name: str
    """Its key in the parameter pytree: `slot03`, `upsampler`."""
    old: str
    new: str
    """Registered names of the source's and the target's branch."""


@dataclasses.dataclass(frozen=True)
class Step:
    """From a member to the next slower one. The way back changes the same slots and bytes."""

    source: str
    """Name of the faster member."""
    target: str
    """Name of the slower member."""
    slots: tuple[SlotChange, ...]
    """The slots whose branch changes, in order."""
    shared_bytes: int
    """Bytes of the weights that both members read."""
    unshared_bytes: int
    """Bytes of the weights that only one of the two reads, both directions counted."""
    cost: float
    """In [0, 1], as `dysr_jax.model.step_costs` and the selection count it."""

    def to_json(self) -> dict[str, Any]:
        """The step as `manifest.json` and `pareto.json` hold it."""
        return {
            "from": self.source,
            "to": self.target,
            "slots": [
                {"slot": change.slot, "name": change.name, "from": change.old, "to": change.new}
                for change in self.slots
            ],
            "shared_bytes": self.shared_bytes,
            "unshared_bytes": self.unshared_bytes,
            "cost": self.cost,
        }


def _slot_changes(space: SearchSpace, source: Arch, target: Arch) -> tuple[SlotChange, ...]:
    return tuple(
        SlotChange(slot, slot_name(space, slot), space.slots[slot][old], space.slots[slot][new])
        for slot, (old, new) in enumerate(zip(source, target, strict=True))
        if old != new
    )


def member_steps(space: SearchSpace, archs: Sequence[Arch]) -> tuple[Step, ...]:
    """The steps between neighbours of `archs`, in their order: one fewer than there are archs."""
    shared, costs = shared_weight_bytes(space, archs), step_costs(space, archs)
    unshared = unshared_weight_bytes(shared)
    return tuple(
        Step(
            source=arch_name(space, archs[i]),
            target=arch_name(space, archs[j]),
            slots=_slot_changes(space, archs[i], archs[j]),
            shared_bytes=int(shared[i, j]),
            unshared_bytes=int(unshared[i, j]),
            cost=float(costs[i, j]),
        )
        for i, j in itertools.pairwise(range(len(archs)))
    )
