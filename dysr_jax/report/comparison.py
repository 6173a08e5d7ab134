"""One detail of a validation image as LR, bicubic, members and HR, kept with the run."""

import io
import os
from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np
from etils import epath

from dysr_jax.atomic import replacing_directory, write_json
from dysr_jax.bundle import Bundle
from dysr_jax.data import Pair, degrade, upscale
from dysr_jax.data.images import read_image
from dysr_jax.errors import InputError
from dysr_jax.fields import typed
from dysr_jax.metrics import PSNR_CAP_DB, psnr_y
from dysr_jax.report.plots import busiest_corner
from dysr_jax.results import read_json
from dysr_jax.runtime import Bank

FOLDER: Final = "comparison"
INDEX: Final = "comparison.json"
SIDE: Final = 480
"""Of the detail, in HR pixels, at most."""
LEAST: Final = 3
"""LR pixels a side: PSNR-Y cuts one off each."""
MEMBERS: Final = 6
"""That are shown, at most: both ends and some between them."""


class Comparison(NamedTuple):
    """The same detail, several times."""

    image: str
    """Name of the image that it is of."""
    scale: int
    pictures: Mapping[str, np.ndarray]
    """uint8 `[H, W, 3]` by name: `LR` (`scale` times smaller), `bicubic`, members fastest first, `HR`."""
    psnr_y: Mapping[str, float]
    """dB of the detail, of all pictures between LR and HR."""


def _detail(pair: Pair, scale: int) -> Pair:
    """The part with most detail, on LR's grid."""
    rows, columns = (min(SIDE, side) // scale for side in pair.hr.shape[:2])
    side = min(rows, columns) * scale
    row, column = (start // scale for start in busiest_corner(pair.hr, side))
    row, column = min(row, pair.lr.shape[0] - rows), min(column, pair.lr.shape[1] - columns)
    top, left = row * scale, column * scale
    return pair._replace(
        lr=pair.lr[row : row + rows, column : column + columns],
        hr=pair.hr[top : top + rows * scale, left : left + columns * scale],
    )


def compare(bundle: Bundle, pair: Pair) -> Comparison:
    """Run some of a bundle's members on the busiest detail of an image.

    Args:
        bundle: of the members.
        pair: the image, at least as large as a pixel of LR.
    """
    scale, part = bundle.space.scale, _detail(pair, bundle.space.scale)
    picked = np.linspace(0, len(bundle.members) - 1, min(MEMBERS, len(bundle.members)))
    names = [bundle.members[round(float(i))].name for i in picked]
    bank = Bank(bundle)
    bank.prepare((part.lr.shape[0], part.lr.shape[1]), names)
    made = {"bicubic": upscale(part.lr, scale)} | {name: bank(part.lr, name) for name in names}
    quality = {name: min(float(psnr_y(image, part.hr, scale)), PSNR_CAP_DB) for name, image in made.items()}
    return Comparison(pair.name, scale, {"LR": part.lr, **made, "HR": part.hr}, quality)


def compare_on(bundle: Bundle, image: epath.PathLike) -> Comparison:
    """The same on an HR image of the user's, whose LR image is made by bicubic.

    Raises:
        InputError: the file is no image that can be read, or smaller than three LR pixels.
    """
    scale, hr = bundle.space.scale, read_image(image)
    if min(hr.shape[:2]) < LEAST * scale:
        raise InputError(
            f"image {os.fspath(image)!r} of {hr.shape[1]}x{hr.shape[0]} pixels: allowed are {LEAST * scale} "
            f"or more a side"
        )
    return compare(bundle, degrade(epath.Path(image).name, hr, scale))


def write_comparison(run: epath.PathLike, found: Comparison) -> None:
    """Lossless pictures and their index, in a folder of the run; whole or not at all."""
    from PIL import Image

    with replacing_directory(epath.Path(run) / FOLDER) as partial:
        files = {}
        for number, (name, picture) in enumerate(found.pictures.items()):
            content = io.BytesIO()
            Image.fromarray(picture).save(content, format="PNG")
            files[name] = f"{number:02d}.png"
            (partial / files[name]).write_bytes(content.getvalue())
        fields = {"image": found.image, "scale": found.scale, "psnr_y": dict(found.psnr_y)}
        write_json(partial / INDEX, {**fields, "pictures": files})


def read_comparison(run: epath.PathLike) -> Comparison:
    """What `write_comparison` left.

    Raises:
        InputError: the folder is not there, or is damaged.
    """
    from PIL import Image

    folder = epath.Path(run) / FOLDER
    try:
        fields = read_json(folder / INDEX)
        pictures = {
            name: np.asarray(Image.open(io.BytesIO((folder / file).read_bytes())).convert("RGB"))
            for name, file in fields["pictures"].items()
        }
        quality = {
            name: typed(float, fields["psnr_y"][name], "psnr_y")
            for name in pictures
            if name not in ("LR", "HR")
        }
        if len(quality) < 2 or "bicubic" not in quality or len(pictures) != len(quality) + 2:
            raise ValueError("pictures are missing")
        image = typed(str, fields["image"], "image")
        return Comparison(image, typed(int, fields["scale"], "scale"), pictures, quality)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{FOLDER}/ is damaged ({type(error).__name__})") from None
