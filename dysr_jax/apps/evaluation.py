"""PSNR-Y and SSIM-Y of a bundle's members on benchmark sets, by the protocol of the published tables.

LR images come with a set, or MATLAB's bicubic makes them. A member upscales each image whole (a large one in
tiles), the output is rounded to uint8, `s` pixels are cut off each side, and luma is compared.
"""

import itertools
import os
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from tqdm import tqdm

from dysr_jax import data
from dysr_jax.apps.tiles import prepare_tiles, upscale_frame
from dysr_jax.bundle import Bundle, check_bundle
from dysr_jax.compiling import jit
from dysr_jax.data import BenchmarkSet, FailedImage
from dysr_jax.data.images import grey_to_rgb, read_grey_or_rgb, rgb_to_grey
from dysr_jax.errors import InputError
from dysr_jax.metrics import PSNR_CAP_DB, psnr_y, ssim_y
from dysr_jax.runtime import Bank, OnnxModel, open_server

BICUBIC = "bicubic"


class Score(NamedTuple):
    """Means over images."""

    psnr_y: float
    """dB; an exact reproduction counts 100."""
    ssim_y: float


class SetScores(NamedTuple):
    """The scores on a set."""

    name: str
    images: int
    lr: Literal["given", "generated"]
    """Whether the set's own LR images were used."""
    scores: dict[str, Score]
    """By member, `bicubic` first."""
    failed: tuple[FailedImage, ...] = ()
    """Images that cannot be read; no score counts them."""


_metrics = jit(
    lambda output, hr, scale: (psnr_y(output, hr, scale), ssim_y(output, hr, scale)), static_argnums=2
)


def _measure(output: np.ndarray, hr: np.ndarray, scale: int) -> Score:
    """The scores of an output; against a grey image its grey values count."""
    if output.shape[2] != hr.shape[2]:
        output = rgb_to_grey(output) if hr.shape[2] == 1 else grey_to_rgb(output)
    psnr, ssim = _metrics(output, hr, scale)
    return Score(min(float(psnr), PSNR_CAP_DB), float(ssim))


def evaluate_set(
    bundle: Bundle,
    benchmark: BenchmarkSet,
    members: Sequence[str] | None = None,
    *,
    backend: str = "auto",
    rivals: Sequence[OnnxModel] = (),
    progress: bool = False,
) -> SetScores:
    """Scores of bicubic, of members (default: all) and of other models on a set.

    Raises `InputError`: no image can be read, or a rival of another scale or that does not take a size.
    `backend` is as of `Upscaler`. Images of one shape go together, so that only its executables are held at a
    time.
    """
    names = [bundle.member(name).name for name in members or [m.name for m in bundle.members]]
    names = list(dict.fromkeys(names))
    server = open_server(bundle, backend, lambda: Bank(bundle, keep=len(names), tune=False))
    scale = bundle.space.scale
    for rival, images in itertools.product(rivals, benchmark.images):
        rival.check_scale(scale)
        rival.check_size(images.lr_shape)
    scores: dict[str, list[Score]] = {name: [] for name in [BICUBIC, *names, *(one.name for one in rivals)]}
    failed = list(benchmark.failed)
    steps = len(benchmark.images) * len(scores)
    with tqdm(total=steps, desc=benchmark.name, unit="frame", disable=not progress) as bar:
        for images in sorted(benchmark.images, key=lambda images: images.lr_shape):
            try:
                hr = data.crop_to_scale(read_grey_or_rgb(images.hr), scale)
                lr = read_grey_or_rgb(images.lr) if images.lr else data.bicubic_downscale(hr, scale)
            except InputError as error:
                failed.append(FailedImage(images.hr, str(error)))
                bar.update(len(scores))
                continue
            scores[BICUBIC].append(_measure(data.bicubic_upscale(lr, scale), hr, scale))
            bar.update()
            prepare_tiles(server, images.lr_shape, names)
            for name in names:
                scores[name].append(_measure(upscale_frame(server, grey_to_rgb(lr), name), hr, scale))
                bar.update()
            for rival in rivals:
                scores[rival.name].append(_measure(rival(grey_to_rgb(lr)), hr, scale))
                bar.update()
    _metrics.clear_cache()  # one executable per shape
    if not scores[BICUBIC]:
        reasons = [(one.path.name, InputError(one.error)) for one in failed]
        raise data.unusable_images_error(reasons, len(failed))
    means = {name: Score(*np.mean(each, 0).tolist()) for name, each in scores.items()}
    return SetScores(benchmark.name, len(scores[BICUBIC]), benchmark.lr, means, tuple(failed))


def evaluate_folder(
    bundle: Bundle,
    folder: str | os.PathLike[str],
    *,
    lr: str | os.PathLike[str] | None = None,
    members: Sequence[str] | None = None,
    backend: str = "auto",
    progress: bool = False,
) -> SetScores:
    """PSNR-Y and SSIM-Y of bicubic and of members (default: all) on a folder; see `find_benchmark_set`.

    It holds HR images, each side at least 11 + 3 s pixels; or `HR` and `LR_bicubic_xS` or `LR_bicubic/XS`.
    `lr` is a folder of LR images of the same names; else MATLAB's bicubic makes them. `backend` is as
    of `Upscaler`.
    """
    check_bundle(bundle)
    found = data.find_benchmark_set(folder, bundle.space.scale, lr)
    return evaluate_set(bundle, found, members, backend=backend, progress=progress)
