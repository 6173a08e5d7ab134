"""A video through the members of a bundle: reading, upscaling, encoding, at a frame rate that is held."""

import contextlib
import dataclasses
import os
import sys
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import jax
import numpy as np

from dysr_jax.bundle import Bundle, Member, check_bundle
from dysr_jax.runtime import FrameRecord, Serving, Stream, StreamOptions, Trace, measure_timings
from dysr_jax.runtime.policy import AdaptivePolicy, FixedPolicy, MemberTiming, Policy
from dysr_jax.video import Reader, Writer, open_video, open_writer

Say = Callable[[str], Any]


@dataclasses.dataclass(frozen=True)
class VideoOptions:
    """How a video is streamed."""

    fps: float | None = None
    """Frames a second to hold; None: the video's own."""
    real_time: bool = False
    """Frames come at that rate, as from a live source, and are late if they miss it."""
    members: tuple[str, ...] = ()
    """Names of the members that may run; none: all."""
    at_once: bool = False
    """Begin by the chained plan while the members' own executables are compiled."""
    budget: int | None = None
    """Bytes that weights, executables and workspace may take on the device."""
    overwrite: bool = False
    """Replace an output that is there."""


def stream_video(
    bundle: Bundle,
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    options: VideoOptions = VideoOptions(),
    *,
    policy: Policy[Any] | None = None,
    watch: Callable[[FrameRecord], Any] | None = None,
    say: Say = lambda line: print(line, file=sys.stderr),
) -> Trace:
    """Upscale a video, member by member as the policy says.

    Args:
        bundle: the members.
        source: a video, or `-` for one on standard input.
        target: the video to write, or `-` for Y4M on standard output.
        options: the rate, and what may run.
        policy: chooses the members; the default is `AdaptivePolicy()`.
        watch: called with every frame's record.
        say: takes lines for the user.

    Returns:
        What was done, frame by frame. An interruption from the keyboard ends the stream, and the video
        properly.

    Raises:
        InputError: a source that is no video, an output that is there or cannot be written, options that
            cannot be, a policy that names an unknown member, too little memory for the members.
    """
    check_bundle(bundle)
    named = {bundle.member(name).name: bundle.member(name) for name in options.members}
    chosen = list(named.values()) or list(bundle.members)
    if isinstance(policy, FixedPolicy):
        bundle.member(policy.member)
    with open_video(source) as reader:
        fps = float(reader.rate) if options.fps is None else options.fps
        running = StreamOptions(fps, options.real_time, in_flight=frames_in_flight())
        serving = Serving(bundle, budget=options.budget, say=say)
        interrupted = False
        scale, (rows, columns) = bundle.space.scale, reader.image_shape
        writer = open_writer(
            target,
            width=columns * scale,
            height=rows * scale,
            rate=reader.rate,
            like=reader,
            overwrite=options.overwrite,
        )
        # Who reads standard output may stop.
        with contextlib.closing(serving), contextlib.suppress(BrokenPipeError), writer:
            timings = _ready(serving, reader, chosen, fps, options.at_once, say)
            stream = Stream(serving, policy or AdaptivePolicy(), timings, running, watch)
            try:
                stream.run(one_size(reader, say), writer.write)
            except KeyboardInterrupt:
                interrupted = True
        _tell(reader, writer, say)
        return dataclasses.replace(stream.trace, interrupted=interrupted)


def frames_in_flight() -> int:
    """1 on a CPU, whose frames would share its cores; else 3: copies to and from the device overlap."""
    return 1 if jax.default_backend() == "cpu" else 3


def _ready(
    serving: Serving, reader: Reader, members: list[Member], fps: float, at_once: bool, say: Say
) -> tuple[MemberTiming, ...]:
    """Executables for the video's frames, and how long each takes."""
    names = [member.name for member in members]
    prepare = serving.prepare_soon if at_once else serving.prepare
    prepare(reader.image_shape, names)
    frame = np.zeros((*reader.image_shape, 3), np.uint8)
    timings = measure_timings(serving, frame, members, deadline_ms=1e3 / fps)
    if timings[0].frame_ms > 1e3 / fps:
        say(
            f"the fastest member takes {timings[0].frame_ms:.1f} ms a frame here, {fps:.4g} frames a second "
            f"are one in {1e3 / fps:.1f} ms: frames will be late"
        )
    return timings


def one_size(reader: Reader, say: Say) -> Iterator[tuple[np.ndarray, Fraction]]:
    """The frames; where the size changes in mid-stream they are brought to the first one's, as players do."""
    from PIL import Image

    rows, columns = reader.image_shape
    said = False
    for image, time in reader.frames():
        if image.shape[:2] == (rows, columns):
            yield image, time
            continue
        if not said:
            say(
                f"at {float(time):.2f} s frames become {image.shape[1]}x{image.shape[0]}: they are "
                f"resized to {columns}x{rows}"
            )
        said = True
        resized = Image.fromarray(image).resize((columns, rows), Image.Resampling.BICUBIC)
        yield np.asarray(resized), time


def _tell(reader: Reader, writer: Writer, say: Say) -> None:
    """What the output has not as the source has it."""
    damage = (reader.damaged,) if reader.damaged else ()
    for note in (*reader.notes, *damage):
        say(f"{reader.path}: {note}")
    for note in writer.notes:
        say(f"{writer.path}: {note}")
