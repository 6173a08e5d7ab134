"""The busiest detail of an image: where it is, and members compared on it, kept with the run."""

import io
import itertools
import os
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import numpy as np
from etils import epath

from dysr_jax.atomic import replacing_directory, write_json
from dysr_jax.bundle import Bundle
from dysr_jax.data import Example, Pair, bicubic_upscale, make_pair
from dysr_jax.data.images import read_image
from dysr_jax.errors import InputError
from dysr_jax.fields import typed
from dysr_jax.metrics import PSNR_CAP_DB, psnr_y
from dysr_jax.results import read_json
from dysr_jax.runtime import Bank

FOLDER: Final = "comparison"
INDEX: Final = "comparison.json"
DETAIL_SIDE: Final = 480  # HR pixels at most
LEAST_SIDE: Final = 3  # LR pixels: PSNR-Y cuts one off each side
MOST_MEMBERS: Final = 6  # members shown at most: both ends and some between them


Images = Mapping[str, np.ndarray]  # uint8 `[H, W, 3]` by title


class Comparison(NamedTuple):
    """The same detail, several times."""

    image: str  # name of the image that it is of
    scale: int
    pictures: Images  # `LR` (`scale` times smaller), `bicubic`, members fastest first, `HR`
    psnr_y: Mapping[str, float]  # dB of the detail, of all pictures between LR and HR


def busiest_detail(hr: np.ndarray, scale: int, side: int) -> tuple[slice, slice]:
    """LR rows and columns of the part of `[H, W, 3]` with most detail (mean absolute gradient), on a grid of
    half sides; it has `side` HR pixels a side, in whole LR pixels, or as many as there are.
    """
    rows, columns = (min(side, length) // scale for length in hr.shape[:2])
    square = min(rows, columns) * scale
    gradients = np.gradient(hr.astype(float).mean(2))
    detail = np.abs(gradients[0]) + np.abs(gradients[1])
    starts = [range(0, max(1, length - square + 1), max(1, square // 2)) for length in hr.shape[:2]]
    corners = itertools.product(*starts)
    row, column = max(corners, key=lambda at: detail[at[0] : at[0] + square, at[1] : at[1] + square].sum())
    row = min(row // scale, hr.shape[0] // scale - rows)
    column = min(column // scale, hr.shape[1] // scale - columns)
    return slice(row, row + rows), slice(column, column + columns)


def cut_details(images: Images, scale: int, side: int) -> dict[str, np.ndarray]:
    """The busiest detail of the last image, `side` HR pixels a side, cut out of each; the others are as
    large, or LR, `scale` times smaller.
    """
    *_, last = images.values()
    window = busiest_detail(last, scale, side)
    larger = tuple(slice(part.start * scale, part.stop * scale) for part in window)
    rows = last.shape[0]
    return {title: image[larger if image.shape[0] == rows else window] for title, image in images.items()}


def compare(bundle: Bundle, pair: Pair) -> Comparison:
    """Run some of a bundle's members on the busiest detail of an image of at least one LR pixel."""
    scale = bundle.space.scale
    lr, hr = cut_details({"LR": pair.lr, "HR": pair.hr}, scale, DETAIL_SIDE).values()
    picked = np.linspace(0, len(bundle.members) - 1, min(MOST_MEMBERS, len(bundle.members)))
    names = [bundle.members[round(float(i))].name for i in picked]
    bank = Bank(bundle, tune=False)
    bank.prepare((lr.shape[0], lr.shape[1]), names)
    made = {"bicubic": bicubic_upscale(lr, scale)} | {name: bank(lr, name) for name in names}
    quality = {name: min(float(psnr_y(image, hr, scale)), PSNR_CAP_DB) for name, image in made.items()}
    return Comparison(pair.name, scale, {"LR": lr, **made, "HR": hr}, quality)


def compare_on(bundle: Bundle, image: epath.PathLike) -> Comparison:
    """The same on an HR image file, of at least three LR pixels a side, whose LR image is made by bicubic."""
    scale, hr = bundle.space.scale, read_image(image)
    if min(hr.shape[:2]) < LEAST_SIDE * scale:
        raise InputError(
            f"image {os.fspath(image)!r} of {hr.shape[1]}x{hr.shape[0]} pixels: "
            f"must have at least {LEAST_SIDE * scale} pixels a side"
        )
    return compare(bundle, make_pair(Example(epath.Path(image).name, hr, None), scale))


def write_comparison(run: epath.PathLike, found: Comparison) -> None:
    """Lossless pictures and their index, in a folder of the run; whole or not at all."""
    with replacing_directory(epath.Path(run) / FOLDER) as partial:
        files = {name: f"{number:02d}.png" for number, name in enumerate(found.pictures)}
        for name, picture in found.pictures.items():
            (partial / files[name]).write_bytes(encode_image(picture, "PNG"))
        fields = {"image": found.image, "scale": found.scale, "psnr_y": dict(found.psnr_y)}
        write_json(partial / INDEX, {**fields, "pictures": files})


def encode_image(picture: np.ndarray, kind: str, **options: Any) -> bytes:
    """`[H, W, 3]` uint8 as a file of one of Pillow's formats."""
    from PIL import Image

    content = io.BytesIO()
    Image.fromarray(picture).save(content, format=kind, **options)
    return content.getvalue()


def read_comparison(run: epath.PathLike) -> Comparison:
    """What `write_comparison` left; an InputError where the folder is missing or damaged."""
    from PIL import Image

    folder = epath.Path(run) / FOLDER
    try:
        fields = read_json(folder / INDEX)
        pictures = {
            name: np.asarray(Image.open(io.BytesIO((folder / file).read_bytes())).convert("RGB"))
            for name, file in fields["pictures"].items()
        }
        names = [name for name in pictures if name not in ("LR", "HR")]
        quality = {name: typed(float, fields["psnr_y"][name], "psnr_y") for name in names}
        if len(quality) < 2 or "bicubic" not in quality or len(pictures) != len(quality) + 2:
            raise ValueError("pictures are missing")
        image = typed(str, fields["image"], "image")
        return Comparison(image, typed(int, fields["scale"], "scale"), pictures, quality)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{FOLDER}/ is damaged ({type(error).__name__})") from None
