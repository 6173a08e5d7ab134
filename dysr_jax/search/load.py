"""The purpose of a bundle as a number: the expected PSNR-Y of on-time frames under a load.

A load is a distribution of slowdowns: how many times its time at rest a frame takes. At each slowdown the
best member counts that is on time under a frame rate; a frame that no member makes in time counts 0 dB.
"""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from etils import epath

from dysr_jax.errors import InputError

TOLERANCE: Final = 1e-6
"""By how much probabilities may miss a sum of 1."""


class Load(NamedTuple):
    """A distribution."""

    slowdown: np.ndarray  # `[n]`, at least 1
    probability: np.ndarray  # `[n]`, of the sum 1


def read_load(path: str) -> Load:
    """A JSON list of `[slowdown, probability]`, or what `dysr bench steady --json` wrote: there each frame of
    the adaptive stream counts as often, one that was faster than at rest as at rest.

    Raises `InputError`: a file that cannot be read, or no distribution.
    """
    what = f"search.for_load {path!r}"
    try:
        found = json.loads(epath.Path(path).read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{what}: must be a JSON file of a load ({type(error).__name__})") from None
    try:
        rows = _recorded(found) if isinstance(found, Mapping) else [(*map(float, row),) for row in found]
        slowdown, probability = np.array(rows, float).reshape(-1, 2).T
    except (KeyError, TypeError, ValueError, StopIteration, ZeroDivisionError):
        needed = "a list of [slowdown, probability], or what dysr bench steady --json writes"
        raise InputError(f"{what}: must be {needed}") from None
    if not len(slowdown) or not np.all(np.isfinite(slowdown) & (slowdown >= 1.0)):
        raise InputError(f"{what}: slowdowns must be one or more, finite and at least 1")
    if not np.all(probability >= 0.0) or not abs(probability.sum() - 1.0) <= TOLERANCE:
        raise InputError(f"{what}: probabilities must be at least 0 and sum to 1, got {probability.sum():g}")
    return Load(slowdown, probability)


def _recorded(steady: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    rest = {member["name"]: float(member["frame_ms"]) for member in steady["members"]}
    trace = next(each for each in steady["strategies"] if each["name"] == "adaptive")["trace"]
    each = [ms / rest[name] for ms, name in zip(trace["frame_ms"], trace["member"], strict=True)]
    return list(zip(*frames_load(each), strict=True))


def frames_load(slowdowns: Sequence[float]) -> Load:
    """The load of frames, at least one: each counts as often, one that was faster than at rest as at rest."""
    return Load(np.maximum(1.0, slowdowns), np.full(len(slowdowns), 1 / len(slowdowns)))


def on_time_ms(load: Load, fps: float) -> np.ndarray:
    """Milliseconds that a member may take at rest, to be on time: `[n]`."""
    return 1000.0 / fps / load.slowdown


def expected_psnr_y(latency_ms: np.ndarray, psnr_y: np.ndarray, load: Load, fps: float) -> float:
    """dB, over the load, of the best member on time; 0 where none is. Both arrays are `[members]`."""
    on_time = np.asarray(latency_ms) <= on_time_ms(load, fps)[:, None]
    return float(load.probability @ np.where(on_time, psnr_y, 0.0).max(1))


def load_gains(
    latency_ms: np.ndarray, psnr_y: np.ndarray, load: Load, fps: float
) -> tuple[np.ndarray, np.ndarray]:
    """What each point of a front, fastest first, adds to the expected PSNR-Y, in parts of the front's range.

    `[n, n]` where j is the next one that is chosen (-inf unless i < j), and `[n]` where none is.
    """
    on_time = (latency_ms[:, None] <= on_time_ms(load, fps)) @ load.probability
    scale = psnr_y / (psnr_y[-1] - psnr_y[0] or 1.0)
    gains = scale[:, None] * (on_time[:, None] - on_time[None, :])  # where j is on time too, j counts
    return np.where(np.triu(np.ones(gains.shape, bool), 1), gains, -math.inf), scale * on_time
