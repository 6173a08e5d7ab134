"""PSNR-Y and SSIM-Y of a bundle's members on benchmark sets, by the protocol of the published tables.

LR images are those that ship with a set, or made by MATLAB's bicubic. A member gets each image whole (large
ones in tiles), its output is rounded to uint8, `s` pixels are cut off each side, and luma is compared. No
image is turned, padded or averaged over.
"""

import os
from collections.abc import Sequence
from typing import Literal, NamedTuple

import chex
import jax
import numpy as np
from tqdm import tqdm

from dysr_jax.apps.tiles import prepare_tiles, upscale_frame
from dysr_jax.bundle import Bundle, check_bundle
from dysr_jax.compiling import jit
from dysr_jax.data import BenchmarkSet, Failed, Images, crop_to_scale, downscale, find_set, unusable, upscale
from dysr_jax.data.images import as_grey, read_grey_or_rgb, to_rgb
from dysr_jax.errors import InputError
from dysr_jax.metrics import PSNR_CAP_DB, psnr_y, ssim_y
from dysr_jax.runtime import Bank

BICUBIC = "bicubic"


class Score(NamedTuple):
    """Mean over images."""

    psnr_y: float
    """dB; an image that is reproduced exactly counts 100."""
    ssim_y: float


class SetScores(NamedTuple):
    """What was measured on a set."""

    name: str
    images: int
    lr: Literal["given", "generated"]
    """Whether the set's own LR images were used."""
    scores: dict[str, Score]
    """By member, `bicubic` first."""
    failed: tuple[Failed, ...] = ()
    """Images that cannot be read: no score counts them."""


def _both(output: chex.Array, hr: chex.Array, scale: int) -> tuple[jax.Array, jax.Array]:
    return psnr_y(output, hr, scale), ssim_y(output, hr, scale)


_metrics = jit(_both, static_argnums=2)


def _measured(output: np.ndarray, hr: np.ndarray, scale: int) -> Score:
    """Scores of an output; against a grey image its grey values count."""
    if output.shape[2] != hr.shape[2]:
        output = as_grey(output) if hr.shape[2] == 1 else to_rgb(output)
    psnr, ssim = _metrics(output, hr, scale)
    return Score(min(float(psnr), PSNR_CAP_DB), float(ssim))


def _load(images: Images, scale: int) -> tuple[np.ndarray, np.ndarray]:
    """LR and HR pixels, the HR image cropped to a multiple of the scale."""
    hr = crop_to_scale(read_grey_or_rgb(images.hr), scale)
    return (read_grey_or_rgb(images.lr) if images.lr else downscale(hr, scale)), hr


def evaluate_set(
    bundle: Bundle, benchmark: BenchmarkSet, members: Sequence[str] | None = None, *, progress: bool = False
) -> SetScores:
    """Scores of bicubic and of members (default: all) on a set; images of one shape go together.

    Only the executables of one shape are held at a time. Images that cannot be read are left out and named.

    Raises:
        InputError: no such member, or no image that can be read.
    """
    names = [bundle.member(name).name for name in members or [m.name for m in bundle.members]]
    bank, scale = Bank(bundle, keep=len(names)), bundle.space.scale
    scores: dict[str, list[Score]] = {name: [] for name in [BICUBIC, *names]}
    failed = list(benchmark.failed)
    steps = len(benchmark.images) * len(scores)
    with tqdm(total=steps, desc=benchmark.name, unit="frame", disable=not progress) as bar:
        for images in sorted(benchmark.images, key=lambda images: images.lr_shape):
            try:
                lr, hr = _load(images, scale)
            except InputError as error:
                failed.append(Failed(images.hr, str(error)))
                bar.update(len(scores))
                continue
            scores[BICUBIC].append(_measured(upscale(lr, scale), hr, scale))
            bar.update()
            prepare_tiles(bank, images.lr_shape, names)
            for name in names:
                scores[name].append(_measured(upscale_frame(bank, to_rgb(lr), name), hr, scale))
                bar.update()
    _metrics.clear_cache()  # an executable a shape
    if not scores[BICUBIC]:
        raise unusable([(one.path.name, InputError(one.error)) for one in failed], len(failed))
    means = {name: Score(*np.mean(each, 0).tolist()) for name, each in scores.items()}
    return SetScores(benchmark.name, len(scores[BICUBIC]), benchmark.lr, means, tuple(failed))


def evaluate_folder(
    bundle: Bundle,
    folder: str | os.PathLike[str],
    *,
    lr: str | os.PathLike[str] | None = None,
    members: Sequence[str] | None = None,
    progress: bool = False,
) -> SetScores:
    """PSNR-Y and SSIM-Y of bicubic and of members on a folder.

    Args:
        bundle: the members.
        folder: HR images, each side at least 11 + 3 s pixels; or a folder with `HR` and `LR_bicubic_xS` or
            `LR_bicubic/XS`.
        lr: a folder of LR images of the same names; without one, and none in `folder`, MATLAB's bicubic
            makes them.
        members: their names (default: all).
        progress: draw a bar on stderr.

    Returns:
        The scores over what could be read; `failed` names the images that could not.

    Raises:
        InputError: no such member, or a folder that `dysr_jax.data.benchmarks.find_set` refuses.
    """
    check_bundle(bundle)
    benchmark = find_set(folder, bundle.space.scale, lr)
    return evaluate_set(bundle, benchmark, members, progress=progress)
