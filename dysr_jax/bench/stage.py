"""What the switch experiment starts from: the members that fit, their weights on disk, a frame."""

import functools
import pathlib
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from dysr_jax.device import device_name
from dysr_jax.runtime.bank import Bank
from dysr_jax.runtime.baselines.shelf import Shelf, write_shelf
from dysr_jax.runtime.pretrained import find_bundle
from dysr_jax.timing import undisturbed_ms

REST_ROUNDS: Final = 15
"""Frames of each member, taken in turn, by which it is decided whether it fits."""

FRAME: Final = "frame.npy"
REFERENCE: Final = "reference.npy"
"""What the bank makes of the frame: `[members, s H, s W, 3]`."""


class Rest(NamedTuple):
    """The members of a bundle, one at a time."""

    device: str
    dtype: str
    frame: tuple[int, int]
    """LR rows and columns."""
    scale: int
    frame_ms: dict[str, float]
    """By member: host to host, as little as can be of what other programs add."""


class Stage:
    """Times the members of a bundle at rest, and lays out what the servers start from.

    Args:
        bundle: of a bundle directory; None: the weights that come with the package.
        scale: see `find_bundle`.
        frame: LR rows and columns; None: the bundle's.
        members: names; none: all.
    """

    def __init__(
        self,
        bundle: str | None,
        scale: int | None,
        frame: tuple[int, int] | None,
        members: tuple[str, ...],
    ) -> None:
        self._given = bundle, scale, frame, members

    def rest(self) -> Rest:
        """Time every member.

        Raises:
            InputError: no such bundle or member.
        """
        path, scale, shape, members = self._given
        bundle = self._bundle = find_bundle(path, scale)
        shape = bundle.frame if shape is None else shape
        asked = {bundle.member(name) for name in members} or set(bundle.members)
        names = [member.name for member in bundle.members if member in asked]
        self._frame = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
        self._bank = Bank(bundle, cache=None)
        self._bank.prepare(shape, names)
        calls = {name: functools.partial(self._bank, self._frame, name) for name in names}
        times, dtype = undisturbed_ms(calls, REST_ROUNDS), np.dtype(bundle.net.dtype).name
        return Rest(device_name(), dtype, shape, bundle.space.scale, times)

    def lay_out(self, folder: pathlib.Path, names: Sequence[str]) -> Shelf:
        """Write the members' weights, a frame, and what the bank makes of it."""
        np.save(folder / FRAME, self._frame)
        np.save(folder / REFERENCE, [self._bank(self._frame, name) for name in names])
        return write_shelf(folder, self._bundle, names)
