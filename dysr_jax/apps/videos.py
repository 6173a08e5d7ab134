"""A video through the members of a bundle: read, upscaled and encoded at a frame rate that is held."""

import contextlib
import dataclasses
import os
import sys
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import jax
import numpy as np

from dysr_jax.aot import find_provider
from dysr_jax.bundle import Bundle, Member, check_bundle
from dysr_jax.fields import require
from dysr_jax.runtime import (
    FrameRecord,
    Server,
    Serving,
    Stream,
    StreamOptions,
    Trace,
    measure_timings,
    open_server,
)
from dysr_jax.runtime.policy import AdaptivePolicy, FixedPolicy, MemberTiming, Policy
from dysr_jax.video import Reader, open_video, open_writer


@dataclasses.dataclass(frozen=True)
class VideoOptions:
    """How a video is streamed."""

    fps: float | None = None
    """Frames per second to hold; None: the video's own rate."""
    real_time: bool = False
    """Whether frames come at that rate, as from a live source, and are late if they miss it."""
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


def stream_video(
    bundle: Bundle,
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    options: VideoOptions = VideoOptions(),
    *,
    policy: Policy[Any] | None = None,
    watch: Callable[[FrameRecord], Any] | None = None,
    log: Callable[[str], None] = lambda line: print(line, file=sys.stderr),
) -> Trace:
    """Upscale a video, each frame by the member that the policy chooses (default: `AdaptivePolicy()`).

    `source` is a video, or `-` for one on standard input; `target` the video to write, or `-` for Y4M on
    standard output. `watch` is called with every frame's record, `log` with lines for the user. Ctrl-C ends
    the stream, and the video properly. A source that is no video, an output that exists or cannot be written,
    options that cannot be, an unknown member and too little memory are an InputError.
    """
    check_bundle(bundle)
    if find_provider(options.backend) is not None:
        require(
            options.budget is None, "budget", options.budget, "none in ONNX Runtime, which keeps all members"
        )
    named = {bundle.member(name).name: bundle.member(name) for name in options.members}
    members = list(named.values()) or list(bundle.members)
    if isinstance(policy, FixedPolicy):
        bundle.member(policy.member)
    with open_video(source) as reader:
        fps = float(reader.rate) if options.fps is None else options.fps
        server = open_server(bundle, options.backend, lambda: Serving(bundle, budget=options.budget, log=log))
        in_flight = frames_in_flight() if isinstance(server, Serving) else 1
        stream_options = StreamOptions(fps, options.real_time, in_flight=in_flight)
        interrupted = False
        rows, columns = (bundle.space.scale * side for side in reader.image_shape)
        writer = open_writer(
            target, width=columns, height=rows, rate=reader.rate, like=reader, overwrite=options.overwrite
        )
        # The program that reads standard output may end.
        with contextlib.closing(server), contextlib.suppress(BrokenPipeError), writer:
            names = [member.name for member in members]
            if options.at_once and isinstance(server, Serving):
                server.prepare_soon(reader.image_shape, names)
            else:
                server.prepare(reader.image_shape, names)
            timings = _measure(server, reader.image_shape, members, fps, log)
            stream = Stream(server, policy or AdaptivePolicy(), timings, stream_options, watch)
            try:
                stream.run(_frames_of_one_size(reader, log), writer.write)
            except KeyboardInterrupt:
                interrupted = True
        for note in (*reader.notes, *filter(None, [reader.damaged])):
            log(f"{reader.path}: {note}")
        for note in writer.notes:
            log(f"{writer.path}: {note}")
        return dataclasses.replace(stream.trace, interrupted=interrupted)


def frames_in_flight() -> int:
    """1 on a CPU, whose frames would share its cores; else 3: copies to and from the device overlap."""
    return 1 if jax.default_backend() == "cpu" else 3


def _measure(
    server: Server, shape: tuple[int, int], members: list[Member], fps: float, log: Callable[[str], None]
) -> tuple[MemberTiming, ...]:
    frame, interval_ms = np.zeros((*shape, 3), np.uint8), 1e3 / fps
    timings = measure_timings(server, frame, members, deadline_ms=interval_ms)
    if timings[0].frame_ms > interval_ms:
        taken = f"the fastest member takes {timings[0].frame_ms:.1f} ms per frame here"
        left = f"{fps:.4g} frames per second leave {interval_ms:.1f} ms"
        log(f"{taken}, but {left}: frames will be late")
    return timings


def _frames_of_one_size(reader: Reader, log: Callable[[str], None]) -> Iterator[tuple[np.ndarray, Fraction]]:
    """The frames; those of another size than the first are resized to it, as players do."""
    from PIL import Image

    rows, columns = reader.image_shape
    logged = False
    for image, time in reader.frames():
        if image.shape[:2] == (rows, columns):
            yield image, time
            continue
        if not logged:
            size = f"{image.shape[1]}x{image.shape[0]}"
            log(f"at {float(time):.2f} s frames become {size}: they are resized to {columns}x{rows}")
        logged = True
        resized = Image.fromarray(image).resize((columns, rows), Image.Resampling.BICUBIC)
        yield np.asarray(resized), time
