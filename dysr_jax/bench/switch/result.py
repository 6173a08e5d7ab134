"""What the switch experiment measured. Times are percentiles in milliseconds, host to host."""

import dataclasses
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class MemberAtRest:
    """A member, and what its frame takes when nothing is switched."""

    name: str
    rest_ms: float


@dataclasses.dataclass(frozen=True)
class MemberTimes:
    """One member's frames by one strategy: after switches to it, and the others."""

    name: str
    steady_ms_p50: float
    steady_ms_p99: float
    switch_ms_p50: float
    switch_ms_p99: float
    switches: int
    steady_frames: int


@dataclasses.dataclass(frozen=True)
class StrategyResult:
    """A strategy that finished.

    First frames are compared with the steady frames of the same member, because members take different times.
    The host's bytes are those at the end, and those before the strategy got ready.
    """

    name: str
    ready_s: float  # from weights on disk to frames of any member, with nothing compiled
    ready_warm_s: float | None  # the same with executables from disk; None where none are kept
    max_abs_diff: int  # of any pixel to the bank's, in levels of 255; `levels_off` in JSON
    steady_ms_p50: float
    steady_ms_p99: float
    switch_ms_p50: float
    switch_ms_p99: float
    switch_over_steady_p99: float  # the p99 of first frames over the same member's steady p99
    within_steady_p99: float  # the share of first frames within it (of steady frames 0.99 are)
    host_us: float  # what the host does before the first frame can be dispatched: the median
    host_us_p99: float
    missed_frames: int  # frames that were due and left out
    missed_after_switch: int  # those left out by first frames
    switches: int
    steady_frames: int
    members: tuple[MemberTimes, ...]
    compilations: int  # programs that were compiled or loaded while frames were timed
    weight_bytes: int
    executable_bytes: int
    workspace_bytes: int
    device_bytes: int  # the sum of these three
    peak_bytes: int | None  # by the device's allocator; None where it does not tell
    rss_bytes: int
    rss_before_bytes: int
    own_workspace_bytes: int | None = None  # of all executables, if each keeps its own, as programs apart do


@dataclasses.dataclass(frozen=True)
class FailedStrategy:
    """A strategy that ended early."""

    name: str
    failed: str  # why, in one line


Outcome = StrategyResult | FailedStrategy
_JSON_KEYS = {"max_abs_diff": "levels_off"}
_LATER = "own_workspace_bytes"  # older records do not have it


@dataclasses.dataclass(frozen=True)
class SwitchResult:
    """The device, the members that were compared, and what each strategy took."""

    device: str
    frame: tuple[int, int]  # LR rows and columns
    scale: int
    dtype: str
    fps: float  # frames per second that are due
    members: tuple[MemberAtRest, ...]
    left_out: tuple[MemberAtRest, ...]  # members that are too slow for the frame rate
    strategies: tuple[Outcome, ...] = ()

    @property
    def finished(self) -> dict[str, StrategyResult]:
        """The strategies that did not fail, by name."""
        return {row.name: row for row in self.strategies if isinstance(row, StrategyResult)}

    @property
    def failures(self) -> dict[str, str]:
        """Why the others failed, by name."""
        return {row.name: row.failed for row in self.strategies if isinstance(row, FailedStrategy)}

    def to_json(self) -> dict[str, Any]:
        """The result as dicts and lists for JSON."""

        def fields(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
            known = ((key, value) for key, value in pairs if key != _LATER or value is not None)
            plain = ((key, list(value) if isinstance(value, tuple) else value) for key, value in known)
            return {_JSON_KEYS.get(key, key): value for key, value in plain}

        return dataclasses.asdict(self, dict_factory=fields)

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> "SwitchResult":
        """The inverse of `to_json`."""
        rest = {name: tuple(MemberAtRest(**row) for row in fields[name]) for name in ("members", "left_out")}
        strategies = tuple(map(_strategy, fields["strategies"]))
        return cls(**{**fields, "frame": tuple(fields["frame"]), **rest, "strategies": strategies})


def _strategy(row: Mapping[str, Any]) -> Outcome:
    if "failed" in row:
        return FailedStrategy(**row)
    names = {key: name for name, key in _JSON_KEYS.items()}
    members = tuple(MemberTimes(**member) for member in row["members"])
    return StrategyResult(**{names.get(key, key): value for key, value in row.items()} | {"members": members})
