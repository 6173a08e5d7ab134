"""Image files through a bundle's members."""

import os
import pathlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

import jax
import numpy as np

from dysr_jax.data.degradation import upscale
from dysr_jax.data.images import (
    check_suffix,
    list_images,
    read_grey_or_rgb,
    read_image,
    write_image,
)
from dysr_jax.data.sources import degrade
from dysr_jax.errors import InputError
from dysr_jax.metrics import psnr_y, ssim_y
from dysr_jax.runtime.bank import Bank
from dysr_jax.runtime.bundle import Bundle

SSIM_WINDOW = 11
_ssim_y = jax.jit(ssim_y, static_argnums=2)


def upscale_image(bank: Bank, image: np.ndarray, member: str | None = None) -> np.ndarray:
    """Upscale one image with a member (default: the best): `[H, W, 3]` to `[s H, s W, 3]` uint8.

    The first image of a shape compiles.

    Raises:
        InputError: no such member, or an array that is no uint8 RGB image.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise InputError(f"image of {image.shape} {image.dtype}: allowed is [H, W, 3] uint8")
    name = bank.bundle.member(member).name
    bank.prepare((image.shape[0], image.shape[1]), [name])
    return bank(image, name)


def _pairs(
    source: str | os.PathLike[str], target: str | os.PathLike[str]
) -> list[tuple[pathlib.Path, pathlib.Path]]:
    """What to read and where to write it, for an image or a folder of images."""
    source, target = pathlib.Path(source), pathlib.Path(target)
    if not source.is_dir():
        write = target / source.name if target.is_dir() else target
        check_suffix(write)
        if write.resolve() == source.resolve():
            raise InputError(f"output {str(write)!r} is the input; allowed is another file")
        return [(source, write)]
    if target.is_file():
        raise InputError(
            f"output {str(target)!r} is a file; for a folder of images a folder is allowed"
        )
    if target.resolve() == source.resolve():
        raise InputError(f"output {str(target)!r} is the input folder; allowed is another one")
    files = list_images(source)
    for file in files:  # before the first is written
        read_image(file)
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"output {str(target)!r} cannot be made: {error.strerror}") from None
    return [(file, target / file.name) for file in files]


def upscale_files(
    bundle: Bundle,
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    member: str | None = None,
) -> Iterator[pathlib.Path]:
    """Upscale an image file, or every image of a folder into a folder; yields each file written.

    Raises:
        InputError: no such member, a missing file or folder, a file that is no image, a target that
            cannot be written.
    """
    bank, name = Bank(bundle), bundle.member(member).name
    for read, write in _pairs(source, target):
        write_image(write, upscale_image(bank, read_image(read), name))
        yield write


class Score(NamedTuple):
    """Mean over images."""

    psnr_y: float
    ssim_y: float


def _measured(output: np.ndarray, hr: np.ndarray, scale: int) -> Score:
    """Scores of an RGB output; against a grey image its grey values count."""
    if hr.shape[2] == 1 and output.shape[2] == 3:
        output = np.round(output.astype(np.float32).mean(2, keepdims=True)).astype(np.uint8)
    return Score(float(psnr_y(output, hr, scale)), float(_ssim_y(output, hr, scale)))


def evaluate_folder(
    bundle: Bundle, folder: str | os.PathLike[str], say: Callable[[str], None] = lambda _: None
) -> dict[str, Score]:
    """PSNR-Y and SSIM-Y of bicubic and of every member on a folder of HR images.

    LR images are made by MATLAB's bicubic. `scale` pixels are cut off each side.

    Args:
        bundle: the members.
        folder: HR images, each side at least 11 + 3 s pixels.
        say: called with each image's name.

    Raises:
        InputError: a missing or empty folder, a file that is no image, an image that is too small.
    """
    bank, scale = Bank(bundle), bundle.space.scale
    names = [member.name for member in bundle.members]
    scores: dict[str, list[Score]] = {name: [] for name in ["bicubic", *names]}
    for path in list_images(folder):
        image = read_grey_or_rgb(path)
        least = SSIM_WINDOW + 3 * scale
        if min(image.shape[:2]) < least:
            raise InputError(
                f"image {str(path)!r} of {image.shape[:2]}: allowed is {least} or more"
            )
        say(path.name)
        _, lr, hr = degrade(path.name, image, scale)
        scores["bicubic"].append(_measured(upscale(lr, scale), hr, scale))
        bank.prepare((lr.shape[0], lr.shape[1]))
        rgb = np.repeat(lr, 3, 2) if lr.shape[2] == 1 else lr
        for name in names:
            scores[name].append(_measured(bank(rgb, name), hr, scale))
    return {
        name: Score(
            float(np.mean([s.psnr_y for s in each])), float(np.mean([s.ssim_y for s in each]))
        )
        for name, each in scores.items()
    }
