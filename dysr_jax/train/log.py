"""What is told of the training: the progress bar, and TensorBoard's scalars, written and read back."""

import contextlib
import pathlib
import re
import struct
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

import numpy as np
from etils import epath
from tqdm import tqdm

from dysr_jax.atomic import is_remote, naming
from dysr_jax.errors import InputError
from dysr_jax.train.config import TrainConfig
from dysr_jax.train.step import Metrics


class Log:
    """The progress bar and TensorBoard's scalars; metrics are fetched one dispatch late.

    Scalars are on disk at every checkpoint and at the end (of a remote directory copied then); a kill loses
    those since, which the restart tells again. The thread that trains writes them: tensorboardX's
    `SummaryWriter` has a thread of its own, which a full disk ends, and training would wait for it for ever.
    """

    def __init__(self, directory: epath.Path, config: TrainConfig, start: int, *, write: bool = True) -> None:
        self._directory, self._config = directory, config
        self._pending: tuple[int, Metrics] | None = None
        self._bar = tqdm(total=config.steps, initial=start, desc="train", unit="step", disable=not write)
        self._files = contextlib.ExitStack()
        self._folder = pathlib.Path(directory)
        if write and is_remote(directory):
            self._folder = pathlib.Path(self._files.enter_context(tempfile.TemporaryDirectory()))
        self._writer = self._open(start) if write else None

    def _open(self, start: int) -> Any:
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto.event_pb2 import Event, SessionLog

        with naming(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
            # The suffix keeps a restart within a second from writing into the older file.
            writer = EventsWriter(str(self._folder / "events"), filename_suffix=f".from{start}")
            again = SessionLog(status=SessionLog.START)  # what older files have of later steps is void
            writer.write_event(Event(step=start + 1, session_log=again, wall_time=time.time()))
        return writer

    def push(self, step: int, metrics: Metrics) -> None:
        """Take the metrics of the dispatch that ended at `step`; those of the one before are told."""
        self._tell()
        self._pending = (step, metrics)

    def flush(self) -> None:
        """Tell all metrics. Raises `InputError`: the loss became infinite or no number."""
        self._tell()
        if self._writer is not None:
            self._bring(self._writer.flush)

    def close(self) -> None:
        """Tell what is left and let go of the files."""
        with self._files:
            try:
                self._tell()
            finally:
                self._bar.close()
                if self._writer is not None:
                    self._bring(self._writer.close)

    def _bring(self, finish: Callable[[], object]) -> None:
        """Bring events to the disk, and from there to a remote directory."""
        with naming(self._folder):
            finish()
        if is_remote(self._directory):
            self._directory.mkdir(parents=True, exist_ok=True)
            for file in self._folder.iterdir():
                epath.Path(file).copy(self._directory / file.name, overwrite=True)

    def _tell(self) -> None:
        if self._pending is None:
            return
        (step, metrics), self._pending = self._pending, None
        means = {name: float(np.mean(values)) for name, values in metrics.items()}
        if not np.isfinite(means["loss"]):
            raise InputError(
                f"training diverged before step {step} (loss {means['loss']}): train.learning_rate must be "
                f"under {self._config.learning_rate}, or train.clip smaller"
            )
        if self._writer is not None:
            from tensorboardX.proto.event_pb2 import Event
            from tensorboardX.summary import scalar

            for name, value in means.items():
                event = Event(step=step, summary=scalar(f"train/{name}", value), wall_time=time.time())
                with naming(self._folder):
                    self._writer.write_event(event)
        self._bar.set_postfix(loss=f"{means['loss']:.4f}", refresh=False)
        self._bar.update(self._config.chunk)


_EVENT_FILE: Final = re.compile(r"events\.out\.tfevents\.(\d+)\..*\.from(\d+)")
_HEADER: Final = struct.Struct("<QI")
"""Length of a record and its checksum; after the record comes a checksum of its own."""


class Curve(NamedTuple):
    """One scalar over the training."""

    step: np.ndarray  # int64 `[N]`, increasing
    value: np.ndarray  # float64 `[N]`, the mean over the steps of a dispatch


def _scalars(file: epath.Path) -> Iterator[tuple[str, int, float]]:
    """Tags, steps and values of an event file; a record that a kill cut short ends them."""
    from google.protobuf.message import DecodeError
    from tensorboardX.proto.event_pb2 import Event

    content, start = file.read_bytes(), 0
    while start + _HEADER.size <= len(content):
        length, _ = _HEADER.unpack_from(content, start)
        begin, start = start + _HEADER.size, start + _HEADER.size + length + 4
        if start > len(content):
            return
        try:
            event = Event.FromString(content[begin : begin + length])
        except DecodeError:
            raise InputError(f"{file.name} is damaged") from None
        for value in event.summary.value:
            if value.HasField("simple_value"):
                yield value.tag, event.step, value.simple_value


def read_curves(directory: epath.PathLike) -> dict[str, Curve]:
    """Scalars of `RUN/tensorboard` by name (`loss`, `gradient_norm`, ...), in the order of their first event.

    A training that was killed goes on from a checkpoint in another file, whose name says the step: what older
    files tell of later steps is dropped, as TensorBoard does. The directory may be in a bucket, or missing.
    Raises `InputError`: a file of that name that holds something else.
    """
    folder = epath.Path(directory)
    files = folder.iterdir() if folder.is_dir() else ()
    found = [(match, file) for file in files if (match := _EVENT_FILE.fullmatch(file.name))]
    points: dict[str, dict[int, float]] = {}
    for match, file in sorted(found, key=lambda entry: [int(part) for part in entry[0].groups()]):
        for tag, curve in points.items():
            points[tag] = {step: value for step, value in curve.items() if step <= int(match[2])}
        for tag, step, value in _scalars(file):
            points.setdefault(tag.removeprefix("train/"), {})[step] = value
    columns = {tag: zip(*sorted(curve.items()), strict=True) for tag, curve in points.items() if curve}
    return {tag: Curve(np.array(step, np.int64), np.array(value)) for tag, (step, value) in columns.items()}
