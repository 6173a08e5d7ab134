"""Images of every kind, grey or colour, with or without transparency, through a bundle's members."""

import os
from typing import TypeAlias, overload

import jax
import numpy as np
from PIL import Image

from dysr_jax.apps.tiles import MAX_TILE, Tiling, in_tiles, upscale_frame
from dysr_jax.bundle import Bundle, check_bundle
from dysr_jax.data import bicubic_upscale, images
from dysr_jax.data.images import Picture
from dysr_jax.errors import InputError
from dysr_jax.runtime import Bank, open_server

PictureLike: TypeAlias = str | os.PathLike[str] | Image.Image
Array: TypeAlias = np.ndarray | jax.Array

_BICUBIC_RADIUS = 3


class Upscaler:
    """Upscales images of any size with a bundle's members.

    The network takes colours: grey is repeated, and the output's channels averaged. Invisible pixels take
    the colours of the nearest visible ones; alpha is upscaled by bicubic. An image of a new shape compiles,
    and `keep` executables are held; large images go in tiles (`dysr_jax.apps.tiles`). `backend` is what runs
    the network: `auto` (XLA), or ONNX Runtime (`dysr_jax.aot.find_provider`).
    """

    def __init__(self, bundle: Bundle, *, keep: int = 16, backend: str = "auto") -> None:
        check_bundle(bundle)
        self.bundle = bundle
        self.server = open_server(bundle, backend, lambda: Bank(bundle, keep=keep, tune=False))

    @overload
    def __call__(
        self, image: PictureLike, member: str | None = None, *, progress: bool = False
    ) -> Image.Image: ...

    @overload
    def __call__(self, image: Array, member: str | None = None, *, progress: bool = False) -> np.ndarray: ...

    def __call__(
        self, image: Array | PictureLike, member: str | None = None, *, progress: bool = False
    ) -> np.ndarray | Image.Image:
        """The image, both sides `s` times as long, by a member's name, `fastest` or `best` (the default).

        A NumPy or JAX array, uint8, `[H, W]` grey or `[H, W, C]` with C 1 grey, 2 grey and alpha, 3 RGB, 4
        RGBA, becomes a NumPy array, uint8, with as many channels. An image of Pillow, or of a path, becomes
        one of Pillow in mode L, LA, RGB or RGBA, turned as EXIF says, whose `info` holds its ICC profile,
        EXIF, XMP and resolution. No such member or image is an InputError. `progress` draws a bar on stderr
        if there is more than one tile.
        """
        if isinstance(image, (str, os.PathLike)):
            return self._picture(images.read_picture(image), member, progress)
        if isinstance(image, Image.Image):
            return self._picture(_picture_of(image), member, progress)
        if isinstance(image, (np.ndarray, jax.Array)):
            return self._array(np.asarray(image), member, progress)
        allowed = "a NumPy or JAX array, an image of Pillow or the path of an image"
        raise InputError(f"image must be {allowed}, got {type(image).__name__}")

    def _picture(self, picture: Picture, member: str | None, progress: bool) -> Image.Image:
        output = self._array(picture.pixels, member, progress)
        shown = Image.fromarray(output[:, :, 0] if output.shape[2] == 1 else output)
        shown.info.update(images.pil_info(picture.metadata, shown.size))
        return shown

    def _array(self, image: np.ndarray, member: str | None, progress: bool) -> np.ndarray:
        pixels = image[:, :, None] if image.ndim == 2 else image
        if pixels.ndim != 3 or not 1 <= pixels.shape[2] <= 4 or not pixels.size:
            allowed = "[H, W] or [H, W, C] with C 1 (grey), 2 (grey, alpha), 3 (RGB) or 4 (RGBA)"
            raise InputError(f"image must be {allowed}, got shape {image.shape}")
        if pixels.dtype != np.uint8:
            raise InputError(f"image must be uint8, got {image.dtype}")
        name, has_alpha = self.bundle.member(member).name, pixels.shape[2] in (2, 4)
        colour = images.fill_transparent(pixels) if has_alpha else pixels
        output = upscale_frame(self.server, colour, name, progress=progress)
        if has_alpha:
            alpha = _upscale_alpha(pixels[:, :, -1:], self.bundle.space.scale)
            output = np.concatenate([output, alpha], 2)
        return output[:, :, 0] if image.ndim == 2 else output


def _picture_of(image: Image.Image) -> Picture:
    try:
        turned = image.copy()
        turned.format = image.format
        if hasattr(image, "tag_v2"):
            setattr(turned, "tag_v2", image.tag_v2)  # noqa: B010 - says whether zero is white
        images.turn_upright(turned)
        return images.picture_from_pil(turned)
    except Exception as error:  # an image that is opened and not loaded yet may be damaged
        raise InputError(f"image of Pillow cannot be read: {images.error_reason(error)}") from None


def _upscale_alpha(alpha: np.ndarray, scale: int) -> np.ndarray:
    """Bicubic of `[H, W, 1]` uint8, in tiles because it takes 8 bytes per pixel."""
    tile = (min(MAX_TILE, alpha.shape[0]), min(MAX_TILE, alpha.shape[1]))
    tiling = Tiling(tile, _BICUBIC_RADIUS, False)
    return in_tiles(lambda part: bicubic_upscale(part, scale), alpha, tiling, scale)
