"""The bundle: what a search leaves. Data only, so loading one runs no code from it.

A directory of `weights.safetensors` (the compacted weights), `latency.json` (the table of the device) and
`manifest.json` (format version, space, members with their figures, steps between them, device, digests of
the files and of itself).
"""

import dataclasses
import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, overload

import jax
import jax.numpy as jnp
import numpy as np
from etils import epath

from dysr_jax.atomic import replacing_directory, write_json
from dysr_jax.bundle.manifest import read_file, read_manifest, write_manifest
from dysr_jax.bundle.member import Member
from dysr_jax.bundle.member import make_member as make_member
from dysr_jax.bundle.steps import Step, member_steps
from dysr_jax.device import device_name
from dysr_jax.errors import InputError
from dysr_jax.fields import as_path
from dysr_jax.model import (
    XLA,
    Arch,
    Kept,
    Params,
    SearchSpace,
    Supernet,
    arch_name,
    canonical_name,
    compact_params,
    compute_dtype,
    init_params,
    kept_branches,
    make_supernet,
    params_from_bytes,
    params_to_bytes,
    parse_arch,
    same_params,
)

if TYPE_CHECKING:
    from PIL import Image

    from dysr_jax.apps import PictureLike
    from dysr_jax.runtime import Bank

WEIGHTS: Final = "weights.safetensors"
LATENCY: Final = "latency.json"


@dataclasses.dataclass(frozen=True)
class Bundle:
    """Members, fastest first, over one compacted parameter pytree.

    Two are equal whose fields and weights are; the hash leaves the weights out.

    Raises:
        InputError: no members.
    """

    space: SearchSpace
    members: tuple[Member, ...]
    params: Params = dataclasses.field(repr=False, hash=False)
    dtype: str
    """Compute dtype of the members' figures."""
    device: str
    frame: tuple[int, int]
    """LR rows and columns that the latencies are for."""
    bicubic_psnr_y: float
    """Of bicubic upscaling, on the images of the members' PSNR-Y."""
    layers: str = XLA
    """The registered layer backend of `net`; a bundle from disk has the default one."""

    def __post_init__(self) -> None:
        if not self.members:
            raise InputError("members (): a bundle must have at least one")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Bundle):
            return NotImplemented
        names = [field.name for field in dataclasses.fields(self) if field.name != "params"]
        alike = all(getattr(self, name) == getattr(other, name) for name in names)
        return alike and same_params(self.params, other.params)

    @property
    def kept(self) -> Kept:
        """Branches whose weights are in the bundle."""
        return kept_branches(self.space, [member.arch for member in self.members])

    @property
    def steps(self) -> tuple[Step, ...]:
        """What changes between neighbouring members, from the fastest to the best; derived from them."""
        return member_steps(self.space, [member.arch for member in self.members])

    @property
    def net(self) -> Supernet:
        """The supernet over the compacted weights; bfloat16 becomes float32 on a CPU, which lacks it."""
        dtype = "auto" if self.dtype == "bfloat16" else self.dtype
        return make_supernet(self.space, dtype, self.kept, layers=self.layers)

    def member(self, name: str | None = None) -> Member:
        """The member of this name, however it is spelled; `fastest` or `best`, which is the default.

        Raises:
            InputError: no member has that name.
        """
        if name is None or name == "best":
            return self.members[-1]
        if name == "fastest":
            return self.members[0]
        for asked in (name, canonical_name(name)):
            for member in self.members:
                if member.name == asked:
                    return member
        names = ", ".join(member.name for member in self.members)
        raise InputError(f"member {name!r}: the bundle has {names}; fastest and best name its ends")

    def arch(self, name: str) -> Arch:
        """The arch of a member, or the one that a name means in the space, however it is spelled.

        Raises:
            InputError: neither has it.
        """
        try:
            return self.member(name).arch
        except InputError as error:
            try:
                return parse_arch(self.space, name)
            except InputError:
                raise error from None

    def canonical(self, name: str) -> str:
        """The one spelling of a name: `arch_name` of the arch that `arch` finds by it.

        Raises:
            InputError: neither a member nor an arch has it.
        """
        return arch_name(self.space, self.arch(name))

    @overload
    def upscale(self, image: "PictureLike", member: str | None = None) -> "Image.Image": ...

    @overload
    def upscale(self, image: np.ndarray | jax.Array, member: str | None = None) -> np.ndarray: ...

    def upscale(
        self, image: "np.ndarray | jax.Array | PictureLike", member: str | None = None
    ) -> "np.ndarray | Image.Image":
        """Upscale an image of any size; what is compiled for its shape is kept for the next ones.

        Args:
            image: a NumPy or JAX array `[H, W]` grey, or `[H, W, C]`, C 1 grey, 2 grey and alpha, 3 RGB,
                4 RGBA, uint8; an image of Pillow; or the path of an image file.
            member: a member's name, `fastest` or `best` (the default).

        Returns:
            Of an array a NumPy array, uint8, as many channels, both sides `s` times as long; of an image of
            Pillow or a path an image of Pillow.

        Raises:
            InputError: no such member, an image of another type, an array that is no such image, or a file
                that cannot be read.
        """
        from dysr_jax.apps import upscale_image

        return upscale_image(self._bank, image, member)

    @functools.cached_property
    def _bank(self) -> "Bank":
        from dysr_jax.apps import KEPT
        from dysr_jax.runtime import Bank

        return Bank(self, keep=KEPT)


def check_bundle(bundle: Any) -> None:
    """Refuse what is no bundle.

    Raises:
        InputError: says what makes one of a path.
    """
    if not isinstance(bundle, Bundle):
        raise InputError(
            f"bundle {bundle!r}: must be a Bundle, as load_bundle(PATH) and load_pretrained(NAME) return it"
        )


def make_bundle(
    params: Params, members: Sequence[Member], *, net: Supernet, frame: tuple[int, int], bicubic_psnr_y: float
) -> Bundle:
    """Compact the whole supernet's `params` to what the members read, for this device."""
    return Bundle(
        space=net.space,
        members=tuple(sorted(members, key=lambda member: member.latency_ms)),
        params=compact_params(params, net.space, [member.arch for member in members]),
        dtype=jnp.dtype(net.dtype).name,
        device=device_name(),
        frame=frame,
        bicubic_psnr_y=bicubic_psnr_y,
        layers=net.layers,
    )


def save_bundle(
    path: epath.PathLike, bundle: Bundle, latency: dict[str, Any], *, dtype: str = "float32"
) -> None:
    """Write a bundle directory, whole or not at all; an older one there is replaced.

    Args:
        path: of the directory; it may lie in a bucket (`gs://`).
        bundle: what to write.
        latency: content of the device's latency table, for `latency.json`.
        dtype: of the stored weights; float16 halves the file.

    Raises:
        InputError: another dtype.
    """
    if dtype not in ("float32", "float16"):
        raise InputError(f"dtype {dtype!r}: must be float32 or float16")
    manifest = {
        "space": dataclasses.asdict(bundle.space),
        "dtype": bundle.dtype,
        "device": bundle.device,
        "frame": list(bundle.frame),
        "bicubic_psnr_y": bundle.bicubic_psnr_y,
        "members": [dataclasses.asdict(member) for member in bundle.members],
        "steps": [step.as_json() for step in bundle.steps],
    }
    with replacing_directory(path) as partial:
        (partial / WEIGHTS).write_bytes(params_to_bytes(bundle.params, dtype))
        write_json(partial / LATENCY, latency)
        write_manifest(partial, manifest, (WEIGHTS, LATENCY))


def _space(fields: dict[str, Any]) -> SearchSpace:
    body = tuple(tuple(names) for names in fields["body"])
    return SearchSpace(body, tuple(fields["upsamplers"]), fields["width"], fields["scale"])


def _members(space: SearchSpace, fields: list[dict[str, Any]]) -> tuple[Member, ...]:
    archs = [parse_arch(space, m["name"]) for m in fields]
    return tuple(
        Member(**{**m, "arch": arch, "name": arch_name(space, arch)})
        for m, arch in zip(fields, archs, strict=True)
    )


def _params(content: bytes, space: SearchSpace, members: tuple[Member, ...]) -> Params:
    """The weights, held against the shapes that the members need."""
    try:
        params = params_from_bytes(content)
    except InputError as error:
        raise InputError(f"its weights, {WEIGHTS}: {error}") from None
    archs = [member.arch for member in members]
    whole = jax.eval_shape(lambda: init_params(jax.random.key(0), space))
    needed = jax.eval_shape(lambda p: compact_params(p, space, archs), whole)
    if jax.tree.map(jnp.shape, params) != jax.tree.map(lambda leaf: leaf.shape, needed):
        raise InputError("its weights are not those that its members need")
    return params


def load_bundle(path: epath.PathLike) -> Bundle:
    """Read a bundle directory, which may lie in a bucket, and check every file against its digest.

    Raises:
        InputError: a missing, truncated or altered file, another format version, or a branch that is
            not registered here.
    """
    folder = epath.Path(as_path(path, "bundle"))
    manifest = read_manifest(folder)
    read_file(folder, manifest, LATENCY)
    weights = read_file(folder, manifest, WEIGHTS)
    try:
        return _assemble(manifest, weights)
    except InputError as error:
        raise InputError(f"bundle {str(folder)!r}: {error}") from None
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise InputError(f"bundle {str(folder)!r} is not made as a bundle is ({reason})") from None


def _assemble(manifest: dict[str, Any], weights: bytes) -> Bundle:
    space = _space(manifest["space"])
    members = _members(space, manifest["members"])
    return Bundle(
        space=space,
        members=members,
        params=_params(weights, space, members),
        dtype=compute_dtype(manifest["dtype"]),
        device=manifest["device"],
        frame=tuple(manifest["frame"]),
        bicubic_psnr_y=manifest["bicubic_psnr_y"],
    )
