"""The weights on disk that servers start from: one file of what members share, one of each member's own."""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Final

import jax

from dysr_jax.model.compact import compact
from dysr_jax.model.supernet import Params, Supernet
from dysr_jax.model.weights import from_bytes, to_bytes
from dysr_jax.runtime.bundle import Bundle

SHARED: Final = "shared.safetensors"


@dataclasses.dataclass(frozen=True)
class Shelf:
    """Where the weights of some members lie. Holds no arrays, so it can be sent to another process."""

    folder: pathlib.Path
    members: Bundle
    """The members without their weights (`params` is empty)."""

    @property
    def names(self) -> tuple[str, ...]:
        """Of the members, fastest first."""
        return tuple(member.name for member in self.members.members)

    def bundle(self) -> Bundle:
        """The members with the weights that they share, read from disk."""
        params = from_bytes((self.folder / SHARED).read_bytes())
        return dataclasses.replace(self.members, params=params)

    def own(self, member: str) -> Params:
        """A member's own weights, cut out and shared with no other, read from disk to the device."""
        return jax.device_put(from_bytes(self.file(member).read_bytes()))

    def net(self, member: str) -> Supernet:
        """The network that holds one member's weights and no other's."""
        alone = (self.members.member(member),)
        return dataclasses.replace(self.members, members=alone).net

    def file(self, member: str) -> pathlib.Path:
        """Where a member's own weights lie."""
        return self.folder / f"{self.names.index(member):02d}.safetensors"


def write_shelf(folder: pathlib.Path, bundle: Bundle, names: Sequence[str]) -> Shelf:
    """Write the weights of members of a bundle into a folder that is there.

    Args:
        folder: an empty one.
        bundle: has the members.
        names: of the members; weights that only others read are left out.

    Raises:
        InputError: no such member.
    """
    members = tuple(bundle.member(name) for name in names)
    space, archs = bundle.space, [member.arch for member in members]
    shelf = Shelf(folder, dataclasses.replace(bundle, members=members, params={}))
    (folder / SHARED).write_bytes(to_bytes(compact(bundle.params, space, archs)))
    for member in members:
        own = compact(bundle.params, space, [member.arch])
        shelf.file(member.name).write_bytes(to_bytes(own))
    return shelf
