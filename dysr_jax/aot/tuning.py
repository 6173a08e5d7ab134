"""Which form of a static program is fastest on this device: measured once, side by side.

On a CPU a frame in bands of rows keeps to the caches and to memory that was used before, and a library for
matrix products makes some networks faster and others slower. A form whose pixels are not those of the first
one is never chosen.
"""

import functools
import json
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import jax
import numpy as np

from dysr_jax import model
from dysr_jax.compiling import WITHOUT_YNN, exact_options
from dysr_jax.device import default_device
from dysr_jax.model import Arch, Bands, Form, Supernet
from dysr_jax.timing import undisturbed_ms

SMALLEST_BYTES: Final = 4 * 2**20
"""Of the trunk: below it a CPU's caches hold what lies between the layers."""
MOST_MULT_ADDS: Final = 6_000
"""Per value of the trunk: above it a program is bound by arithmetic, where the first form is the fastest."""
SLOWEST_S: Final = 4.0
"""What takes longer per frame is not measured: it would take minutes."""
GAIN: Final = 0.97
"""A form is chosen for at most this share of the first one's time."""

_BAND_BYTES: Final = 10 * 2**20  # of the trunk
_BAND_ROWS: Final = 60
_BRANCHES: Final = 3  # per pass
_ROUNDS_S: Final = 2.0  # all rounds together
_MOST_ROUNDS: Final = 7
_DIFFERING: Final = 1e-3
"""The share of values that may be a level away: where rounding to uint8 falls to the other side."""


def offered_forms(
    net: Supernet, arch: Arch, shape: tuple[int, int], batch: int | None = None
) -> dict[str, Form]:
    """By name; the first one is right anywhere. The only one on accelerators, for small frames, for programs
    that are bound by arithmetic, and where XLA does not know the options.
    """
    space, width = net.space, model.arch_width(net.space, arch)
    forms = {"whole": Form(model.compiler_options())}
    row_bytes = (batch or 1) * shape[1] * width * np.dtype(net.dtype).itemsize
    exact = exact_options()
    if default_device().platform != "cpu" or not exact or row_bytes * shape[0] < SMALLEST_BYTES:
        return forms
    if model.arch_mult_adds(space, arch, (space.scale, space.scale)) > MOST_MULT_ADDS * width:
        return forms
    dots = exact | dict.fromkeys(WITHOUT_YNN, "LIBRARY_FUSION_TYPE_DOT")
    forms["whole, dots"] = Form(dots)
    rows = max(1, min(_BAND_ROWS, _BAND_BYTES // row_bytes))
    if rows < shape[0] and model.can_band(space, arch):
        bands = Bands(rows, _BRANCHES)
        forms |= {"bands": Form(exact, bands), "bands, dots": Form(dots, bands)}
    return forms


class Choice(NamedTuple):
    """The name of a form, and milliseconds per frame of those that were measured."""

    name: str
    ms: dict[str, float]

    def to_text(self) -> str:
        """As `noted_name` reads it."""
        return json.dumps(self._asdict())


def noted_name(note: str) -> str:
    """The name in a note of `Choice.to_text`; empty where there is none."""
    try:
        return str(json.loads(note)["name"])
    except (ValueError, KeyError, TypeError):
        return ""


def choose_form(
    makers: Mapping[str, Callable[[], Callable[..., Any]]], read: Any, frame: tuple[int, ...]
) -> Choice | None:
    """The fastest of the executables `(read, frame) -> frame` that `makers` make, if it is right; None where
    the first takes longer than `SLOWEST_S`.

    Each is compared with the first on random frames of the shape `frame`, uint8. One that cannot be made, or
    does not run, is left out.
    """
    first, *others = makers
    frames = _frames(frame)
    run = makers[first]()
    expected = [np.asarray(run(read, sent)) for sent in frames]
    begin = time.perf_counter()
    jax.block_until_ready(run(read, frames[0]))
    took = time.perf_counter() - begin
    if took > SLOWEST_S:
        return None
    calls = {first: functools.partial(run, read, frames[0])}
    for name in others:
        try:
            other = makers[name]()
            if _is_right(functools.partial(other, read), frames, expected):
                calls[name] = functools.partial(other, read, frames[0])
        except RuntimeError:  # JAX's own errors are of this kind
            continue
    if len(calls) == 1:
        return Choice(first, {first: took * 1e3})
    rounds = max(2, min(_MOST_ROUNDS, int(_ROUNDS_S / (took * len(calls)))))
    ms = undisturbed_ms(calls, rounds, warmup=1)
    best = min(ms, key=ms.__getitem__)
    return Choice(best if ms[best] <= GAIN * ms[first] else first, ms)


def _frames(shape: tuple[int, ...]) -> list[np.ndarray]:
    """Noise, and ramps as photographs have them, with noise of a few levels."""
    rng = np.random.default_rng(0)
    rows, columns = np.meshgrid(*(np.linspace(0, 1, side) for side in shape[-3:-1]), indexing="ij")
    ramps = np.stack([255 * rows, 255 * columns, 127 * (rows + columns)], -1)
    smooth = np.broadcast_to(ramps, shape) + rng.normal(0, 3, shape)
    return [rng.integers(0, 256, shape, np.uint8), np.clip(smooth, 0, 255).astype(np.uint8)]


def _is_right(run: Callable[[np.ndarray], Any], frames: list[np.ndarray], expected: list[np.ndarray]) -> bool:
    """Whether pixels are as expected but for rounding, and the same when they are computed again."""
    outputs = [np.asarray(run(sent)) for sent in frames]
    for output, right in zip(outputs, expected, strict=True):
        if output.shape != right.shape or output.dtype != right.dtype:
            return False
        apart = np.abs(output.astype(np.int16) - right)
        if apart.max() > 1 or np.mean(apart > 0) > _DIFFERING:
            return False
    return all((np.asarray(run(frames[0])) == outputs[0]).all() for _ in range(2))
