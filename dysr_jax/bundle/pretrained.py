"""The bundles that come with the package, one per scale."""

import pathlib
from typing import Final

from etils import epath

from dysr_jax.bundle.bundle import Bundle, load_bundle
from dysr_jax.bundle.manifest import MANIFEST_FILE
from dysr_jax.errors import InputError

PRETRAINED_FOLDER: Final = pathlib.Path(__file__).parents[1] / "pretrained"

DEFAULT_SCALE: Final = 4


def pretrained_names() -> tuple[str, ...]:
    """What `load_pretrained` takes: `x2`, `x4`."""
    return tuple(sorted(path.parent.name for path in PRETRAINED_FOLDER.glob(f"*/{MANIFEST_FILE}")))


def load_pretrained(name: str = f"x{DEFAULT_SCALE}", device_class: str | None = None) -> Bundle:
    """A bundle of trained weights that comes with the package, by one of `pretrained_names()`, with the
    members for a `device_class` as `load_bundle` takes them.

    `dysr_jax/pretrained/README.md` says how they were trained and what they reach.
    """
    if name not in (names := pretrained_names()):
        allowed = ", ".join(names) or "none in this installation"
        raise InputError(f"pretrained weights {name!r}: there are {allowed}")
    return load_bundle(PRETRAINED_FOLDER / name, device_class)


def find_bundle(path: epath.PathLike | None = None, scale: int | None = None) -> Bundle:
    """The bundle at `path`, of `scale` if that is given, or the pretrained one of `scale` (default: 4)."""
    if path is not None:
        bundle = load_bundle(path)
        if scale not in (None, bundle.space.scale):
            raise InputError(f"scale {scale}: bundle {str(path)!r} has {bundle.space.scale}")
        return bundle
    scale = DEFAULT_SCALE if scale is None else scale
    if f"x{scale}" not in pretrained_names():
        scales = ", ".join(name.removeprefix("x") for name in pretrained_names()) or "none"
        known = f"the weights that come with dysr_jax have {scales}"
        raise InputError(f"scale {scale}: {known}; --bundle names others")
    return load_pretrained(f"x{scale}")
