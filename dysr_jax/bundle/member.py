"""The members of a bundle, with what was measured of them."""

import dataclasses
import math

from dysr_jax.errors import InputError
from dysr_jax.model import Arch, SearchSpace, arch_mult_adds, arch_name, arch_parameters, validate_arch


@dataclasses.dataclass(frozen=True)
class Member:
    """A sub-graph of the front, with the figures that were measured of it.

    Raises:
        InputError: no name, or a latency that no frame has.
    """

    name: str
    arch: Arch
    psnr_y: float
    """dB, mean over the whole validation images."""
    latency_ms: float
    """A frame of the size in the manifest, on the device in the manifest; the output stays there. On an
    accelerator frames are in flight one behind the other, so this is throughput."""
    fps: float
    """1000 / latency_ms."""
    params: int
    macs: int
    """Multiply-adds for a 1280x720 output."""

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise InputError(f"member {self.name!r}: must have a name")
        if not 0.0 < self.latency_ms < math.inf:
            raise InputError(
                f"member {self.name!r}: latency_ms {self.latency_ms!r}: must be finite and above 0"
            )
        object.__setattr__(self, "arch", tuple(self.arch))


def make_member(space: SearchSpace, arch: Arch, psnr_y: float, latency_ms: float) -> Member:
    """A member from its two measured figures.

    Raises:
        InputError: an arch that the space does not have, or a latency that no frame has.
    """
    arch = validate_arch(space, arch)
    if not latency_ms > 0.0:
        raise InputError(f"latency_ms {latency_ms!r}: must be above 0")
    return Member(
        name=arch_name(space, arch),
        arch=arch,
        psnr_y=psnr_y,
        latency_ms=latency_ms,
        fps=1e3 / latency_ms,
        params=arch_parameters(space, arch),
        macs=arch_mult_adds(space, arch),
    )
