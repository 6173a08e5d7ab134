"""The bundle: members over shared weights, in memory and as a directory. Loading one runs no code from it.

The directory holds `weights.safetensors` (compacted), `latency.json` (the device's latency table) and
`manifest.json` (format version, space, members and their figures, steps, device, digests).
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, Final

import jax
import jax.numpy as jnp
from etils import epath

from dysr_jax import model
from dysr_jax.atomic import replacing_directory, write_json
from dysr_jax.bundle.manifest import read_file, read_manifest, write_manifest
from dysr_jax.bundle.members import Member, Step, member_steps
from dysr_jax.bundle.members import make_member as make_member
from dysr_jax.device import device_name
from dysr_jax.errors import InputError
from dysr_jax.fields import as_path
from dysr_jax.model import XLA, Arch, Kept, Params, SearchSpace, Supernet

WEIGHTS_FILE: Final = "weights.safetensors"
LATENCY_FILE: Final = "latency.json"


@dataclasses.dataclass(frozen=True)
class Bundle:
    """Members, at least one, fastest first, over one compacted parameter pytree.

    Bundles with equal fields and weights are equal; the hash leaves the weights out.
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
    """PSNR-Y of bicubic upscaling, in dB, on the images of the members' PSNR-Y."""
    layers: str = XLA
    """Registered layer backend of `net`; a bundle from disk has the default one."""

    def __post_init__(self) -> None:
        if not self.members:
            raise InputError("members (): a bundle must have at least one")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Bundle):
            return NotImplemented
        first, second = ({**vars(bundle), "params": None} for bundle in (self, other))
        return first == second and model.same_params(self.params, other.params)

    @property
    def archs(self) -> list[Arch]:
        """The members' archs, fastest first."""
        return [member.arch for member in self.members]

    @property
    def kept(self) -> Kept:
        """Branches whose weights are in the bundle."""
        return model.kept_branches(self.space, self.archs)

    @property
    def steps(self) -> tuple[Step, ...]:
        """What changes between neighbouring members, from the fastest to the best."""
        return member_steps(self.space, self.archs)

    @property
    def net(self) -> Supernet:
        """The supernet over the compacted weights; bfloat16 becomes float32 on a CPU, which lacks it."""
        dtype = "auto" if self.dtype == "bfloat16" else self.dtype
        return model.make_supernet(self.space, dtype, self.kept, layers=self.layers)

    def member(self, name: str | None = None) -> Member:
        """The member of this name in any spelling, `fastest` or `best` (the default); else an InputError."""
        if name is None or name in ("best", "fastest"):
            return self.members[0 if name == "fastest" else -1]
        for asked in (name, model.canonical_name(name)):
            for member in self.members:
                if member.name == asked:
                    return member
        names = ", ".join(member.name for member in self.members)
        raise InputError(f"member {name!r}: the bundle has {names}; fastest and best name its ends")

    def arch(self, name: str) -> Arch:
        """The arch of a member, or of the space, that has this name in any spelling; else an InputError."""
        try:
            return self.member(name).arch
        except InputError as error:
            try:
                return model.parse_arch(self.space, name)
            except InputError:
                raise error from None


def check_bundle(bundle: Any) -> None:
    """Refuse what is no bundle with an InputError that says how to load one."""
    if not isinstance(bundle, Bundle):
        must = "must be a Bundle, as load_bundle(PATH) and load_pretrained(NAME) return it"
        raise InputError(f"bundle {bundle!r}: {must}")


def make_bundle(
    params: Params, members: Sequence[Member], *, net: Supernet, frame: tuple[int, int], bicubic_psnr_y: float
) -> Bundle:
    """A bundle for this device: the whole supernet's `params` compacted to what the members read."""
    return Bundle(
        space=net.space,
        members=tuple(sorted(members, key=lambda member: member.latency_ms)),
        params=model.compact_params(params, net.space, [member.arch for member in members]),
        dtype=jnp.dtype(net.dtype).name,
        device=device_name(),
        frame=frame,
        bicubic_psnr_y=bicubic_psnr_y,
        layers=net.layers,
    )


def save_bundle(
    path: epath.PathLike, bundle: Bundle, latency: dict[str, Any], *, dtype: str = "float32"
) -> None:
    """Write a bundle directory, perhaps in a bucket, whole or not at all, in place of an older one.

    `latency` is the content of `latency.json`; `dtype`, float32 or float16, is that of the stored weights.
    """
    if dtype not in ("float32", "float16"):
        raise InputError(f"dtype must be float32 or float16, got {dtype!r}")
    manifest = {
        "space": dataclasses.asdict(bundle.space),
        **{name: getattr(bundle, name) for name in ("dtype", "device", "frame", "bicubic_psnr_y")},
        "members": [member.to_json() for member in bundle.members],
        "steps": [step.to_json() for step in bundle.steps],
    }
    with replacing_directory(path) as partial:
        (partial / WEIGHTS_FILE).write_bytes(model.params_to_bytes(bundle.params, dtype))
        write_json(partial / LATENCY_FILE, latency)
        write_manifest(partial, manifest, (WEIGHTS_FILE, LATENCY_FILE))


def load_bundle(path: epath.PathLike) -> Bundle:
    """Read a bundle directory, perhaps in a bucket; an InputError where a file is not what was written."""
    folder = epath.Path(as_path(path, "bundle"))
    manifest = read_manifest(folder)
    read_file(folder, manifest, LATENCY_FILE)
    weights = read_file(folder, manifest, WEIGHTS_FILE)
    try:
        return _assemble(manifest, weights)
    except InputError as error:
        raise InputError(f"bundle {str(folder)!r}: {error}") from None
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        why = f"does not have the structure of a bundle ({type(error).__name__}: {error})"
        raise InputError(f"bundle {str(folder)!r} {why}") from None


def _assemble(manifest: dict[str, Any], weights: bytes) -> Bundle:
    fields = manifest["space"]
    body = tuple(tuple(names) for names in fields["body"])
    widths = tuple(fields["widths"]) if "widths" in fields else (fields["width"],)
    space = SearchSpace(body, tuple(fields["upsamplers"]), widths, fields["scale"])
    members = []
    for member in map(Member.from_json, manifest["members"]):
        arch = model.parse_arch(space, member.name)  # branches may be registered in another order here
        members.append(dataclasses.replace(member, arch=arch, name=model.arch_name(space, arch)))
    return Bundle(
        space=space,
        members=tuple(members),
        params=_load_params(weights, space, [member.arch for member in members]),
        dtype=model.compute_dtype(manifest["dtype"]),
        device=manifest["device"],
        frame=tuple(manifest["frame"]),
        bicubic_psnr_y=manifest["bicubic_psnr_y"],
    )


def _load_params(content: bytes, space: SearchSpace, archs: list[Arch]) -> Params:
    """The weights, checked against the shapes that the archs need."""
    try:
        params = model.params_from_bytes(content)
    except InputError as error:
        raise InputError(f"its weights, {WEIGHTS_FILE}: {error}") from None
    whole = jax.eval_shape(lambda: model.init_params(jax.random.key(0), space))
    needed = jax.eval_shape(lambda p: model.compact_params(p, space, archs), whole)
    if jax.tree.map(jnp.shape, params) != jax.tree.map(lambda leaf: leaf.shape, needed):
        raise InputError("its weights are not those that its members need")
    return params
