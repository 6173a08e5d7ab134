"""Image files and folders of them through a bundle's members."""

import dataclasses
import os
import pathlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

from dysr_jax.apps.targets import Task, one_task, tasks_of_folder
from dysr_jax.apps.tiles import cut_for
from dysr_jax.apps.upscaler import Upscaler
from dysr_jax.atomic import exclusive
from dysr_jax.bundle import Bundle, check_bundle
from dysr_jax.data import Failed, is_folder, is_there, list_folder, no_images
from dysr_jax.data.images import MAX_PIXELS, check_size, read_picture, reason_of, write_image
from dysr_jax.errors import InputError
from dysr_jax.fields import as_path


class Written(NamedTuple):
    """A file that was written."""

    path: pathlib.Path
    notes: tuple[str, ...]
    """What the source has and this file has not, a sentence each."""


@dataclasses.dataclass(frozen=True)
class Upscaled:
    """What became of an image or of a folder; iterating gives the files that were written."""

    written: tuple[Written, ...]
    failed: tuple[Failed, ...] = ()
    """Images that were left, because they cannot be read or their outputs cannot be written."""
    note: str = ""
    """What the folder holds that is no image; empty where there is nothing."""

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
    progress: bool = False,
    on_written: Callable[[Written], None] = lambda written: None,
) -> Upscaled:
    """Upscale an image file, or every image of a folder into a folder.

    Grey stays grey; transparency, ICC profiles and metadata are kept where the format of the output holds
    them. The output is held for this call alone. An image of a folder that cannot be read does not stop the
    others.

    Args:
        bundle: the members.
        source: a file, or a folder.
        target: a file, or a folder; without it `NAME_x4.png`, or a folder `NAME_x4`, beside the source.
        member: a member's name, `fastest` or `best` (the default).
        overwrite: replace files that are there.
        skip_existing: leave files that are there as they are, so that an interrupted folder goes on.
        max_pixels: of an input; larger ones are refused.
        progress: draw a bar on stderr.
        on_written: is called with each file as soon as it is written.

    Returns:
        The files written, and for a folder those that failed.

    Raises:
        InputError: no such member, a missing file or folder, a file that is no image, a target that
            exists, cannot be written or is being written by another command.
    """
    place = pathlib.Path(as_path(source, "source"))
    goal = None if target is None else pathlib.Path(as_path(target, "target"))
    check_bundle(bundle)
    name = bundle.member(member).name
    if max_pixels < 1:
        raise InputError(f"max_pixels {max_pixels}: must be at least 1")
    work = _Work(Upscaler(bundle), name, max_pixels, progress)
    if not is_there(place):
        raise InputError(f"image {str(place)!r} does not exist")
    if is_folder(place):
        return _folder(work, place, goal, overwrite, skip_existing, on_written)
    task = one_task(place, goal, bundle.space.scale)
    with exclusive(task.write):
        if not _missing([task], overwrite, skip_existing):
            return Upscaled(())
        written = work.done(task)
    on_written(written)
    return Upscaled((written,))


def _folder(
    work: "_Work",
    source: pathlib.Path,
    target: pathlib.Path | None,
    overwrite: bool,
    skip_existing: bool,
    on_written: Callable[[Written], None],
) -> Upscaled:
    listing = list_folder(source)
    if not listing.images:
        raise no_images(source, listing)
    place, tasks = tasks_of_folder(listing.images, source, target, work.upscale.bundle.space.scale)
    _make_folder(place)
    written: list[Written] = []
    failed: list[Failed] = []
    with exclusive(place):
        for task in _missing(tasks, overwrite, skip_existing):
            try:
                written.append(work.done(task))
            except InputError as error:
                failed.append(Failed(task.read, str(error)))
            else:
                on_written(written[-1])
    return Upscaled(tuple(written), tuple(failed), listing.note)


def _missing(tasks: list[Task], overwrite: bool, skip_existing: bool) -> list[Task]:
    """The tasks whose outputs have to be written; outputs that are there are refused, or left out."""
    there = [task.write for task in tasks if is_there(task.write)]
    if there and not (overwrite or skip_existing):
        more = f" and {len(there) - 1} more exist" if len(there) > 1 else " exists"
        raise InputError(f"output {str(there[0])!r}{more}; allowed with --overwrite or --skip-existing")
    left = set(there) if skip_existing else set()
    return [task for task in tasks if task.write not in left]


def _make_folder(place: pathlib.Path) -> None:
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"output {str(place)!r} cannot be made: {error.strerror}") from None


class _Work(NamedTuple):
    """What is done with every image."""

    upscale: Upscaler
    member: str
    max_pixels: int
    progress: bool

    def done(self, task: Task) -> Written:
        """Read, upscale and write one image.

        Raises:
            InputError: it cannot be read, or the output cannot be written; for a lack of memory too.
        """
        try:
            return self._done(task)
        except MemoryError as error:
            raise InputError(
                f"image {str(task.read)!r} needs more memory than there is: {reason_of(error)}"
            ) from None

    def _done(self, task: Task) -> Written:
        scale = self.upscale.bundle.space.scale
        picture = read_picture(task.read, max_pixels=self.max_pixels)
        rows, columns, channels = picture.pixels.shape
        check_size(task.write, (rows * scale, columns * scale, channels))
        output = self.upscale(picture.pixels, self.member, progress=self.progress)
        lost = write_image(task.write, output, picture.metadata)
        means = _approximated(self.upscale, (rows, columns), self.member)
        return Written(task.write, (*picture.notes, *lost, *means))


def _approximated(upscale: Upscaler, shape: tuple[int, int], member: str) -> tuple[str, ...]:
    """What is not as in the whole image at once."""
    cut = cut_for(upscale.bank, shape, member)
    if not cut.fade or cut.tile == shape:
        return ()
    rows, columns = cut.tile
    return (
        f"{member} weighs its channels by their means over the image; in one this large they are means "
        f"over tiles of {columns}x{rows}",
    )
