r"""What the default policy is worth: late frames and mean PSNR-Y against simple rivals, without any device.

A simulated live stream of 30 frames a second over eight members of 5 to 60 ms, under loads that a shared
machine may have. Deterministic; no accelerator, a second or two:

    python experiments/policy_rivals.py
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import tyro

from dysr_jax.report import format_table
from dysr_jax.runtime.policy import (
    AdaptivePolicy,
    FixedPolicy,
    MemberTiming,
    Observation,
    Policy,
    score,
    simulate,
    sort_timings,
)

DEADLINE_MS = 1000 / 30

TIMINGS = tuple(
    MemberTiming(f"{ms}ms", ms, psnr_y)
    for ms, psnr_y in zip(
        (5.0, 8.0, 12.0, 17.0, 22.0, 29.0, 42.0, 60.0),
        (27.39, 27.59, 27.75, 27.89, 27.97, 28.04, 28.10, 28.12),
        strict=True,
    )
)
"""Like the members of a quickstart's front: each costs more for less."""


@dataclasses.dataclass(frozen=True)
class Greedy:
    """The best member that the last frame's slowdown allows; neither margin nor memory."""

    def start(
        self, timings: Sequence[MemberTiming], deadline_ms: float
    ) -> tuple[tuple[MemberTiming, ...], str]:
        """The state is the timings, fastest first."""
        ordered = sort_timings(timings)
        return ordered, ordered[0].name

    def __call__(
        self, state: tuple[MemberTiming, ...], seen: Observation, /
    ) -> tuple[tuple[MemberTiming, ...], str]:
        """Choose anew."""
        rest_ms = {timing.name: timing.frame_ms for timing in state}
        slowdown = seen.frame_ms / rest_ms[seen.member]
        fits = [timing for timing in state if timing.frame_ms * slowdown <= seen.deadline_ms]
        return state, max(fits, key=lambda timing: timing.psnr_y, default=state[0]).name


def square(low: float, high: float, half: int, frames: int) -> np.ndarray:
    """`half` frames at the load `low`, as many at `high`, and so on; `[frames]`."""
    return np.where(np.arange(frames) // half % 2 == 0, low, high)


def walk(rng: np.random.Generator, frames: int) -> np.ndarray:
    """A load between 1 and 4 that changes a little all the time; `[frames]`."""
    steps = np.cumsum(rng.normal(0.0, 0.03, frames))
    return 1.0 + 3.0 * np.abs((steps / 3.0 + 1.0) % 2.0 - 1.0)


def noisy(rng: np.random.Generator, loads: np.ndarray, *, noise: float, spikes: float) -> list[float]:
    """Loads with log-normal noise, and with pauses of 2 to 5 times a frame now and then."""
    loads = loads * np.exp(rng.normal(0.0, noise, len(loads)))
    hit = rng.random(len(loads)) < spikes
    return [float(x) for x in np.where(hit, loads * rng.uniform(2.0, 5.0, len(loads)), loads)]


def scenarios(frames: int, seed: int = 0) -> dict[str, list[float]]:
    """Loads by name."""
    rng = np.random.default_rng(seed)
    plain = {
        "constant x1": np.ones(frames),
        "constant x2": np.full(frames, 2.0),
        "square x1 x2, 10 s": square(1.0, 2.0, 300, frames),
        "square x1 x4, 10 s": square(1.0, 4.0, 300, frames),
        "square x1 x4, 3 s": square(1.0, 4.0, 90, frames),
        "square x1 x4, 1 s": square(1.0, 4.0, 30, frames),
        "random walk x1 to x4": walk(rng, frames),
    }
    loads = {name: noisy(rng, x, noise=0.03, spikes=0.002) for name, x in plain.items()}
    loads["constant x1, noise 15 %"] = noisy(rng, np.ones(frames), noise=0.15, spikes=0.0)
    loads["constant x2, pauses 2 %"] = noisy(rng, np.full(frames, 2.0), noise=0.03, spikes=0.02)
    return loads


def rivals() -> dict[str, Policy[Any]]:
    """Policies by name."""
    return {
        "adaptive": AdaptivePolicy(),
        "greedy": Greedy(),
        "fixed:best": FixedPolicy("best"),
        "fixed:22ms": FixedPolicy("22.0ms"),
        "fixed:fastest": FixedPolicy("fastest"),
    }


def clairvoyant(loads: Sequence[float]) -> float:
    """Mean PSNR-Y in dB of the best member that meets each frame's deadline, were its load known before."""
    psnr_y = [
        max(
            (timing.psnr_y for timing in TIMINGS if timing.frame_ms * load <= DEADLINE_MS),
            default=TIMINGS[0].psnr_y,
        )
        for load in loads
    ]
    return math.fsum(psnr_y) / len(psnr_y)


@dataclasses.dataclass(frozen=True)
class Options:
    """What is played."""

    frames: int = 9000
    """Of each stream; 9000 are 5 minutes."""
    seed: int = 0
    """Of the noise."""


def main() -> None:
    """Run it."""
    options = tyro.cli(Options)
    rows = []
    for name, loads in scenarios(options.frames, options.seed).items():
        for policy_name, policy in rivals().items():
            found = score(simulate(policy, TIMINGS, DEADLINE_MS, loads))
            shares = [f"{100 * count / len(loads):.2f}" for count in (found.late, found.behind)]
            rows.append([name, policy_name, *shares, str(found.switches), f"{found.psnr_y:.3f}"])
        rows.append([name, "(clairvoyant)", "", "", "", f"{clairvoyant(loads):.3f}"])
    header = ["load", "policy", "late %", "behind %", "switches", "PSNR-Y dB"]
    print(format_table(header, rows, left=2))


if __name__ == "__main__":
    main()
