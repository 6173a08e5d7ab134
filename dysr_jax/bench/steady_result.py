"""What streams beside other programs did: one bundle's, and those of another that took turns with them."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from dysr_jax import search
from dysr_jax.runtime import Load, Trace, trace_from_json
from dysr_jax.runtime.policy import MemberTiming

AGAINST: Final = ", against"
"""Behind the name of a stream of the other bundle."""


@dataclasses.dataclass(frozen=True)
class SteadyStream:
    """One stream of frames in time."""

    name: str
    trace: Trace
    load: Sequence[Load] = ()  # when other processes came and went, if known
    true_psnr_y: float | None = None  # dB, mean of all that were made against their HR frames, if measured
    on_time_psnr_y: float | None = None  # dB, the same where a late or dropped frame counts 0 dB

    def to_json(self) -> dict[str, Any]:
        """With the summary and every frame of the trace."""
        return {**vars(self), **self.trace.to_json()}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> "SteadyStream":
        """The inverse; also of what `dysr stream --json` writes, with a name."""
        load = [(float(seconds), float(busy)) for seconds, busy in fields.get("load", [])]
        psnr_y = (fields.get(name) for name in ("true_psnr_y", "on_time_psnr_y"))
        return cls(fields["name"], trace_from_json(fields), load, *psnr_y)


@dataclasses.dataclass(frozen=True)
class SteadyResult:
    """What `bench_steady` found. `to_json` is what `dysr bench steady --json` writes."""

    device: str
    frame: tuple[int, int]
    fps: float
    members: tuple[MemberTiming, ...]
    """That hold the rate on a free machine, fastest first; `psnr_y` as the bundle has it."""
    member_psnr_y: Mapping[str, float] = dataclasses.field(hash=False)  # dB on these frames
    schedule: tuple[Load, ...]
    strategies: tuple[SteadyStream, ...]
    against: "SteadyResult | None" = None
    """Another bundle's, whose streams took turns with these."""

    @property
    def adaptive(self) -> SteadyStream:
        """The stream of the adaptive policy."""
        return next(stream for stream in self.strategies if stream.name == "adaptive")

    @property
    def gain(self) -> float:
        """Of the distance from the smallest to the largest member's PSNR-Y, the share that adapting gains."""
        low, high = (self.member_psnr_y[self.members[end].name] for end in (0, -1))
        assert self.adaptive.true_psnr_y is not None
        return (self.adaptive.true_psnr_y - low) / (high - low)

    @property
    def slowdowns(self) -> list[float]:
        """How many times its member's time at rest each frame of the adaptive stream took."""
        rest = {member.name: member.frame_ms for member in self.members}
        return [frame.frame_ms / rest[frame.member] for frame in self.adaptive.trace.frames]

    def expected_psnr_y(self, load: search.Load) -> float:
        """Over a load, of the best member on time, in dB on these frames: as `search.for_load` has it."""
        rest = np.array([member.frame_ms for member in self.members])
        quality = np.array([self.member_psnr_y[member.name] for member in self.members])
        return search.expected_psnr_y(rest, quality, load, self.fps)

    def to_json(self) -> dict[str, Any]:
        """The figures and every frame."""
        members = [dataclasses.asdict(member) for member in self.members]
        against = self.against and self.against.to_json()
        streams = [stream.to_json() for stream in self.strategies]
        return vars(self) | {"members": members, "strategies": streams, "against": against}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> "SteadyResult":
        """The inverse of `to_json`."""
        rows = {
            "frame": tuple(fields["frame"]),
            "members": tuple(MemberTiming(**member) for member in fields["members"]),
            "schedule": tuple(map(tuple, fields["schedule"])),
            "strategies": tuple(map(SteadyStream.from_json, fields["strategies"])),
            "against": cls.from_json(fields["against"]) if fields.get("against") else None,
        }
        return cls(**{**fields, **rows})
