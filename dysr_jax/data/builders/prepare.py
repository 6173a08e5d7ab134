"""`dysr data prepare`: from a publisher's folder to a prepared data set, once, whole or not at all."""

import contextlib
import importlib.util
import io
import os
import pathlib
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable
from typing import Any, NamedTuple

from dysr_jax.atomic import exclusive, is_remote
from dysr_jax.data.builders.check import Tree, check_images, find_images
from dysr_jax.data.builders.datasets import DATASETS
from dysr_jax.data.listing import Duplicates
from dysr_jax.errors import InputError

PathLike = str | os.PathLike[str]


class PreparedDataset(NamedTuple):
    """A data set and config that is prepared, with its number of images per split and its bytes."""

    name: str
    examples: dict[str, int]
    size: int
    path: pathlib.Path


def prepared_root(directory: PathLike | None = None) -> pathlib.Path:
    """The local folder of prepared data sets: the given one, TFDS_DATA_DIR, or ~/tensorflow_datasets."""
    place = os.fspath(directory or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets")
    if is_remote(place):
        raise InputError(f"folder of prepared data sets {place!r}: must be a folder of this machine")
    return pathlib.Path(place).expanduser()


def _make_builder(name: str, directory: PathLike | None) -> Any:
    """TFDS's builder of `NAME[/CONFIG]`, prepared or not; an `InputError` where there is none."""
    if importlib.util.find_spec("array_record") is None:
        raise InputError(
            f"data set {name!r} needs array_record, which is not installed; it is made for Linux and for "
            f"macOS on Apple silicon, not for {platform.system()} on {platform.machine()}: the source must "
            f"be embedded, folder:PATH or paired:HR,LR"
        )
    import tensorflow_datasets as tfds

    root = prepared_root(directory)
    base, slash, config = name.partition("/")
    if base in DATASETS:
        from dysr_jax.data.builders.tfds_builders import builder_class

        configs = DATASETS[base].configs
        if slash and config not in configs:
            raise InputError(f"data set {name!r}: must be one of {', '.join(f'{base}/{c}' for c in configs)}")
        return builder_class(base)(config=config or None, data_dir=root)
    try:
        return tfds.builder(name, data_dir=root)
    except (ValueError, KeyError, AttributeError, ImportError) as error:
        what, reason = f"is none of {', '.join(DATASETS)}", str(error).strip().splitlines()[0]
        raise InputError(f"data set {name!r} {what}, and TFDS does not give it: {reason}") from None


def _needs_tensorflow() -> str:
    """What to say of the catalogue where TensorFlow is missing; else nothing."""
    missing = importlib.util.find_spec("tensorflow") is None
    return ", which needs TensorFlow (pip install 'dysr_jax[tensorflow]')" if missing else ""


def find_prepared(name: str, directory: PathLike | None = None) -> Any:
    """TFDS's builder of a prepared data set; an `InputError` if it is none, or is not in array_record."""
    import tensorflow_datasets as tfds

    builder = _make_builder(name, directory)
    if not builder.data_path.exists():
        more = " --from FOLDER`" if builder.name in DATASETS else f"`{_needs_tensorflow()}"
        where, command = str(prepared_root(directory)), f"`dysr data prepare {name}{more}"
        raise InputError(f"data set {name!r} is not prepared in {where!r}; first run {command}")
    found = tfds.builder_from_directory(builder.data_dir)
    if found.info.file_format is not tfds.core.FileFormat.ARRAY_RECORD:
        what = f"data set {name!r} in {str(builder.data_dir)!r} is stored as {found.info.file_format.value}"
        raise InputError(f"{what}; must be array_record, in another folder")
    return found


def list_prepared(directory: PathLike | None = None) -> list[PreparedDataset]:
    """All that is prepared in a folder, by name: `NAME[/CONFIG]/VERSION`; TFDS builds in `incomplete.*`."""
    import tensorflow_datasets as tfds

    found, root = [], prepared_root(directory)
    for file in (*root.glob("*/*/features.json"), *root.glob("*/*/*/features.json")):
        if file.parent.name.startswith("incomplete."):
            continue
        info = tfds.builder_from_directory(file.parent).info
        name = info.name + (f"/{info.config_name}" if info.config_name else "")
        examples = {split: part.num_examples for split, part in info.splits.items()}
        found.append(PreparedDataset(name, examples, int(info.dataset_size), file.parent))
    return sorted(found, key=lambda each: (each.name, each.path))


def prepare_dataset(
    name: str,
    source: PathLike | None = None,
    *,
    directory: PathLike | None = None,
    duplicates: Duplicates = "error",
    log: Callable[[str], None] = print,
) -> pathlib.Path:
    """Prepare a data set, where that has not been done; afterwards `tfds:NAME` is a source. Gives its folder.

    A build that was killed leaves nothing that counts: the same call starts again.

    Args:
        name: `NAME[/CONFIG]` of `dysr data list`, or of TFDS's catalogue (downloads, needs TensorFlow).
        source: the folder as its publisher ships it, unpacked; None for the catalogue.
        directory: of prepared data sets (default: TFDS_DATA_DIR, or ~/tensorflow_datasets).
        duplicates: `skip` leaves out later copies of an image, those of training first.
        log: called with each line.

    Raises InputError: no such data set or folder; folders that miss or do not pair; images that cannot be
    read, do not fit or are there twice; a place that cannot be written to, or that another command holds.
    """
    builder = _make_builder(name, directory)
    path = pathlib.Path(builder.data_dir)
    if builder.data_path.exists():
        find_prepared(name, directory)
        log(f"{name} is there: {path}")
        return path
    if builder.name in DATASETS:
        builder.tree = _checked_tree(name, builder, source, duplicates)
        _build(builder, path)
    else:
        _prepare_catalogue(name, builder, source)
    counts = ", ".join(f"{part.num_examples:,} {split}" for split, part in builder.info.splits.items())
    log(f"{name}: {counts} images, {builder.info.dataset_size / 1e6:,.1f} MB in {path}")
    return path


def _checked_tree(name: str, builder: Any, source: PathLike | None, duplicates: Duplicates) -> Tree:
    known = DATASETS[builder.name]
    if source is None:
        content = f"{known.expects} (from {known.homepage})"
        raise InputError(f"data set {name!r} needs --from FOLDER, which holds {content}")
    root = pathlib.Path(source)
    if not root.is_dir():
        raise InputError(f"--from {str(root)!r}: must be a folder that exists")
    scale = known.configs[builder.builder_config.name]
    try:
        return check_images(find_images([*known.layout(root, scale)], scale), scale, duplicates)
    except InputError as error:
        raise InputError(f"data set {name!r} in {str(root)!r}: {error}") from None


def _build(builder: Any, path: pathlib.Path) -> None:
    builder.terminal, quiet = sys.stderr, io.StringIO()  # the lines and bars of TFDS tell of shards
    hush = contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)  # the lock lies in it
        with exclusive(path), tempfile.TemporaryDirectory() as downloads, hush[0], hush[1]:
            for leftover in path.parent.glob(f"incomplete.*_{path.name}"):  # of builds that were killed
                shutil.rmtree(leftover)
            builder.download_and_prepare(download_dir=downloads, file_format="array_record")
    except OSError as error:
        raise InputError(f"{str(path)!r} cannot be written: {error.strerror or error}") from None


def _prepare_catalogue(name: str, builder: Any, source: PathLike | None) -> None:
    if source is not None:
        raise InputError(f"--from {os.fspath(source)!r}: {name!r} is of TFDS's catalogue, which downloads")
    if lacking := _needs_tensorflow():
        must = f"must be one of {', '.join(DATASETS)}"
        raise InputError(f"data set {name!r} is of TFDS's catalogue{lacking}; without it {must}")
    try:
        builder.download_and_prepare(file_format="array_record")
    except Exception as error:  # what downloads and the catalogue's builders raise is of many kinds
        reason = str(error).strip().splitlines()[:1]
        raise InputError(f"data set {name!r} cannot be prepared: {' '.join(reason)}") from None
