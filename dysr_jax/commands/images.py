"""Images through a bundle."""

import dataclasses
import pathlib
import sys
from typing import Annotated

import tyro

from dysr_jax.apps import evaluate_set, upscale_files
from dysr_jax.atomic import write_json
from dysr_jax.bundle import MANIFEST_FILE, find_bundle
from dysr_jax.commands.common import JsonPath, check_json
from dysr_jax.commands.told import end_with, notes_on, quiet_pillow
from dysr_jax.data import find_sets, is_there
from dysr_jax.data.images import MAX_PIXELS
from dysr_jax.errors import InputError
from dysr_jax.report import scores_json, scores_table


@dataclasses.dataclass(frozen=True)
class Upscale:
    """Upscale an image, or every image of a folder."""

    source: Annotated[tyro.conf.Positional[pathlib.Path], tyro.conf.arg(name="in", metavar="IN")]
    """An image, or a folder of images."""
    target: Annotated[
        tyro.conf.Positional[pathlib.Path | None], tyro.conf.arg(name="out", metavar="[OUT]")
    ] = None
    """An image, or a folder; without it NAME_x4.png, or a folder NAME_x4, beside the input."""
    bundle: str | None = None
    """A bundle directory, such as RUN/bundle or gs://BUCKET/RUN/bundle; without it dysr_jax's own weights."""
    scale: int | None = None
    """Side of the output over side of the input; 4 without it, or what the bundle has."""
    member: str | None = None
    """A member's name, fastest or best (the default)."""
    overwrite: bool = False
    """Replace files that are there already."""
    skip_existing: bool = False
    """Leave files that are there as they are: an interrupted folder goes on."""
    max_pixels: int = MAX_PIXELS
    """Larger inputs are refused."""

    def __call__(self) -> None:
        """Run it."""
        _check_input(self.source)
        quiet_pillow()
        done = upscale_files(
            find_bundle(self.bundle, self.scale),
            self.source,
            self.target,
            self.member,
            overwrite=self.overwrite,
            skip_existing=self.skip_existing,
            max_pixels=self.max_pixels,
            progress=True,
            on_written=lambda written: print(written.path, flush=True),
        )
        for line in notes_on(done.written):
            print(f"dysr: note: {line}", file=sys.stderr)
        if done.note:
            print(f"dysr: note: {str(self.source)!r}: {done.note}", file=sys.stderr)
        end_with(done.failed, len(done.written) + len(done.failed))


@dataclasses.dataclass(frozen=True)
class Eval:
    """PSNR-Y and SSIM-Y of every member, and of bicubic, on folders of images."""

    folders: Annotated[
        tyro.conf.Positional[tuple[pathlib.Path, ...]],
        tyro.conf.arg(name="folder", metavar="FOLDER [FOLDER ...]"),
    ]
    """HR images, or a benchmark set with folders HR and LR_bicubic_x4 (or LR_bicubic/X4)."""
    bundle: str | None = None
    """A bundle directory, such as RUN/bundle or gs://BUCKET/RUN/bundle; without it dysr_jax's own weights."""
    scale: int | None = None
    """Of the images; 4 without it, or what the bundle has."""
    members: tuple[str, ...] = ()
    """Members' names, fastest or best; without any, all."""
    lr: pathlib.Path | None = None
    """LR images of the one FOLDER; without them, and none beside HR, MATLAB's bicubic makes them."""
    json_path: JsonPath = None
    """Write the scores to this file too."""

    def __call__(self) -> None:
        """Run it."""
        check_json(self.json_path)
        if not self.folders:
            raise InputError("Missing FOLDER (see dysr eval --help)")
        for folder in self.folders:
            _check_input(folder)
        quiet_pillow()
        bundle = find_bundle(self.bundle, self.scale)
        sets = find_sets(self.folders, bundle.space.scale, self.lr)
        members = [bundle.member(name) for name in self.members] or list(bundle.members)
        names = [member.name for member in members]
        found = [evaluate_set(bundle, one, names, progress=True) for one in sets]
        print(scores_table(members, found))
        if self.json_path:
            place = self.bundle or f"pretrained x{bundle.space.scale}"
            write_json(self.json_path, scores_json(place, bundle, members, found))
        for one in sets:
            if one.note:
                print(f"dysr: note: {one.name}: {one.note}", file=sys.stderr)
        failed = [failure for one in found for failure in one.failed]
        end_with(failed, sum(one.images for one in found) + len(failed))


def _check_input(path: pathlib.Path) -> None:
    """A bundle in the place of images is what used to be named there."""
    if is_there(path / MANIFEST_FILE):
        raise InputError(f"{str(path)!r} is a bundle; allowed are images (--bundle names a bundle)")
