"""`dysr data prepare`: a publisher's folder to a prepared data set, once, whole or not at all."""

import contextlib
import io
import os
import pathlib
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

from dysr_jax.data.builders.check import check_images
from dysr_jax.data.builders.datasets import DATASETS
from dysr_jax.data.builders.prepared import find_prepared, make_builder, needs_tensorflow
from dysr_jax.data.builders.tree import Tree, find_images
from dysr_jax.data.files import Duplicates
from dysr_jax.errors import InputError
from dysr_jax.exclusive import exclusive

PathLike = str | os.PathLike[str]


def prepare_dataset(
    name: str,
    source: PathLike | None = None,
    *,
    directory: PathLike = "",
    duplicates: Duplicates = "error",
    say: Callable[[str], None] = print,
) -> pathlib.Path:
    """Prepare a data set, where that has not been done; afterwards `tfds:NAME` is a source.

    A build that was killed leaves nothing that counts: the same call starts again.

    Args:
        name: `NAME[/CONFIG]` of `dysr data list`, or of TFDS's catalogue, which downloads and needs
            TensorFlow.
        source: the folder as its publisher ships it, unpacked; none for the catalogue.
        directory: of prepared data sets; empty is TFDS_DATA_DIR, or ~/tensorflow_datasets.
        duplicates: what to do with an image that is there twice; `skip` leaves later copies out, those of
            training first.
        say: called with each line.

    Returns:
        The folder of the prepared data set.

    Raises:
        InputError: no such data set, no such folder; folders that miss or do not pair; images that cannot be
            read, do not fit or are there twice; a place that cannot be written to, or that another command
            writes to. Images are named (the
            first few) and counted.
    """
    builder = make_builder(name, directory)
    path = pathlib.Path(builder.data_dir)
    if builder.data_path.exists():
        find_prepared(name, directory)
        say(f"{name} is there: {path}")
        return path
    if builder.name in DATASETS:
        builder.tree = _checked_tree(name, builder, source, duplicates)
        _build(builder, path)
    else:
        _prepare_catalogue(name, builder, source)
    counts = ", ".join(
        f"{part.num_examples:,} {split}" for split, part in builder.info.splits.items()
    )
    say(f"{name}: {counts} images, {builder.info.dataset_size / 1e6:,.1f} MB in {path}")
    return path


def _checked_tree(name: str, builder: Any, source: PathLike | None, duplicates: Duplicates) -> Tree:
    known = DATASETS[builder.name]
    if source is None:
        raise InputError(
            f"data set {name!r} needs --from FOLDER, which holds {known.expects} (from {known.homepage})"
        )
    root = pathlib.Path(source)
    if not root.is_dir():
        raise InputError(f"--from {str(root)!r}: allowed is a folder that exists")
    scale = known.configs[builder.builder_config.name]
    try:
        return check_images(find_images([*known.layout(root, scale)], scale), scale, duplicates)
    except InputError as error:
        raise InputError(f"data set {name!r} in {str(root)!r}: {error}") from None


def _build(builder: Any, path: pathlib.Path) -> None:
    builder.terminal = sys.stderr
    try:
        path.parent.mkdir(parents=True, exist_ok=True)  # the lock lies in it
        with exclusive(path), tempfile.TemporaryDirectory() as downloads, _quiet():
            for leftover in path.parent.glob(
                f"incomplete.*_{path.name}"
            ):  # of builds that were killed
                shutil.rmtree(leftover)
            builder.download_and_prepare(download_dir=downloads, file_format="array_record")
    except OSError as error:
        raise InputError(f"{str(path)!r} cannot be written: {error.strerror or error}") from None


def _prepare_catalogue(name: str, builder: Any, source: PathLike | None) -> None:
    if source is not None:
        raise InputError(
            f"--from {os.fspath(source)!r}: {name!r} is of TFDS's catalogue, which downloads"
        )
    if lacking := needs_tensorflow():
        raise InputError(
            f"data set {name!r} is of TFDS's catalogue{lacking}; without it allowed are "
            f"{', '.join(DATASETS)}"
        )
    try:
        builder.download_and_prepare(file_format="array_record")
    except Exception as error:  # what downloads and the catalogue's builders raise is of many kinds
        reason = str(error).strip().splitlines()[:1]
        raise InputError(f"data set {name!r} cannot be prepared: {' '.join(reason)}") from None


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the lines and bars of TFDS, which tell of shards."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield
