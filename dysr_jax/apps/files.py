"""Image files, and folders of them, through a bundle's members."""

import dataclasses
import os
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from dysr_jax.apps.output_paths import Task, folder_tasks, image_task
from dysr_jax.apps.tiles import member_tiling
from dysr_jax.apps.upscaler import Upscaler
from dysr_jax.atomic import exclusive
from dysr_jax.bundle import Bundle, check_bundle
from dysr_jax.data import FailedImage, is_folder, list_images, path_exists
from dysr_jax.data.images import MAX_PIXELS, check_image_size, error_reason, read_picture, write_image
from dysr_jax.errors import InputError
from dysr_jax.fields import as_path


class Written(NamedTuple):
    """A file that was written."""

    path: pathlib.Path
    notes: tuple[str, ...]
    """What the source has and this file lacks, a sentence each."""


@dataclasses.dataclass(frozen=True)
class Upscaled:
    """The outcome of an image or of a folder; iterating gives the files that were written."""

    written: tuple[Written, ...]
    failed: tuple[FailedImage, ...] = ()
    """Images that cannot be read, or whose outputs cannot be written."""
    note: str = ""
    """What the folder holds besides images; empty if nothing."""

    def __iter__(self) -> Iterator[Written]:
        return iter(self.written)

    def __len__(self) -> int:
        return len(self.written)


def upscale_files(
    bundle: Bundle,
    source: str | os.PathLike[str],
    target: str | os.PathLike[str] | None = None,
    member: str | None = None,
    *,
    overwrite: bool = False,
    skip_existing: bool = False,
    max_pixels: int = MAX_PIXELS,
    backend: str = "auto",
    progress: bool = False,
    on_written: Callable[[Written], None] = lambda written: None,
) -> Upscaled:
    """Upscale an image file, or every image of a folder into a folder.

    Grey stays grey; transparency, ICC profiles and metadata are kept if the output's format holds them. The
    output is locked for this call. An image of a folder that cannot be read does not stop the others.

    `target` is by default `NAME_x4.png`, or a folder `NAME_x4`, beside the source; `member` a name, `fastest`
    or `best` (the default). Files that exist are an InputError unless `overwrite` replaces them, or
    `skip_existing` leaves them, so that an interrupted folder goes on. Inputs of more than `max_pixels`, no
    such member or image, and a target that cannot be or that another command writes, are refused too.
    `backend` is as of `Upscaler`; `progress` draws a bar on stderr; `on_written` is called with each file as
    soon as it is written.
    """
    read_from = pathlib.Path(as_path(source, "source"))
    write_to = None if target is None else pathlib.Path(as_path(target, "target"))
    check_bundle(bundle)
    name = bundle.member(member).name
    if max_pixels < 1:
        raise InputError(f"max_pixels must be at least 1, got {max_pixels}")
    upscaler = Upscaler(bundle, backend=backend)
    work = _Work(upscaler, name, overwrite, skip_existing, max_pixels, progress, on_written)
    if not path_exists(read_from):
        raise InputError(f"image {str(read_from)!r} does not exist")
    if is_folder(read_from):
        return work.folder(read_from, write_to)
    task = image_task(read_from, write_to, bundle.space.scale)
    with exclusive(task.write):
        written = tuple(map(work.image, work.missing([task])))
    for file in written:
        on_written(file)
    return Upscaled(written)


class _Work(NamedTuple):
    """What is done with every image."""

    upscale: Upscaler
    member: str
    overwrite: bool
    skip_existing: bool
    max_pixels: int
    progress: bool
    on_written: Callable[[Written], None]

    def folder(self, source: pathlib.Path, target: pathlib.Path | None) -> Upscaled:
        listing = list_images(source)
        folder, tasks = folder_tasks(listing.images, source, target, self.upscale.bundle.space.scale)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"output {str(folder)!r} cannot be made: {error.strerror}") from None
        written: list[Written] = []
        failed: list[FailedImage] = []
        with exclusive(folder):
            for task in self.missing(tasks):
                try:
                    written.append(self.image(task))
                except InputError as error:
                    failed.append(FailedImage(task.read, str(error)))
                else:
                    self.on_written(written[-1])
        return Upscaled(tuple(written), tuple(failed), listing.note)

    def missing(self, tasks: Sequence[Task]) -> list[Task]:
        """The tasks whose outputs have to be written; outputs that exist are refused, or left out."""
        there = [task.write for task in tasks if path_exists(task.write)]
        if there and not (self.overwrite or self.skip_existing):
            more = f" and {len(there) - 1} more exist" if len(there) > 1 else " exists"
            raise InputError(f"output {str(there[0])!r}{more}; allowed with --overwrite or --skip-existing")
        left = set(there) if self.skip_existing else set()
        return [task for task in tasks if task.write not in left]

    def image(self, task: Task) -> Written:
        """Read, upscale and write one image; a lack of memory is an InputError too."""
        scale = self.upscale.bundle.space.scale
        try:
            picture = read_picture(task.read, max_pixels=self.max_pixels)
            rows, columns, channels = picture.pixels.shape
            check_image_size(task.write, (rows * scale, columns * scale, channels))
            output = self.upscale(picture.pixels, self.member, progress=self.progress)
            lost = write_image(task.write, output, picture.metadata)
        except MemoryError as error:
            why = f"needs more memory than there is: {error_reason(error)}"
            raise InputError(f"image {str(task.read)!r} {why}") from None
        return Written(task.write, (*picture.notes, *lost, *self._approximated((rows, columns))))

    def _approximated(self, shape: tuple[int, int]) -> tuple[str, ...]:
        """How the output differs from that of the whole image at once."""
        tiling = member_tiling(self.upscale.server, shape, self.member)
        if not tiling.fade or tiling.tile == shape:
            return ()
        told = f"{self.member} weighs its channels by their means over the image; in one this large they are "
        return (f"{told}means over tiles of {tiling.tile[1]}x{tiling.tile[0]}",)
