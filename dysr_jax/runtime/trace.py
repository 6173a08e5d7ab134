"""What a stream did: a record per frame, and what they add up to."""

import dataclasses
import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

Load = tuple[float, float]
"""Seconds since the stream began, and the number of busy processes from then on."""


@dataclasses.dataclass(frozen=True)
class FrameRecord:
    """One frame of a stream. Times are seconds since it began."""

    number: int
    """From 0, in the order of the source."""
    arrived_s: float
    """When it arrived: by the source's clock in real time, else when it was decoded."""
    begun_s: float
    """When it was dispatched."""
    done_s: float
    """When it lay on the host."""
    frame_ms: float
    """How long the device was busy with it: since its dispatch, or since the frame before it was done."""
    member: str
    """The member that made it."""
    late: bool
    """Whether it was done after it was due."""
    queued: int
    """In real time: frames that had come and waited when it was dispatched."""
    repeated: bool = False
    """Whether it is the frame before it, which was not computed again."""
    decode_ms: float = 0.0
    """How long its source took to give it."""
    upload_ms: float = 0.0
    """How long it took to the device, where a thread of its own sends it there."""
    download_ms: float = 0.0
    """From the end of the network until it lay on the host."""
    encode_ms: float = 0.0
    """How long the encoder took to take it."""
    mux_ms: float = 0.0
    """How long it took to write what the encoder gave for it."""


STAGES: Final = {
    "decode": "decode_ms",
    "upload": "upload_ms",
    "network": "frame_ms",
    "download": "download_ms",
    "encode": "encode_ms",
    "mux": "mux_ms",
}
"""What a frame goes through, each in a thread or queue of its own; by the record's field."""


@dataclasses.dataclass(frozen=True)
class Trace:
    """The frames of a stream, and the rate that it was to hold."""

    fps: float
    """Frames per second to be held."""
    real_time: bool
    """Whether frames came at that rate; else as fast as they were taken."""
    psnr_y: Mapping[str, float] = dataclasses.field(hash=False)
    """dB of each member, as its bundle has it."""
    frames: Sequence[FrameRecord]
    interrupted: bool = False
    """Whether it was ended from the keyboard."""
    dropped: int = 0
    """In real time: frames that waited too long and were left out."""

    @property
    def late(self) -> int:
        """Number of late frames."""
        return sum(frame.late for frame in self.frames)

    @property
    def on_time(self) -> float:
        """Share of the frames that were neither late nor dropped; 1 of none."""
        came = len(self.frames) + self.dropped
        return 1.0 - (self.late + self.dropped) / came if came else 1.0

    @property
    def repeated(self) -> int:
        """Number of frames that were not computed again."""
        return sum(frame.repeated for frame in self.frames)

    @property
    def stage_ms(self) -> dict[str, float]:
        """Milliseconds per frame that each of `STAGES` was busy, on average."""
        count = max(1, len(self.frames))
        return {name: sum(getattr(f, field) for f in self.frames) / count for name, field in STAGES.items()}

    @property
    def limiting_stage(self) -> str:
        """The stage that was busy longest: the others wait for it."""
        stage_ms = self.stage_ms
        return max(stage_ms, key=stage_ms.__getitem__)

    @property
    def switches(self) -> int:
        """Number of frames that were made by another member than the frame before."""
        return sum(a.member != b.member for a, b in itertools.pairwise(self.frames))

    @property
    def gaps_ms(self) -> list[float]:
        """Milliseconds from each frame's end to the next one's."""
        return [(b.done_s - a.done_s) * 1e3 for a, b in itertools.pairwise(self.frames)]

    @property
    def interruptions(self) -> int:
        """Number of gaps longer than two frame times."""
        return sum(gap > 2e3 / self.fps for gap in self.gaps_ms)

    @property
    def mean_psnr_y(self) -> float:
        """dB: the mean over the frames of what their members reached on the bundle's validation images."""
        return sum(self.psnr_y[f.member] for f in self.frames) / max(1, len(self.frames))

    @property
    def seconds(self) -> float:
        """From the first frame's arrival to the last one's end."""
        return self.frames[-1].done_s - self.frames[0].arrived_s if self.frames else 0.0

    def summary(self) -> dict[str, Any]:
        """The figures of the whole stream, for JSON."""
        count = len(self.frames)
        shares = Counter(frame.member for frame in self.frames)
        return {
            **{name: getattr(self, name) for name in ("fps", "real_time", "interrupted")},
            "frames": count,
            "seconds": self.seconds,
            "frames_per_second": count / self.seconds if self.seconds else 0.0,
            **{name: getattr(self, name) for name in ("late", "dropped", "repeated", "on_time")},
            **{name: getattr(self, name) for name in ("switches", "interruptions")},
            "longest_gap_ms": max(self.gaps_ms, default=0.0),
            "mean_psnr_y": self.mean_psnr_y,
            "stage_ms": self.stage_ms,
            "limiting_stage": self.limiting_stage,
            "members": {name: shares[name] / count for name in self.psnr_y if shares[name]},
        }

    def to_json(self) -> dict[str, Any]:
        """The summary, and every frame: by name of the record's fields, their values to six decimals."""
        names = [field.name for field in dataclasses.fields(FrameRecord)]
        rows = [[getattr(frame, name) for frame in self.frames] for name in names]
        values = [[round(v, 6) if isinstance(v, float) else v for v in row] for row in rows]
        trace = dict(zip(names, values, strict=True))
        return {**self.summary(), "psnr_y": dict(self.psnr_y), "trace": trace}


def trace_from_json(fields: Mapping[str, Any]) -> Trace:
    """The inverse of `Trace.to_json`."""
    columns = fields["trace"]
    rows = zip(*columns.values(), strict=True)
    frames = [FrameRecord(**dict(zip(columns, row, strict=True))) for row in rows]
    told = {name: fields[name] for name in ("interrupted", "dropped") if name in fields}
    return Trace(fields["fps"], fields["real_time"], fields["psnr_y"], frames, **told)
