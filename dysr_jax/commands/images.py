"""Images through a bundle."""

import dataclasses
import logging
import pathlib
import sys
import warnings
from collections.abc import Sequence
from typing import Annotated, Any

import tyro

from dysr_jax.apps import Written, evaluate_set, upscale_files
from dysr_jax.atomic import write_json
from dysr_jax.bundle import MANIFEST_FILE, find_bundle
from dysr_jax.commands.common import JsonOption, ServerOptions, check_output
from dysr_jax.data import FailedImage, find_benchmark_sets, path_exists
from dysr_jax.data.images import MAX_PIXELS
from dysr_jax.errors import InputError
from dysr_jax.report import scores_json, scores_table
from dysr_jax.runtime import open_rivals


@dataclasses.dataclass(frozen=True)
class Upscale(ServerOptions):
    """Upscale an image, or every image of a folder."""

    source: Annotated[tyro.conf.Positional[pathlib.Path], tyro.conf.arg(name="in", metavar="IN")]
    """An image, or a folder of images."""
    target: Annotated[
        tyro.conf.Positional[pathlib.Path | None], tyro.conf.arg(name="out", metavar="[OUT]")
    ] = None
    """An image, or a folder; without it NAME_x4.png, or a folder NAME_x4, beside the input."""
    member: str | None = None
    """A member's name, fastest or best (the default)."""
    overwrite: bool = False
    """Replace files that are there already."""
    skip_existing: bool = False
    """Leave files that are there as they are: an interrupted folder goes on."""
    max_pixels: int = MAX_PIXELS
    """Larger inputs are refused."""

    def __call__(self) -> None:
        _check_input(self.source)
        _quiet_pillow()
        bundle, shown = find_bundle(self.bundle, self.scale), lambda written: print(written.path, flush=True)
        how = {name: getattr(self, name) for name in ("overwrite", "skip_existing", "max_pixels", "backend")}
        where = (self.source, self.target, self.member)
        done = upscale_files(bundle, *where, **how, progress=True, on_written=shown)
        for line in _notes_on(done.written):
            print(f"dysr: note: {line}", file=sys.stderr)
        if done.note:
            print(f"dysr: note: {str(self.source)!r}: {done.note}", file=sys.stderr)
        _end_with(done.failed, len(done.written) + len(done.failed))


@dataclasses.dataclass(frozen=True)
class Eval(ServerOptions, JsonOption):
    """PSNR-Y and SSIM-Y of every member, and of bicubic, on folders of images."""

    folders: Annotated[
        tyro.conf.Positional[tuple[pathlib.Path, ...]],
        tyro.conf.arg(name="folder", metavar="FOLDER [FOLDER ...]"),
    ]
    """HR images, or a benchmark set with folders HR and LR_bicubic_x4 (or LR_bicubic/X4)."""
    members: tuple[str, ...] = ()
    """Members' names, fastest or best; without any, all."""
    rivals: Annotated[
        tuple[pathlib.Path, ...], tyro.conf.arg(aliases=["--rival"], metavar="MODEL.onnx ...")
    ] = ()
    """Networks of others to score beside, [1, 3, H, W] in [0, 1] to [1, 3, s H, s W], in ONNX Runtime."""
    lr: pathlib.Path | None = None
    """LR images of the one FOLDER; without them, and none beside HR, MATLAB's bicubic makes them."""

    def __call__(self) -> None:
        check_output(self.json_path)
        if not self.folders:
            raise InputError("Missing FOLDER (see dysr eval --help)")
        for folder in self.folders:
            _check_input(folder)
        _quiet_pillow()
        bundle = find_bundle(self.bundle, self.scale)
        sets = find_benchmark_sets(self.folders, bundle.space.scale, self.lr)
        members = list(dict.fromkeys(bundle.member(name) for name in self.members)) or list(bundle.members)
        names = [member.name for member in members]
        rivals = open_rivals(self.rivals, bundle.space.scale, self.backend)
        how: dict[str, Any] = {"backend": self.backend, "rivals": rivals, "progress": True}
        found = [evaluate_set(bundle, one, names, **how) for one in sets]
        print(scores_table(members, found, rivals))
        if self.json_path:
            place = self.bundle or f"pretrained x{bundle.space.scale}"
            scores = scores_json(place, bundle, members, found, rivals, backend=self.backend)
            write_json(self.json_path, scores)
        for one in sets:
            if one.note:
                print(f"dysr: note: {one.name}: {one.note}", file=sys.stderr)
        failed = [failure for one in found for failure in one.failed]
        _end_with(failed, sum(one.images for one in found) + len(failed))


def _check_input(path: pathlib.Path) -> None:
    if path_exists(path / MANIFEST_FILE):
        raise InputError(f"{str(path)!r} is a bundle; must be images (--bundle names a bundle)")


def _quiet_pillow() -> None:
    """No warnings of Pillow and tifffile on stderr: what matters is in our own notes and errors."""
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", module=r"PIL\.")


def _notes_on(written: Sequence[Written]) -> list[str]:
    """A line per note, however many images it is on; the first image is named."""
    images: dict[str, list[str]] = {}
    for path, notes in written:
        for note in notes:
            images.setdefault(note, []).append(str(path))
    more = {note: f" and {len(paths) - 1} more" if paths[1:] else "" for note, paths in images.items()}
    return [f"{paths[0]}{more[note]}: {note}" for note, paths in images.items()]


def _end_with(failed: Sequence[FailedImage], total: int) -> None:
    """Name all that failed, and end the command with exit code 1 where something did."""
    for failure in failed:
        print(f"dysr: error: {failure.error}", file=sys.stderr)
    if failed:
        done = f", {total - len(failed)} are done" if len(failed) < total else ""
        print(f"dysr: {len(failed)} of {total} images failed{done}", file=sys.stderr)
        raise SystemExit(1)
