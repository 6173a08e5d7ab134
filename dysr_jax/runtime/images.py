"""Images of every kind, grey or colour, with or without transparency, through a bundle's members."""

from typing import Final

import numpy as np

from dysr_jax.data.degradation import upscale
from dysr_jax.data.images import to_rgb
from dysr_jax.data.pixels import as_grey, filled
from dysr_jax.errors import InputError
from dysr_jax.runtime.bank import Bank
from dysr_jax.runtime.tiles import TILE, Cut, in_tiles, upscale_frame

KEPT: Final = 16
"""Executables that are held while images of many shapes go through."""

_BICUBIC_RADIUS = 3


def upscale_image(
    bank: Bank, image: np.ndarray, member: str | None = None, *, progress: bool = False
) -> np.ndarray:
    """Upscale one image with a member (default: the best).

    The network is given colours: grey is repeated, and its output's three channels are averaged. The colours
    of invisible pixels are replaced by the nearest visible ones, and alpha is upscaled by bicubic. The first
    image of a shape compiles; large images go in tiles (`dysr_jax.runtime.tiles`).

    Args:
        bank: the members' executables.
        image: `[H, W]` grey, or `[H, W, C]`, C 1 grey, 2 grey and alpha, 3 RGB, 4 RGBA; uint8.
        member: a member's name, `fastest` or `best`.
        progress: draw a bar on stderr where there is more than one tile.

    Returns:
        uint8, as many channels, both sides `s` times as long.

    Raises:
        InputError: no such member, or an array that is no such image.
    """
    pixels = image[:, :, None] if image.ndim == 2 else image
    if pixels.ndim != 3 or not 1 <= pixels.shape[2] <= 4 or not pixels.size:
        raise InputError(
            f"image of {image.shape}: allowed are [H, W] and [H, W, 1 to 4] (grey, grey and alpha, RGB, RGBA)"
        )
    if pixels.dtype != np.uint8:
        raise InputError(f"image of {image.dtype}: allowed is uint8")
    name, has_alpha = bank.bundle.member(member).name, pixels.shape[2] in (2, 4)
    colour = filled(pixels) if has_alpha else pixels
    output = upscale_frame(bank, to_rgb(colour), name, progress=progress)
    if colour.shape[2] == 1:
        output = as_grey(output)
    if has_alpha:
        alpha = _upscale_alpha(pixels[:, :, -1:], bank.bundle.space.scale)
        output = np.concatenate([output, alpha], 2)
    return output[:, :, 0] if image.ndim == 2 else output


def _upscale_alpha(alpha: np.ndarray, scale: int) -> np.ndarray:
    """Bicubic, in tiles because it takes 8 bytes a pixel: `[H, W, 1]` to `[s H, s W, 1]` uint8."""
    tile = (min(TILE, alpha.shape[0]), min(TILE, alpha.shape[1]))
    return in_tiles(
        lambda part: upscale(part, scale), alpha, Cut(tile, _BICUBIC_RADIUS, False), scale
    )
