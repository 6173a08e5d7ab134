"""A stream beside its stages: what decoder, network and encoder reach alone, and what all reach together."""

import collections
import contextlib
import dataclasses
import itertools
import os
import pathlib
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import Any, Final

import numpy as np

from dysr_jax.aot import backend_name
from dysr_jax.apps import VideoOptions, frames_in_flight, stream_video
from dysr_jax.bench.frames import FrameCall, Size, TimeBudget, end_to_end, photograph
from dysr_jax.bench.setup import BenchResult
from dysr_jax.bundle import Bundle, check_bundle
from dysr_jax.device import device_name
from dysr_jax.fields import require
from dysr_jax.model import Frame, FrameFormat
from dysr_jax.runtime import FrameRecord, Serving, VideoServer, open_server
from dysr_jax.runtime.policy import FixedPolicy
from dysr_jax.video import STANDARD, Writer, open_video, open_writer

RATE: Final = Fraction(30)  # of the clip; nothing waits for it
STEP: Final = 3  # pixels by which the picture moves from frame to frame
DISTINCT: Final = 8  # frames that network and encoder are given in turn


@dataclasses.dataclass(frozen=True)
class StreamRow:
    """A member into an encoder, or raw (`rawvideo`) to where nothing is kept: frames per second of each stage
    alone and of the stream, and its `ratio` to the slowest stage and to the network; `limiting` is the stage
    that was busy longest in the stream.
    """

    member: str
    encoder: str
    decode_fps: float
    network_fps: float
    encode_fps: float
    stream_fps: float
    ratio: float
    network_ratio: float
    limiting: str


@dataclasses.dataclass(frozen=True)
class StreamResult(BenchResult):
    """What `bench_stream` found."""

    device: str
    runtime: str
    size: str
    frames: int
    rows: tuple[StreamRow, ...]


def write_clip(path: pathlib.Path, size: Size, count: int, rate: Fraction = RATE) -> None:
    """H.264 of an embedded photograph that moves sideways: `count` frames of a size, all different."""
    image = photograph(size)
    with open_writer(path, width=size.columns, height=size.rows, rate=rate) as writer:
        for number in range(count):
            writer.write(np.ascontiguousarray(np.roll(image, STEP * number, 1)), number / rate)


class _Case:
    """A clip on its way through a server's member into an output."""

    def __init__(self, server: VideoServer, clip: pathlib.Path, count: int, options: VideoOptions) -> None:
        self.server, self.clip, self.count, self.options = server, clip, count, options

    def decode_s(self) -> float:
        """Seconds to decode the clip."""
        with open_video(self.clip) as reader:
            return _seconds(lambda: collections.deque(reader.plane_frames(), 0))

    def alone(self, member: str, target: str) -> tuple[float, float, str]:
        """Frames per second of the network, from host to host, and of the encoder; the encoder's name."""
        with open_video(self.clip) as reader:
            rows, columns = (self.server.bundle.space.scale * side for side in reader.image_shape)
            size: dict[str, Any] = {"width": columns, "height": rows, "rate": reader.rate}
            writer = open_writer(target, encoder=self.options.encoder, overwrite=True, **size)
            with contextlib.ExitStack() as held:
                held.callback(writer.abandon)
                form = FrameFormat(reader.planes, writer.format, reader.orientation, writer.multiple)
                self.server.prepare(reader.image_shape, [member], frames=form)
                some = itertools.islice(reader.plane_frames(), DISTINCT)
                given = [Frame(arrays, form) for arrays, _ in some]
                sent = itertools.cycle(given)
                call = FrameCall(lambda: self.server.dispatch(next(sent), member), np.asarray)
                network = end_to_end(call, TimeBudget(), depth=frames_in_flight(self.server))
                made = [self.server(frame, member) for frame in given]
                seconds = _seconds(lambda: self._encode(writer, made, reader.rate))
            return network.fps, self.count / seconds, writer.encoder

    def _encode(self, writer: Writer, made: Sequence[np.ndarray], rate: Fraction) -> None:
        for number in range(self.count):
            writer.write(made[number % len(made)], number / rate)
        writer.close()

    def together(self, member: str, target: str) -> tuple[float, str]:
        """Frames per second of the stream, from the first one's end until the output is closed, and the stage
        that was busy longest.
        """
        ends: list[float] = []
        how: dict[str, Any] = {"policy": FixedPolicy(member), "server": self.server}

        def watch(record: FrameRecord) -> None:
            ends.append(time.perf_counter())

        trace = stream_video(self.server.bundle, self.clip, target, self.options, watch=watch, **how)
        seconds = time.perf_counter() - ends[0]
        return (len(trace.frames) - 1) / seconds, trace.limiting_stage


def bench_stream(
    bundle: Bundle,
    *,
    frame: tuple[int, int] = (270, 480),
    members: Sequence[str] = (),
    frames: int = 300,
    encoder: str = "auto",
    backend: str = "auto",
) -> StreamResult:
    """Frames per second of a stream, and of its stages alone, side by side on this machine.

    A clip of `frames` frames, `frame` LR rows and columns, is streamed by each of `members` (default: the
    fastest and the best), encoded by `encoder` and raw. Alone, the decoder decodes it, the network makes its
    frames from host to host, and the encoder takes frames that were made before.

    Raises InputError: no such member, a frame without a row or column, fewer than 2 frames, or an encoder
    that is not there.
    """
    check_bundle(bundle)
    require(frames >= 2, "frames", frames, "at least 2")
    require(min(frame) >= 1, "frame", frame, "at least one row and one column")
    names = list(dict.fromkeys(bundle.member(name).name for name in members or ("fastest", "best")))
    size, scale, rows = Size(*frame), bundle.space.scale, []
    opened = contextlib.closing(open_server(bundle, backend, lambda: Serving(bundle)))
    with tempfile.TemporaryDirectory(prefix="dysr_") as folder, opened as server:
        clip = pathlib.Path(folder) / "clip.mp4"
        write_clip(clip, size, frames)
        options = VideoOptions(backend=backend, encoder=encoder, overwrite=True, repeat_threshold=-1)
        for name, raw in itertools.product(names, (False, True)):
            target = STANDARD if raw else str(clip.with_name("out.mp4"))
            case = _Case(
                server, clip, frames, dataclasses.replace(options, encoder="auto") if raw else options
            )
            with _discarded_output() if raw else contextlib.nullcontext():
                decode_fps = frames / case.decode_s()
                network_fps, encode_fps, used = case.alone(name, target)
                stream_fps, limiting = case.together(name, target)
            slowest = min(decode_fps, network_fps, encode_fps)
            rates = (decode_fps, network_fps, encode_fps, stream_fps)
            rows.append(
                StreamRow(name, used, *rates, stream_fps / slowest, stream_fps / network_fps, limiting)
            )
    return StreamResult(
        device=device_name(),
        runtime=backend_name(backend) or "xla",
        size=f"{size} -> {Size(size.rows * scale, size.columns * scale)}",
        frames=frames,
        rows=tuple(rows),
    )


@contextlib.contextmanager
def _discarded_output() -> Iterator[None]:
    """Nothing keeps what goes to standard output."""
    sys.stdout.flush()
    kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)


def _seconds(call: Callable[[], object]) -> float:
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin
