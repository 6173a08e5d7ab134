"""A member of a bundle, with its figures."""

import dataclasses
import math
from typing import Any

from dysr_jax.errors import InputError
from dysr_jax.fields import from_dict
from dysr_jax.model import Arch, SearchSpace, arch_name, mult_adds, parameters, validate

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
        if not 0.0 < self.latency_ms < math.inf:
            raise InputError(
                f"member {self.name!r}: latency_ms must be finite and above 0, got {self.latency_ms!r}"
            )
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
    arch = validate(space, arch)
    if not latency_ms > 0.0:
        raise InputError(f"latency_ms must be above 0, got {latency_ms!r}")
    return Member(
        name=arch_name(space, arch),
        arch=arch,
        psnr_y=psnr_y,
        latency_ms=latency_ms,
        fps=1e3 / latency_ms,
        parameters=parameters(space, arch),
        mult_adds=mult_adds(space, arch),
    )
