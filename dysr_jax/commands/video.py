"""A video through a bundle."""

import collections
import dataclasses
import pathlib
import sys
from collections.abc import Mapping
from typing import Annotated, Any

import tyro
from tqdm import tqdm

from dysr_jax.atomic import write_json
from dysr_jax.bundle import find_bundle
from dysr_jax.commands.common import JsonOption, ServerOptions, check_output
from dysr_jax.errors import InputError
from dysr_jax.fields import require
from dysr_jax.report import encoders_table, stream_summary
from dysr_jax.runtime import FrameRecord, Trace
from dysr_jax.runtime.policy import load_policy
from dysr_jax.video import STANDARD, list_encoders


@dataclasses.dataclass(frozen=True)
class Stream(ServerOptions, JsonOption):
    """Upscale a video at a frame rate that is held by switching between members."""

    paths: Annotated[tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="IN... OUT")] = ()
    """A video, an address (http, https, rtsp, rtmp, udp, srt), a camera such as /dev/video0, or - for
    standard input. Then .mp4, .mkv, .mov, .webm, .y4m, or - for Y4M on standard output; for several videos a
    folder."""
    fps: float | None = None
    """Frames a second to hold; without it the video's own."""
    real_time: bool = False
    """Frames come at that rate, as from a camera: they are late if they miss it, and dropped if they wait too
    long. Else as fast as possible."""
    most_waiting: int = 4
    """In real time: frames that may wait; beyond it the oldest is dropped."""
    start: float = 0.0
    """Seconds of the video to skip."""
    duration: float | None = None
    """Seconds to stream; without it all."""
    members: tuple[str, ...] = ()
    """Members that may run; without any, all."""
    policy: str = "adaptive"
    """What chooses the member of each frame: adaptive, fixed:MEMBER, or MODULE:ATTRIBUTE of yours."""
    at_once: bool = False
    """Begin before all members are compiled: the chained plan serves them until they are."""
    budget_mb: float | None = None
    """Megabytes that weights, executables and workspace may take on the device."""
    encoder: str = "auto"
    """FFmpeg's name, as --encoders lists them."""
    crf: int | None = None
    """Quality in the encoder's own scale, smaller is better; without it the encoder's default here."""
    preset: str | None = None
    """Speed, by the encoder's own name for it."""
    pixel_format: str | None = None
    """What is encoded, such as yuv420p10le; without it yuv420p."""
    encoders: bool = False
    """List the encoders that this machine has, and do nothing else."""
    repeat_threshold: int = 0
    """A frame that differs by at most so many levels from the last computed one is not computed again; -1:
    all are."""
    overwrite: bool = False
    """Replace an output that is there."""
    figure: pathlib.Path | None = None
    """Draw frame times and members over time to this PNG file."""

    def __call__(self) -> None:
        from dysr_jax.apps import VideoOptions, stream_video, stream_videos
        from dysr_jax.report.plots import timeline_figure

        if self.encoders:
            print(encoders_table(list_encoders()))
            return
        require(len(self.paths) >= 2, "paths", " ".join(self.paths) or "none", "IN and OUT")
        check_output(self.json_path)
        check_output(self.figure, "figure")
        policy = load_policy(self.policy)
        if self.budget_mb is not None and not 0.0 < self.budget_mb < 1e9:
            raise InputError(f"budget-mb {self.budget_mb}: allowed is above 0")
        budget = None if self.budget_mb is None else int(self.budget_mb * 1e6)
        names = [field.name for field in dataclasses.fields(VideoOptions) if field.name != "budget"]
        options = VideoOptions(**{name: getattr(self, name) for name in names}, budget=budget)
        *sources, target = self.paths
        require(
            len(sources) == 1 or self.figure is None, "figure", str(self.figure), "none, for several videos"
        )
        bundle = find_bundle(self.bundle, self.scale)
        traces: dict[str, Trace] = {}
        with LiveLine({member.name: member.psnr_y for member in bundle.members}) as live:
            how: dict[str, Any] = {"policy": policy, "watch": live, "log": live.say}
            if len(sources) == 1:
                traces[target] = stream_video(bundle, sources[0], target, options, **how)
            else:
                for path, trace in stream_videos(bundle, sources, target, options, **how):
                    live.say(f"{path}: {stream_summary(trace)}")
                    traces[path] = trace
        if len(sources) == 1:
            print(stream_summary(traces[target]), file=sys.stderr if target == STANDARD else sys.stdout)
        if self.json_path:
            found = {path: trace.to_json() for path, trace in traces.items()}
            write_json(self.json_path, found[target] if len(sources) == 1 else {"videos": found})
        if self.figure and traces[target].frames:
            timeline_figure(self.figure, traces[target])
        if any(trace.interrupted for trace in traces.values()):
            raise KeyboardInterrupt


WINDOW = 30  # frames over which the rate is taken


class LiveLine:
    """Rate, member, PSNR-Y estimate (`psnr_y` by member, dB), late frames and queue on standard error.

    As a context manager it ends the line. Call it with every frame's record.
    """

    def __init__(self, psnr_y: Mapping[str, float]) -> None:
        self._bar: tqdm | None = None  # until there is a frame: an error before it stands alone
        self._done: collections.deque[float] = collections.deque(maxlen=WINDOW)
        self._late = 0
        self._psnr_y = psnr_y

    def __enter__(self) -> "LiveLine":
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def __call__(self, record: FrameRecord) -> None:
        """One more frame is done."""
        if self._bar is None:
            self._bar = tqdm(unit="frame", file=sys.stderr, dynamic_ncols=True, mininterval=0.2)
        self._done.append(record.done_s)
        self._late += record.late
        seconds = self._done[-1] - self._done[0]
        rate = (len(self._done) - 1) / seconds if seconds else 0.0
        quality = f"~{self._psnr_y[record.member]:.2f} dB"
        told = f"{rate:.1f} fps, {record.member} {quality}, {self._late} late, {record.queued} queued"
        self._bar.set_postfix_str(told, refresh=False)
        self._bar.update()

    def say(self, line: str) -> None:
        """A line for the user, above this one."""
        tqdm.write(line, file=sys.stderr)
