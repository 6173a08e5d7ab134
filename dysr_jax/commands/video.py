"""A video through a bundle."""

import collections
import dataclasses
import pathlib
import sys
from collections.abc import Mapping
from typing import Annotated

import tyro
from tqdm import tqdm

from dysr_jax.atomic import write_json
from dysr_jax.bundle import find_bundle
from dysr_jax.commands.common import JsonOption, ServerOptions, check_output
from dysr_jax.errors import InputError
from dysr_jax.report import stream_summary
from dysr_jax.runtime import FrameRecord
from dysr_jax.runtime.policy import load_policy


@dataclasses.dataclass(frozen=True)
class Stream(ServerOptions, JsonOption):
    """Upscale a video at a frame rate that is held by switching between members."""

    source: Annotated[tyro.conf.Positional[str], tyro.conf.arg(name="in", metavar="IN")]
    """A video, or - for one on standard input."""
    target: Annotated[tyro.conf.Positional[str], tyro.conf.arg(name="out", metavar="OUT")]
    """.mp4, .mkv, .mov, .webm, .y4m, or - for Y4M on standard output."""
    fps: float | None = None
    """Frames a second to hold; without it the video's own."""
    real_time: bool = False
    """Frames come at that rate, as from a camera, and are late if they miss it; else as fast as possible."""
    members: tuple[str, ...] = ()
    """Members that may run; without any, all."""
    policy: str = "adaptive"
    """What chooses the member of each frame: adaptive, fixed:MEMBER, or MODULE:ATTRIBUTE of yours."""
    at_once: bool = False
    """Begin before all members are compiled: the chained plan serves them until they are."""
    budget_mb: float | None = None
    """Megabytes that weights, executables and workspace may take on the device."""
    overwrite: bool = False
    """Replace an output that is there."""
    figure: pathlib.Path | None = None
    """Draw frame times and members over time to this PNG file."""

    def __call__(self) -> None:
        from dysr_jax.apps import VideoOptions, stream_video
        from dysr_jax.report.plots import timeline_figure

        check_output(self.json_path)
        check_output(self.figure, "figure")
        policy = load_policy(self.policy)
        if self.budget_mb is not None and not 0.0 < self.budget_mb < 1e9:
            raise InputError(f"budget-mb {self.budget_mb}: allowed is above 0")
        budget = None if self.budget_mb is None else int(self.budget_mb * 1e6)
        names = ("fps", "real_time", "members", "at_once", "overwrite", "backend")
        own = {name: getattr(self, name) for name in names}
        options = VideoOptions(**own, budget=budget)
        bundle = find_bundle(self.bundle, self.scale)
        with LiveLine({member.name: member.psnr_y for member in bundle.members}) as live:
            ends = self.source, self.target
            trace = stream_video(bundle, *ends, options, policy=policy, watch=live, log=live.say)
        print(stream_summary(trace), file=sys.stderr if self.target == "-" else sys.stdout)
        if self.json_path:
            write_json(self.json_path, trace.to_json())
        if self.figure and trace.frames:
            timeline_figure(self.figure, trace)
        if trace.interrupted:
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
