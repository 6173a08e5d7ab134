"""What is drawn over time or generations, thinned to what a screen can show."""

from typing import Any, Final

import numpy as np

from dysr_jax.report.candidates import Growth
from dysr_jax.report.html.packing import Packer
from dysr_jax.report.streamed import Streamed
from dysr_jax.train.curves import Curve

MOST_POINTS: Final = 2_000
"""Of a curve."""
MOST_FRAMES: Final = 12_000
"""Of a stream."""


def _every(count: int, most: int) -> np.ndarray:
    """Indices of at most `most` of `count` points, both ends among them."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int))


def training_json(curves: dict[str, Curve], packer: Packer) -> list[dict[str, Any]]:
    """Each scalar's name, steps and values; none that has no finite value."""
    found = []
    for name, curve in curves.items():
        finite = np.flatnonzero(np.isfinite(curve.value))
        if len(finite):
            kept = finite[_every(len(finite), MOST_POINTS)]
            steps, values = packer.add(curve.step[kept], "int32"), packer.add(curve.value[kept])
            found.append({"name": name, "step": steps, "value": values})
    return found


def growth_json(found: Growth) -> dict[str, Any]:
    """Hypervolume and candidates by generation."""
    return {
        "evaluated": found.evaluated.tolist(),
        "hypervolume": found.hypervolume.tolist(),
        "reference": {"latency_ms": found.reference[0], "psnr_y": found.reference[1]},
    }


def stream_json(stream: Streamed, packer: Packer) -> dict[str, Any]:
    """A stream's frames and what they add up to."""
    trace, summary = stream.trace, stream.trace.summary()
    names = list(trace.psnr_y)
    late = np.array([frame.late for frame in trace.frames], bool)
    kept = _every(len(late), MOST_FRAMES)
    if len(kept) < len(late):  # no late frame is left out, up to as many again
        rest = np.flatnonzero(late)
        kept = np.union1d(kept, rest[_every(len(rest), MOST_FRAMES)] if len(rest) else rest)
    frames = [trace.frames[i] for i in kept]
    return {
        "name": stream.name,
        "fps": trace.fps,
        "members": [{"name": name, "psnr_y": value} for name, value in trace.psnr_y.items()],
        "summary": {**summary, "true_psnr_y": stream.true_psnr_y},
        "load": [list(point) for point in stream.load],
        "shown": len(frames),
        "seconds": packer.add([frame.done_s for frame in frames]),
        "frame_ms": packer.add([frame.frame_ms for frame in frames]),
        "member": packer.add([names.index(frame.member) for frame in frames], "uint16"),
        "late": packer.add(late[kept], "uint8"),
    }
