"""The weights that come with the package: a bundle for each scale."""

import pathlib
from typing import Final

from etils import epath

from dysr_jax.bundle.bundle import Bundle, load_bundle
from dysr_jax.bundle.manifest import MANIFEST
from dysr_jax.errors import InputError

PLACE: Final = pathlib.Path(__file__).parents[1] / "pretrained"

DEFAULT_SCALE: Final = 4


def pretrained_names() -> tuple[str, ...]:
    """What `load_pretrained` takes: `x2`, `x4`."""
    return tuple(sorted(path.parent.name for path in PLACE.glob(f"*/{MANIFEST}")))


def load_pretrained(name: str = f"x{DEFAULT_SCALE}") -> Bundle:
    """A bundle that comes with the package: trained weights, members sorted fastest first.

    How they were trained and what they reach is in `dysr_jax/pretrained/README.md`.

    Args:
        name: one of `pretrained_names()`.

    Raises:
        InputError: no weights of that name come with the package.
    """
    names = pretrained_names()
    if name not in names:
        allowed = ", ".join(names) or "none in this installation"
        raise InputError(f"pretrained weights {name!r}: there are {allowed}")
    return load_bundle(PLACE / name)


def find_bundle(path: epath.PathLike | None = None, scale: int | None = None) -> Bundle:
    """The bundle at `path`, or without one the weights that come with the package.

    Args:
        path: of a bundle directory.
        scale: that the bundle must have; without a path and a scale it is 4.

    Raises:
        InputError: no such bundle, or one of another scale.
    """
    if path is None:
        name = f"x{DEFAULT_SCALE if scale is None else scale}"
        if name not in pretrained_names():
            scales = ", ".join(n.removeprefix("x") for n in pretrained_names()) or "none"
            raise InputError(
                f"scale {name.removeprefix('x')}: the weights that come with dysr_jax have {scales}; "
                f"--bundle names others"
            )
        return load_pretrained(name)
    bundle = load_bundle(path)
    if scale not in (None, bundle.space.scale):
        raise InputError(f"scale {scale}: bundle {str(path)!r} has {bundle.space.scale}")
    return bundle
