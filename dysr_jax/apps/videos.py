"""A video through the members of a bundle: read, upscaled and encoded at a frame rate that is held."""

import contextlib
import dataclasses
import os
import pathlib
import sys
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import Any

import jax
import numpy as np

from dysr_jax.aot import find_provider
from dysr_jax.bundle import Bundle, Member, check_bundle
from dysr_jax.fields import require
from dysr_jax.model import Frame, FrameFormat, frame_spec
from dysr_jax.runtime import (
    FrameRecord,
    Serving,
    Stream,
    StreamOptions,
    Trace,
    VideoServer,
    measure_timings,
    open_server,
)
from dysr_jax.runtime.policy import AdaptivePolicy, FixedPolicy, MemberTiming, Policy
from dysr_jax.video import FORMATS, STANDARD, Reader, Writer, open_video, open_writer

Log = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class VideoOptions:
    """How a video is streamed."""

    fps: float | None = None
    """Frames per second to hold; None: the video's own rate."""
    real_time: bool = False
    """Whether frames come at that rate, as from a live source: they are late if they miss it, and dropped if
    they wait too long."""
    most_waiting: int = 4
    """In real time: frames that may wait; beyond it the oldest is dropped."""
    members: tuple[str, ...] = ()
    """Names of the members that may run; none: all."""
    at_once: bool = False
    """Whether to begin with the chained plan while the members' own executables are compiled."""
    budget: int | None = None
    """Bytes of weights, executables and workspace on the device at most; None: no limit."""
    overwrite: bool = False
    """Whether to replace an output that exists."""
    backend: str = "auto"
    """What runs the network: `auto` (XLA), or ONNX Runtime (`dysr_jax.aot.find_provider`)."""
    start: float = 0.0
    """Seconds of the video that are skipped."""
    duration: float | None = None
    """Seconds that are streamed; None: all."""
    encoder: str = "auto"
    """FFmpeg's name of the encoder (`dysr_jax.video.list_encoders`); `auto`: the first that there is."""
    crf: int | None = None
    """Quality in the encoder's own scale, smaller is better; None: the default."""
    preset: str | None = None
    """Speed, by the encoder's own name; None: the default."""
    pixel_format: str | None = None
    """FFmpeg's name of what is encoded, such as `yuv420p10le`; None: the default."""
    repeat_threshold: int = 0
    """A frame that differs by at most so many levels from the last computed one is not computed again; -1:
    all are."""


def stream_video(
    bundle: Bundle,
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    options: VideoOptions = VideoOptions(),
    *,
    policy: Policy[Any] | None = None,
    watch: Callable[[FrameRecord], Any] | None = None,
    log: Log = lambda line: print(line, file=sys.stderr),
    server: VideoServer | None = None,
) -> Trace:
    """Upscale a video, each frame by the member that the policy chooses (default: `AdaptivePolicy()`).

    `source` is a video, an address, a camera, or `-` for a video on standard input; `target` the video to
    write, or `-` for Y4M on standard output. `watch` is called with every frame's record, `log` with lines
    for the user; a `server` of the bundle keeps its executables from video to video, and is not closed.
    Ctrl-C ends the stream, and the video properly. A source that is no video, an output that
    exists or cannot be written, options that cannot be, an unknown member and too little memory are an
    InputError.
    """
    with contextlib.nullcontext(server) if server else _opened(bundle, options, log) as opened:
        return _stream(bundle, opened, source, target, options, policy, watch, log)


def stream_videos(
    bundle: Bundle,
    sources: Sequence[str | os.PathLike[str]],
    folder: str | os.PathLike[str],
    options: VideoOptions = VideoOptions(),
    *,
    policy: Policy[Any] | None = None,
    watch: Callable[[FrameRecord], Any] | None = None,
    log: Log = lambda line: print(line, file=sys.stderr),
) -> Iterator[tuple[str, Trace]]:
    """Upscale videos one after the other into a folder, as `stream_video`; executables stay ready.

    Yields each output's path with its trace. A file keeps its name, and its suffix where that can be written,
    else gets `.mp4`. Two sources of one name, and a folder that is none, are an `InputError` before the
    first.
    """
    require(pathlib.Path(folder).is_dir(), "folder", os.fspath(folder), "a folder, for several videos")
    targets = [_target(folder, source) for source in sources]
    for target in targets:
        require(targets.count(target) == 1, "output", target, "of one source only")
    with _opened(bundle, options, log) as server:
        for source, target in zip(sources, targets, strict=True):
            trace = _stream(bundle, server, source, target, options, policy, watch, log)
            yield target, trace
            if trace.interrupted:
                return


def _target(folder: str | os.PathLike[str], source: str | os.PathLike[str]) -> str:
    name = os.fspath(source)
    require(name != STANDARD, "input", name, "files, if there are several")
    path = pathlib.PurePath(name.rstrip("/").rpartition("/")[2] if "://" in name else name)
    suffix = path.suffix.lower()
    return str(pathlib.Path(folder) / (path.stem + (suffix if suffix in FORMATS else ".mp4")))


@contextlib.contextmanager
def _opened(bundle: Bundle, options: VideoOptions, log: Log) -> Iterator[VideoServer]:
    """The server of a bundle."""
    check_bundle(bundle)
    provider, budget = find_provider(options.backend), options.budget
    require(
        budget is None or provider is None, "budget", budget, "none in ONNX Runtime, which keeps all members"
    )
    with contextlib.closing(
        open_server(bundle, options.backend, lambda: Serving(bundle, budget=budget, log=log))
    ) as server:
        yield server


def _stream(
    bundle: Bundle,
    server: VideoServer,
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    options: VideoOptions,
    policy: Policy[Any] | None,
    watch: Callable[[FrameRecord], Any] | None,
    log: Log,
) -> Trace:
    """One video through a server."""
    named = {bundle.member(name).name: bundle.member(name) for name in options.members}
    members = list(named.values()) or list(bundle.members)
    if isinstance(policy, FixedPolicy):
        bundle.member(policy.member)
    in_flight = frames_in_flight(server)
    with open_video(source, start=options.start, duration=options.duration) as reader:
        fps = float(reader.rate) if options.fps is None else options.fps
        stream_options = StreamOptions(
            fps,
            options.real_time or reader.live,
            paced=not reader.live,
            most_waiting=options.most_waiting,
            in_flight=in_flight,
            upload=in_flight > 1,
            repeat_threshold=options.repeat_threshold,
        )
        rows, columns = (bundle.space.scale * side for side in reader.image_shape)
        writer = open_writer(
            target,
            width=columns,
            height=rows,
            rate=reader.rate,
            like=reader,
            overwrite=options.overwrite,
            encoder=options.encoder,
            crf=options.crf,
            preset=options.preset,
            pixel_format=options.pixel_format,
        )
        interrupted = False
        # The program that reads standard output may end.
        with contextlib.suppress(BrokenPipeError), writer:
            frames = FrameFormat(reader.planes, writer.format, reader.orientation, writer.multiple)
            names = [member.name for member in members]
            if options.at_once and isinstance(server, Serving):
                server.prepare_soon(reader.image_shape, names, frames=frames)
            else:
                server.prepare(reader.image_shape, names, frames=frames)
            log(f"{writer.path}: encoded with {writer.encoder}")
            if reader.planes and reader.planes.bits > writer.format.bits:
                told = f"{reader.planes.bits} bits per channel become {writer.format.bits}"
                log(f"{writer.path}: {told}; --pixel-format yuv420p10le keeps 10")
            timings = _measure(server, reader.image_shape, frames, members, fps, log)
            stream = Stream(server, policy or AdaptivePolicy(), timings, stream_options, watch)
            try:
                stream.run(_frames(reader, frames), writer.write)
            except KeyboardInterrupt:
                interrupted = True
        for note in (*reader.notes, *filter(None, [reader.damaged])):
            log(f"{reader.path}: {note}")
        for note in writer.notes:
            log(f"{writer.path}: {note}")
        return dataclasses.replace(_with_writing(stream.trace, writer), interrupted=interrupted)


def frames_in_flight(server: VideoServer) -> int:
    """1 on a CPU, whose frames would share its cores, and in ONNX Runtime, which is waited for; else 3:
    copies to and from the device overlap.
    """
    return 3 if isinstance(server, Serving) and jax.default_backend() != "cpu" else 1


def _frames(reader: Reader, form: FrameFormat) -> Iterator[tuple[Frame, Fraction]]:
    for arrays, time in reader.plane_frames():
        yield Frame(arrays, form), time


def _with_writing(trace: Trace, writer: Writer) -> Trace:
    """With the time that each frame took to encode and to write; 0 for those that were not."""
    frames = list(trace.frames)
    for number, (encode_ms, mux_ms) in enumerate(zip(writer.encode_ms, writer.mux_ms, strict=False)):
        frames[number] = dataclasses.replace(frames[number], encode_ms=encode_ms, mux_ms=mux_ms)
    return dataclasses.replace(trace, frames=tuple(frames))


def _measure(
    server: VideoServer,
    shape: tuple[int, int],
    form: FrameFormat,
    members: list[Member],
    fps: float,
    log: Log,
) -> tuple[MemberTiming, ...]:
    arrays = tuple(np.zeros(spec.shape, spec.dtype) for spec in frame_spec(shape, None, form))
    interval_ms = 1e3 / fps
    timings = measure_timings(server, Frame(arrays, form), members, deadline_ms=interval_ms)
    if timings[0].frame_ms > interval_ms:
        taken = f"the fastest member takes {timings[0].frame_ms:.1f} ms per frame here"
        left = f"{fps:.4g} frames per second leave {interval_ms:.1f} ms"
        log(f"{taken}, but {left}: frames will be late")
    return timings
