"""Images of every kind, grey or colour, with or without transparency, through a bundle's members."""

import os
from typing import Final, TypeAlias, overload

import jax
import numpy as np
from PIL import Image

from dysr_jax.apps.tiles import TILE, Cut, in_tiles, upscale_frame
from dysr_jax.data import bicubic_upscale
from dysr_jax.data.images import (
    Picture,
    error_reason,
    fill_transparent,
    picture_from_pil,
    pil_info,
    read_picture,
    turn_upright,
)
from dysr_jax.errors import InputError
from dysr_jax.runtime import Bank

KEPT: Final = 16
"""Executables that are held while images of many shapes go through."""

PictureLike: TypeAlias = str | os.PathLike[str] | Image.Image
"""What gives an image of Pillow."""

_BICUBIC_RADIUS = 3


@overload
def upscale_image(
    bank: Bank, image: PictureLike, member: str | None = None, *, progress: bool = False
) -> Image.Image: ...


@overload
def upscale_image(
    bank: Bank, image: np.ndarray | jax.Array, member: str | None = None, *, progress: bool = False
) -> np.ndarray: ...


def upscale_image(
    bank: Bank,
    image: np.ndarray | jax.Array | PictureLike,
    member: str | None = None,
    *,
    progress: bool = False,
) -> np.ndarray | Image.Image:
    """Upscale one image with a member (default: the best).

    The network is given colours: grey is repeated, and its output's three channels are averaged. The colours
    of invisible pixels are replaced by the nearest visible ones, and alpha is upscaled by bicubic. The first
    image of a shape compiles; large images go in tiles (`dysr_jax.apps.tiles`).

    Args:
        bank: the members' executables.
        image: a NumPy or JAX array `[H, W]` grey, or `[H, W, C]`, C 1 grey, 2 grey and alpha, 3 RGB, 4 RGBA,
            uint8; an image of Pillow; or the path of an image file.
        member: a member's name, `fastest` or `best`.
        progress: draw a bar on stderr where there is more than one tile.

    Returns:
        Of an array a NumPy array, uint8, as many channels, both sides `s` times as long. Of an image of
        Pillow or a path an image of Pillow in mode L, LA, RGB or RGBA, turned as EXIF says, whose `info`
        holds its ICC profile, EXIF, XMP and resolution.

    Raises:
        InputError: no such member, an image of another type, an array that is no such image, or a file that
            cannot be read.
    """
    if isinstance(image, (str, os.PathLike)):
        return _upscale_picture(bank, read_picture(image), member, progress)
    if isinstance(image, Image.Image):
        return _upscale_picture(bank, _picture_of(image), member, progress)
    if isinstance(image, (np.ndarray, jax.Array)):
        return _upscale_array(bank, np.asarray(image), member, progress)
    raise InputError(
        f"image of type {type(image).__name__}: allowed are a NumPy or JAX array, an image of Pillow and "
        f"the path of an image"
    )


def _picture_of(image: Image.Image) -> Picture:
    try:
        turned = image.copy()
        turned.format = image.format
        if hasattr(image, "tag_v2"):
            setattr(turned, "tag_v2", image.tag_v2)  # noqa: B010 - says whether zero is white
        turn_upright(turned)
        return picture_from_pil(turned)
    except Exception as error:  # an image that is opened and not loaded yet may be damaged
        raise InputError(f"image of Pillow cannot be read: {error_reason(error)}") from None


def _upscale_picture(bank: Bank, picture: Picture, member: str | None, progress: bool) -> Image.Image:
    output = _upscale_array(bank, picture.pixels, member, progress)
    shown = Image.fromarray(output[:, :, 0] if output.shape[2] == 1 else output)
    shown.info.update(pil_info(picture.metadata, shown.size))
    return shown


def _upscale_array(bank: Bank, image: np.ndarray, member: str | None, progress: bool) -> np.ndarray:
    pixels = image[:, :, None] if image.ndim == 2 else image
    if pixels.ndim != 3 or not 1 <= pixels.shape[2] <= 4 or not pixels.size:
        raise InputError(
            f"image of {image.shape}: allowed are [H, W] and [H, W, 1 to 4] (grey, grey and alpha, RGB, RGBA)"
        )
    if pixels.dtype != np.uint8:
        raise InputError(f"image of {image.dtype}: allowed is uint8")
    name, has_alpha = bank.bundle.member(member).name, pixels.shape[2] in (2, 4)
    colour = fill_transparent(pixels) if has_alpha else pixels
    output = upscale_frame(bank, colour, name, progress=progress)
    if has_alpha:
        alpha = _upscale_alpha(pixels[:, :, -1:], bank.bundle.space.scale)
        output = np.concatenate([output, alpha], 2)
    return output[:, :, 0] if image.ndim == 2 else output


def _upscale_alpha(alpha: np.ndarray, scale: int) -> np.ndarray:
    """Bicubic, in tiles because it takes 8 bytes a pixel: `[H, W, 1]` to `[s H, s W, 1]` uint8."""
    tile = (min(TILE, alpha.shape[0]), min(TILE, alpha.shape[1]))
    return in_tiles(
        lambda part: bicubic_upscale(part, scale), alpha, Cut(tile, _BICUBIC_RADIUS, False), scale
    )
