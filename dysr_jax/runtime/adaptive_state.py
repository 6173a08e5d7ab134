"""What the default policy remembers: the ladder, the last slowdowns, and which rungs failed a trial."""

import dataclasses
from collections.abc import Iterable
from typing import Any

from dysr_jax.errors import InputError
from dysr_jax.runtime.policy import Rung, sort_rungs


@dataclasses.dataclass(frozen=True)
class Bar:
    """Why a rung is not to be tried now."""

    failures: int = 0
    """Trials that failed, less those that were passed."""
    until: int = 0
    """Frame before which it is barred."""
    slowdown: float = 0.0
    """Believed when the last trial failed."""


@dataclasses.dataclass(frozen=True)
class AdaptiveState:
    """Everything that the policy knows; `dataclasses.asdict` of it is JSON."""

    ladder: tuple[Rung, ...]
    """Fastest first, each better than all before it."""
    recent: tuple[float, ...]
    """Slowdowns of the last frames, the newest last; 1 for those before the first."""
    bars: tuple[Bar, ...]
    """A rung each."""
    index: int = 0
    """Of the rung that runs."""
    frame: int = 0
    """Frames seen."""
    switched: int = 0
    """Frames seen at the last switch."""
    trial: int = 0
    """Frames left of a step up's trial."""
    fresh: bool = False
    """The last switch was a step down, and no frame of its rung was seen yet."""

    @classmethod
    def from_json(cls, fields: Any) -> "AdaptiveState":
        """A state from its JSON.

        Raises:
            InputError: a key or value that no state has.
        """
        from dysr_jax.config import from_dict

        return from_dict(cls, fields, "policy state")

    @property
    def rung(self) -> Rung:
        """The rung that runs."""
        return self.ladder[self.index]

    def find(self, member: str) -> Rung:
        """The rung of this name.

        Raises:
            InputError: it is not in the ladder.
        """
        for rung in self.ladder:
            if rung.name == member:
                return rung
        names = ", ".join(rung.name for rung in self.ladder)
        raise InputError(f"member {member!r}: the policy's ladder has {names}")


def begin(rungs: Iterable[Rung], window: int) -> AdaptiveState:
    """The state before the first frame, on the fastest rung; nothing is known but the rungs.

    Rungs that are no better than a faster one, or than one as fast, are left out: none would be chosen.

    Raises:
        InputError: no rungs, or two of one name.
    """
    ladder: list[Rung] = []
    for rung in sort_rungs(rungs):
        if ladder and rung.psnr_y <= ladder[-1].psnr_y:
            continue
        if ladder and rung.frame_ms == ladder[-1].frame_ms:
            ladder.pop()
        ladder.append(rung)
    return AdaptiveState(tuple(ladder), (1.0,) * window, (Bar(),) * len(ladder))


def with_bar(state: AdaptiveState, bar: Bar) -> AdaptiveState:
    """The state with the running rung's bar replaced."""
    bars = (*state.bars[: state.index], bar, *state.bars[state.index + 1 :])
    return dataclasses.replace(state, bars=bars)


def forgiven(state: AdaptiveState) -> AdaptiveState:
    """The running rung passed its trial: one failure less for it and all faster ones, none barred."""
    bars = tuple(
        Bar(max(bar.failures - 1, 0)) if index <= state.index else bar
        for index, bar in enumerate(state.bars)
    )
    return dataclasses.replace(state, bars=bars)
