"""The weights on disk that servers start from: one file of what members share, one of each member's own."""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Final

import jax

from dysr_jax.bundle import Bundle
from dysr_jax.model import Params, Supernet, compact_params, params_from_bytes, params_to_bytes

SHARED: Final = "shared.safetensors"


@dataclasses.dataclass(frozen=True)
class WeightsStore:
    """Where the weights of some members lie. Holds no arrays, so it can be sent to another process."""

    folder: pathlib.Path
    bundle: Bundle  # the members without their weights (`params` is empty)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the members, fastest first."""
        return tuple(member.name for member in self.bundle.members)

    def load(self) -> Bundle:
        """The members with the weights that they share, read from disk."""
        params = params_from_bytes((self.folder / SHARED).read_bytes())
        return dataclasses.replace(self.bundle, params=params)

    def load_own(self, member: str) -> Params:
        """A member's own weights, cut out and shared with no other, read from disk to the device."""
        return jax.device_put(params_from_bytes(self.file(member).read_bytes()))

    def net(self, member: str) -> Supernet:
        """The network that holds one member's weights and no other's."""
        return dataclasses.replace(self.bundle, members=(self.bundle.member(member),)).net

    def file(self, member: str) -> pathlib.Path:
        """Where a member's own weights lie."""
        return self.folder / f"{self.names.index(member):02d}.safetensors"


def write_weights_store(folder: pathlib.Path, bundle: Bundle, names: Sequence[str]) -> WeightsStore:
    """Write the weights of members of a bundle into an empty folder; what only others read is left out."""
    members = tuple(bundle.member(name) for name in names)
    store = WeightsStore(folder, dataclasses.replace(bundle, members=members, params={}))
    parts = {folder / SHARED: [member.arch for member in members]}
    parts |= {store.file(member.name): [member.arch] for member in members}
    for path, archs in parts.items():
        path.write_bytes(params_to_bytes(compact_params(bundle.params, bundle.space, archs)))
    return store
