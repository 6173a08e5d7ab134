"""The bundle: members over shared weights, in memory and as a directory. Loading one runs no code from it.

The directory holds `weights.safetensors` (compacted), `latency.json` (the device's latency table) and
`manifest.json` (format version, space, members and their figures, steps, device, digests).
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import jax
import jax.numpy as jnp
import numpy as np
from etils import epath

from dysr_jax import model
from dysr_jax.atomic import replacing_directory, write_json
from dysr_jax.bundle.manifest import read_file, read_manifest, write_manifest
from dysr_jax.bundle.members import Member, Step, member_steps
from dysr_jax.bundle.members import make_member as make_member
from dysr_jax.device import device_name
from dysr_jax.errors import InputError
from dysr_jax.fields import as_path, require
from dysr_jax.model import XLA, Arch, Kept, Params, SearchSpace, Supernet

WEIGHTS_FILE: Final = "weights.safetensors"
LATENCY_FILE: Final = "latency.json"
DEVICE_CLASSES: Final = ("cpu", "gpu", "tpu")
"""Names of JAX's backends."""


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

    def check_layers(self, runtime: str) -> None:
        """Refuse, with an InputError, layers that another runtime does not compute."""
        require(self.layers == XLA, "layers", self.layers, f"{XLA} in {runtime}")

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
    check_dtype(dtype)
    _write(path, bundle.space, _figures(bundle), bundle.params, latency, dtype)


def merge_bundles(
    path: epath.PathLike, bundles: Mapping[str, epath.PathLike], *, dtype: str = "float32"
) -> None:
    """Write a bundle directory of the members of several, by the class of devices that each is for: `cpu`,
    `gpu` or `tpu`. `load_bundle` then takes the members for the device that it runs on.

    The bundles were searched in one supernet, whose weights are stored once. Raises `InputError`: another
    class, or bundles of other spaces or weights.
    """
    check_dtype(dtype)
    for name in bundles:
        _check_class(name)
    if not bundles:
        raise InputError("bundles {}: must be at least one")
    loaded = {name: load_bundle(source, name) for name, source in bundles.items()}
    first, *others = loaded.values()
    archs = [arch for bundle in loaded.values() for arch in bundle.archs]
    if any(bundle.space != first.space for bundle in others):
        raise InputError(f"bundles {', '.join(map(str, bundles.values()))}: must be of one search space")
    params = _merged([bundle.params for bundle in loaded.values()], first.space, archs)
    for source, bundle in zip(bundles.values(), loaded.values(), strict=True):
        own = model.compact_params(params, bundle.space, bundle.archs)
        if not model.same_params(own, bundle.params):
            raise InputError(
                f"bundle {str(source)!r}: must have the same weights as the others, of one training"
            )
    latency = {name: _latency(source, name) for name, source in bundles.items()}
    devices = {"devices": {name: _figures(bundle) for name, bundle in loaded.items()}}
    _write(path, first.space, devices, params, latency, dtype)


def check_dtype(dtype: str) -> None:
    """Raise `InputError` unless weights can be stored in this dtype."""
    if dtype not in ("float32", "float16"):
        raise InputError(f"dtype must be float32 or float16, got {dtype!r}")


def _check_class(name: str) -> None:
    if name not in DEVICE_CLASSES:
        raise InputError(f"device class {name!r}: must be one of {', '.join(DEVICE_CLASSES)}")


def _merged(parts: list[Params], space: SearchSpace, archs: list[Arch]) -> Params:
    """What `archs` read, out of parts that between them have it; zero where no arch of `archs` reads."""
    merged = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), _whole_shapes(space))
    for part in parts:
        for slot, kernels in part.items():
            for name, kernel in kernels.items():
                model.cut_kernel(merged[slot][name], kernel.shape)[...] = kernel
    return model.compact_params(merged, space, archs)


def _latency(source: epath.PathLike, device_class: str) -> Any:
    found = json.loads((epath.Path(source) / LATENCY_FILE).read_text())
    return found.get(device_class, found)


def _figures(bundle: Bundle) -> dict[str, Any]:
    """What was measured on one device, as the manifest holds it."""
    return {
        **{name: getattr(bundle, name) for name in ("dtype", "device", "frame", "bicubic_psnr_y")},
        "members": [member.to_json() for member in bundle.members],
        "steps": [step.to_json() for step in bundle.steps],
    }


def _write(
    path: epath.PathLike,
    space: SearchSpace,
    figures: dict[str, Any],
    params: Params,
    latency: dict[str, Any],
    dtype: str,
) -> None:
    with replacing_directory(path) as partial:
        (partial / WEIGHTS_FILE).write_bytes(model.params_to_bytes(params, dtype))
        write_json(partial / LATENCY_FILE, latency)
        manifest = {"space": dataclasses.asdict(space), **figures}
        write_manifest(partial, manifest, (WEIGHTS_FILE, LATENCY_FILE))


def load_bundle(path: epath.PathLike, device_class: str | None = None) -> Bundle:
    """Read a bundle directory, perhaps in a bucket; an InputError where a file is not what was written.

    Of a bundle that `merge_bundles` wrote: the members for a device class, `cpu`, `gpu` or `tpu` (None: that
    of the default device); if it has none, those for another accelerator, then any. Else all members.
    """
    if device_class is None:
        device_class = jax.default_backend()
    else:
        _check_class(device_class)
    folder = epath.Path(as_path(path, "bundle"))
    manifest = read_manifest(folder)
    read_file(folder, manifest, LATENCY_FILE)
    weights = read_file(folder, manifest, WEIGHTS_FILE)
    try:
        return _assemble(manifest, weights, device_class)
    except InputError as error:
        raise InputError(f"bundle {str(folder)!r}: {error}") from None
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        why = f"does not have the structure of a bundle ({type(error).__name__}: {error})"
        raise InputError(f"bundle {str(folder)!r} {why}") from None


def _assemble(manifest: dict[str, Any], weights: bytes, device_class: str) -> Bundle:
    fields = manifest["space"]
    devices = manifest.get("devices", {device_class: manifest})
    others = sorted(devices, key=lambda name: name == "cpu")  # a TPU is more like a GPU
    figures = devices[device_class if device_class in devices else others[0]]
    body = tuple(tuple(names) for names in fields["body"])
    widths = tuple(fields["widths"]) if "widths" in fields else (fields["width"],)
    space = SearchSpace(body, tuple(fields["upsamplers"]), widths, fields["scale"])
    every = [model.parse_arch(space, m["name"]) for each in devices.values() for m in each["members"]]
    params = _load_params(weights, space, every)
    members = []
    for member in map(Member.from_json, figures["members"]):
        arch = model.parse_arch(space, member.name)  # branches may be registered in another order here
        members.append(dataclasses.replace(member, arch=arch, name=model.arch_name(space, arch)))
    if len(devices) > 1:
        params = model.compact_params(params, space, [member.arch for member in members])
    return Bundle(
        space=space,
        members=tuple(members),
        params=params,
        dtype=model.compute_dtype(figures["dtype"]),
        device=figures["device"],
        frame=tuple(figures["frame"]),
        bicubic_psnr_y=figures["bicubic_psnr_y"],
    )


def _whole_shapes(space: SearchSpace) -> Any:
    return jax.eval_shape(lambda: model.init_params(jax.random.key(0), space))


def _load_params(content: bytes, space: SearchSpace, archs: list[Arch]) -> Params:
    """The weights, checked against the shapes that the archs need."""
    try:
        params = model.params_from_bytes(content)
    except InputError as error:
        raise InputError(f"its weights, {WEIGHTS_FILE}: {error}") from None
    needed = jax.eval_shape(lambda p: model.compact_params(p, space, archs), _whole_shapes(space))
    if jax.tree.map(jnp.shape, params) != jax.tree.map(lambda leaf: leaf.shape, needed):
        raise InputError("its weights are not those that its members need")
    return params
