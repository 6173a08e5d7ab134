"""Members of a bundle with their figures, and the steps between neighbours: what a switch changes."""

import dataclasses
import itertools
import math
from collections.abc import Sequence
from typing import Any

from dysr_jax import model
from dysr_jax.errors import InputError
from dysr_jax.fields import from_dict
from dysr_jax.model import Arch, SearchSpace

# Keys of `manifest.json` and `pareto.json` that are not the attribute's name.
_JSON_KEYS = {"parameters": "params", "mult_adds": "macs"}
_ATTRIBUTES = {key: name for name, key in _JSON_KEYS.items()}


@dataclasses.dataclass(frozen=True)
class Member:
    """A sub-graph of the front, with what was measured of it; it has a name, and a latency above 0."""

    name: str
    arch: Arch
    psnr_y: float
    """dB, mean over the whole validation images."""
    latency_ms: float
    """Milliseconds per frame of the manifest's size on the manifest's device, where the output stays. On an
    accelerator frames are in flight one behind the other, so this is throughput."""
    fps: float
    """1000 / latency_ms."""
    parameters: int
    """Weights that the member reads."""
    mult_adds: int
    """Multiply-adds per 1280x720 output."""

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise InputError(f"member {self.name!r}: must have a name")
        if not 0.0 < (latency := self.latency_ms) < math.inf:
            raise InputError(f"member {self.name!r}: latency_ms must be finite and above 0, got {latency!r}")
        object.__setattr__(self, "arch", tuple(self.arch))

    def to_json(self) -> dict[str, Any]:
        """The member as `manifest.json` and `pareto.json` hold it."""
        fields = {_JSON_KEYS.get(name, name): value for name, value in vars(self).items()}
        return {**fields, "arch": list(self.arch)}

    @classmethod
    def from_json(cls, fields: Any) -> "Member":
        """The member of `to_json`; the indices of its arch are those of the space that it was written for.

        An unknown key or a value of another type is an InputError, a missing key a TypeError.
        """
        if isinstance(fields, dict):
            fields = {_ATTRIBUTES.get(key, key): value for key, value in fields.items()}
        return from_dict(cls, fields, "member")


def make_member(space: SearchSpace, arch: Arch, psnr_y: float, latency_ms: float) -> Member:
    """A member from its two measured figures; an InputError for another space's arch or no latency."""
    arch = model.validate_arch(space, arch)
    if not latency_ms > 0.0:
        raise InputError(f"latency_ms must be above 0, got {latency_ms!r}")
    counts = model.arch_parameters(space, arch), model.arch_mult_adds(space, arch)
    return Member(model.arch_name(space, arch), arch, psnr_y, latency_ms, 1e3 / latency_ms, *counts)


@dataclasses.dataclass(frozen=True)
class SlotChange:
    """A slot whose branch differs between two neighbours, or the width, if that does."""

    slot: int
    """Its index in the arch."""
    name: str
    """Its key in the parameter pytree, `slot03` or `upsampler`; or `width`."""
    old: str
    new: str
    """Registered names of the source's and the target's branch; or their widths, `w16`."""


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
        slots = [{"slot": s.slot, "name": s.name, "from": s.old, "to": s.new} for s in self.slots]
        rest = {name: getattr(self, name) for name in ("shared_bytes", "unshared_bytes", "cost")}
        return {"from": self.source, "to": self.target, "slots": slots, **rest}


def _slot_changes(space: SearchSpace, source: Arch, target: Arch) -> tuple[SlotChange, ...]:
    genes = zip(model.gene_names(space), space.genes, source, target, strict=True)
    return tuple(
        SlotChange(index, name, offered[old], offered[new])
        for index, (name, offered, old, new) in enumerate(genes)
        if old != new
    )


def member_steps(space: SearchSpace, archs: Sequence[Arch]) -> tuple[Step, ...]:
    """The steps between neighbours of `archs`, in their order: one fewer than there are archs."""
    shared, costs = model.shared_weight_bytes(space, archs), model.step_costs(space, archs)
    unshared, names = model.unshared_weight_bytes(shared), [model.arch_name(space, arch) for arch in archs]
    steps = []
    for i, j in itertools.pairwise(range(len(archs))):
        slots = _slot_changes(space, archs[i], archs[j])
        figures = int(shared[i, j]), int(unshared[i, j]), float(costs[i, j])
        steps.append(Step(names[i], names[j], slots, *figures))
    return tuple(steps)
