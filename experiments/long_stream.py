"""An hour of film as fast as possible: does memory stay flat, and does every frame and all audio come out?

    python experiments/long_stream.py --bundle runs/quickstart/bundle --json FILE

The clip moves a photograph sideways and has a tone. Resident memory (and, where the device tells, its own) is
read every second; audio is in step if its packets have the times that they have in the source.
"""

import contextlib
import dataclasses
import pathlib
import tempfile
import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
import jax
import numpy as np
import tyro

from dysr_jax.apps import VideoOptions, stream_video
from dysr_jax.atomic import write_json
from dysr_jax.bench.frames import Size, photograph
from dysr_jax.bundle import find_bundle
from dysr_jax.device import device_name, resident_bytes
from dysr_jax.runtime import FrameRecord
from dysr_jax.runtime.policy import FixedPolicy

AUDIO_RATE, AUDIO_SAMPLES = 48_000, 1024  # samples per second, and per packet of AAC
SETTLED_S = 60.0  # of the film: from then on memory must be flat
READ_EVERY_S = 1.0


@dataclasses.dataclass(frozen=True)
class Options:
    """What is streamed."""

    bundle: str | None = None
    """A bundle directory; without it dysr_jax's own weights."""
    scale: int = 4
    """Of dysr_jax's own weights."""
    member: str = "fastest"
    """That makes every frame."""
    frame: tuple[int, int] = (36, 64)
    """LR rows and columns."""
    fps: int = 30
    """Frames per second of the film."""
    seconds: int = 3600
    """Of the film."""
    json: pathlib.Path | None = None
    """Write the figures to this file too."""


def write_film(path: pathlib.Path, options: Options) -> None:
    """H.264 and AAC of that length."""
    image = photograph(Size(*options.frame))
    with av.open(str(path), "w") as output:
        video = output.add_stream("libx264", rate=options.fps, options={"preset": "ultrafast", "crf": "30"})
        video.height, video.width = options.frame
        video.pix_fmt = "yuv420p"
        audio = output.add_stream("aac", rate=AUDIO_RATE, layout="mono")
        tone = np.sin(np.arange(AUDIO_SAMPLES) * (2 * np.pi * 440 / AUDIO_RATE)).astype(np.float32)[None]
        written = 0
        for number in range(options.fps * options.seconds):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(np.roll(image, 3 * number, 1)), "rgb24")
            frame.pts = number
            output.mux(video.encode(frame))
            while written * options.fps < number * AUDIO_RATE:
                sound = av.AudioFrame.from_ndarray(tone, "fltp", "mono")
                sound.rate, sound.pts = AUDIO_RATE, written
                output.mux(audio.encode(sound))
                written += AUDIO_SAMPLES
        output.mux(video.encode(None))
        output.mux(audio.encode(None))


def audio_times(path: pathlib.Path) -> list[Fraction]:
    """Seconds at which the packets of the audio are shown."""
    with av.open(str(path)) as source:
        stream = source.streams.audio[0]
        return [Fraction(p.pts * p.time_base) for p in source.demux(stream) if p.pts is not None]


class Memory:
    """Bytes of the process and of the device, read every second, with the number of frames until then."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, int, int]] = []
        self.frames = 0

    def __call__(self, record: FrameRecord) -> None:
        """One more frame is done."""
        self.frames = record.number + 1

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Read until the context ends."""
        ended = threading.Event()

        def read() -> None:
            while not ended.wait(READ_EVERY_S):
                stats: dict[str, Any] = jax.local_devices()[0].memory_stats() or {}
                self.rows.append((self.frames, resident_bytes(), int(stats.get("bytes_in_use", 0))))

        thread = threading.Thread(target=read, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def growth(self, settled: int, column: int) -> float | None:
        """Megabytes from the first to the last tenth (medians) of what came later; None of nothing."""
        after = [row[column] for row in self.rows if row[0] > settled]
        if not after:
            return None
        tenth = max(1, len(after) // 10)
        return float(np.median(after[-tenth:]) - np.median(after[:tenth])) / 1e6


def main(options: Options) -> None:
    """Run it."""
    bundle = find_bundle(options.bundle, None if options.bundle else options.scale)
    memory = Memory()
    with tempfile.TemporaryDirectory(prefix="dysr_") as folder:
        source, target = (pathlib.Path(folder) / name for name in ("film.mp4", "big.mp4"))
        write_film(source, options)
        begun = time.perf_counter()
        policy = FixedPolicy(options.member)
        how = VideoOptions(preset="ultrafast", repeat_threshold=-1)
        with memory.watched():
            trace = stream_video(bundle, source, target, how, policy=policy, watch=memory)
        seconds = time.perf_counter() - begun
        given, kept = audio_times(source), audio_times(target)
        with av.open(str(target)) as made:
            frames = sum(1 for packet in made.demux(video=0) if packet.size)
    settled = int(SETTLED_S * options.fps)
    apart = [abs(float(a - b)) * 1e3 for a, b in zip(given, kept, strict=False)]
    found = {
        "device": device_name(),
        "frame": options.frame,
        "frames": options.fps * options.seconds,
        "frames_written": frames,
        "seconds": seconds,
        "frames_per_second": len(trace.frames) / seconds,
        "resident_mb": resident_bytes() / 1e6,
        "resident_growth_mb": memory.growth(settled, 1),
        "device_growth_mb": memory.growth(settled, 2),
        "audio_packets": len(given),
        "audio_packets_kept": len(kept),
        "audio_apart_ms": max(apart, default=0.0),
        "stage_ms": trace.stage_ms,
    }
    for name, value in found.items():
        print(f"{name}: {value}")
    if options.json:
        write_json(options.json, found)


if __name__ == "__main__":
    main(tyro.cli(Options))
