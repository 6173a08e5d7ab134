"""The line that a stream shows while it runs."""

import collections
import sys
from collections.abc import Mapping
from types import TracebackType

from tqdm import tqdm

from dysr_jax.runtime import FrameRecord

WINDOW = 30
"""Frames over which the rate is taken."""


class LiveLine:
    """Rate, member, PSNR-Y estimate, late frames and queue on standard error, some times a second.

    As a context manager it ends the line. Call it with every frame's record.

    Args:
        psnr_y: dB of each member, as the bundle has it.
    """

    def __init__(self, psnr_y: Mapping[str, float]) -> None:
        self._bar: tqdm | None = None  # until there is a frame: an error before it stands alone
        self._done: collections.deque[float] = collections.deque(maxlen=WINDOW)
        self._late = 0
        self._psnr_y = psnr_y

    def __enter__(self) -> "LiveLine":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
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
        self._bar.set_postfix_str(
            f"{rate:.1f} fps, {record.member} {quality}, {self._late} late, {record.queued} queued",
            refresh=False,
        )
        self._bar.update()

    def say(self, line: str) -> None:
        """A line for the user, above this one."""
        tqdm.write(line, file=sys.stderr)
