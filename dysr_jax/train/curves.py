"""The training's scalars, read back from TensorBoard's event files without TensorBoard."""

import re
import struct
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import numpy as np
from etils import epath

from dysr_jax.errors import InputError

_FILE: Final = re.compile(r"events\.out\.tfevents\.(\d+)\..*\.from(\d+)")
_HEADER: Final = struct.Struct("<QI")
"""Length of a record and its checksum; after the record comes a checksum of its own."""


class Curve(NamedTuple):
    """One scalar over the training."""

    step: np.ndarray
    """int64 `[N]`, increasing."""
    value: np.ndarray
    """float64 `[N]`, the mean over the steps of a dispatch."""


def _records(content: bytes) -> Iterator[bytes]:
    """The whole records of an event file; one that a kill cut short ends them."""
    start = 0
    while start + _HEADER.size <= len(content):
        length, _ = _HEADER.unpack_from(content, start)
        begin, start = start + _HEADER.size, start + _HEADER.size + length + 4
        if start > len(content):
            return
        yield content[begin : begin + length]


def _events(file: epath.Path) -> Iterator[Any]:
    from google.protobuf.message import DecodeError
    from tensorboardX.proto.event_pb2 import Event

    try:
        yield from map(Event.FromString, _records(file.read_bytes()))
    except DecodeError:
        raise InputError(f"{file.name} is damaged") from None


def _scalars(file: epath.Path) -> Iterator[tuple[str, int, float]]:
    for event in _events(file):
        for value in event.summary.value:
            if value.HasField("simple_value"):
                yield value.tag, event.step, value.simple_value


def read_curves(directory: epath.PathLike) -> dict[str, Curve]:
    """Scalars by name (`loss`, `gradient_norm`, ...), in the order of their first event.

    A training that was killed goes on from a checkpoint in another file, whose name says the step: what
    older files tell of later steps is dropped, as TensorBoard does.

    Args:
        directory: `RUN/tensorboard`; it may lie in a bucket (`gs://`), and need not be there.

    Raises:
        InputError: a file of that name that holds something else.
    """
    folder, found = epath.Path(directory), []
    for file in folder.iterdir() if folder.is_dir() else ():
        if match := _FILE.fullmatch(file.name):
            found.append((int(match[1]), int(match[2]), file))
    points: dict[str, dict[int, float]] = {}
    for _, start, file in sorted(found, key=lambda entry: entry[:2]):
        for curve in points.values():
            for step in [step for step in curve if step > start]:
                del curve[step]
        for tag, step, value in _scalars(file):
            points.setdefault(tag.removeprefix("train/"), {})[step] = value
    return {name: _curve(steps) for name, steps in points.items() if steps}


def _curve(points: dict[int, float]) -> Curve:
    steps = sorted(points)
    return Curve(np.array(steps, np.int64), np.array([points[step] for step in steps]))
