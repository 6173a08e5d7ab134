"""What is prepared and where: TFDS's builders, by the names that users give."""

import importlib.util
import os
import pathlib
import platform
from collections.abc import Iterator
from typing import Any, NamedTuple

from dysr_jax.atomic import is_remote
from dysr_jax.data.builders.datasets import DATASETS
from dysr_jax.errors import InputError


class Prepared(NamedTuple):
    """A data set and config that is prepared."""

    name: str
    examples: dict[str, int]
    """Of each split."""
    size: int
    """Bytes."""
    path: pathlib.Path


def data_root(directory: str | os.PathLike[str] = "") -> pathlib.Path:
    """The folder of prepared data sets: the given one, TFDS_DATA_DIR, or ~/tensorflow_datasets.

    Raises:
        InputError: a place such as `gs://`, where array_record reads nothing.
    """
    place = os.fspath(directory) or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    if is_remote(place):
        raise InputError(f"folder of prepared data sets {place!r}: allowed is one of this machine")
    return pathlib.Path(place).expanduser()


def check_name(name: str) -> None:
    """Of a data set of ours.

    Raises:
        InputError: it has no such config.
    """
    base, slash, config = name.partition("/")
    allowed = DATASETS[base].configs
    if slash and config not in allowed:
        raise InputError(
            f"data set {name!r}: allowed are {', '.join(f'{base}/{c}' for c in allowed)}"
        )


def make_builder(name: str, directory: str | os.PathLike[str] = "") -> Any:
    """TFDS's builder of `NAME[/CONFIG]`, prepared or not.

    Raises:
        InputError: there is no such data set or config, or this platform has no array_record.
    """
    if importlib.util.find_spec("array_record") is None:
        raise InputError(
            f"data set {name!r} needs array_record, which is not installed; it is made for Linux and "
            f"for macOS on Apple silicon, not for {platform.system()} on {platform.machine()}: allowed "
            f"are the sources embedded, folder:PATH and paired:HR,LR"
        )
    import tensorflow_datasets as tfds

    root = data_root(directory)
    base, _, config = name.partition("/")
    if base in DATASETS:
        from dysr_jax.data.builders.tfds_builders import builder_class

        check_name(name)
        return builder_class(base)(config=config or None, data_dir=root)
    try:
        return tfds.builder(name, data_dir=root)
    except (ValueError, KeyError, AttributeError, ImportError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(
            f"data set {name!r} is none of {', '.join(DATASETS)}, and TFDS does not give it: {reason}"
        ) from None


def needs_tensorflow() -> str:
    """What to say of the catalogue where TensorFlow is missing, else nothing."""
    missing = importlib.util.find_spec("tensorflow") is None
    return ", which needs TensorFlow (pip install 'dysr_jax[tensorflow]')" if missing else ""


def find_prepared(name: str, directory: str | os.PathLike[str] = "") -> Any:
    """TFDS's builder of a data set that is prepared, from its files alone.

    Raises:
        InputError: it is not prepared, or not as array_record.
    """
    import tensorflow_datasets as tfds

    builder = make_builder(name, directory)
    if not builder.data_path.exists():
        more = " --from FOLDER`" if builder.name in DATASETS else f"`{needs_tensorflow()}"
        raise InputError(
            f"data set {name!r} is not prepared in {str(data_root(directory))!r}: allowed after "
            f"`dysr data prepare {name}{more}"
        )
    found = tfds.builder_from_directory(builder.data_dir)
    if found.info.file_format is not tfds.core.FileFormat.ARRAY_RECORD:
        raise InputError(
            f"data set {name!r} in {str(builder.data_dir)!r} is stored as "
            f"{found.info.file_format.value}; allowed is array_record, in another folder"
        )
    return found


def list_prepared(directory: str | os.PathLike[str] = "") -> list[Prepared]:
    """All that is prepared in a folder, by name."""
    import tensorflow_datasets as tfds

    found: list[Prepared] = []
    for path in _versions(data_root(directory)):
        info = tfds.builder_from_directory(path).info
        name = info.name + (f"/{info.config_name}" if info.config_name else "")
        examples = {split: part.num_examples for split, part in info.splits.items()}
        found.append(Prepared(name, examples, int(info.dataset_size), path))
    return sorted(found, key=lambda each: (each.name, each.path))


def _versions(root: pathlib.Path) -> Iterator[pathlib.Path]:
    """Folders `NAME[/CONFIG]/VERSION` that are whole; TFDS builds in folders of another name."""
    for depth in ("*/*", "*/*/*"):
        for file in sorted(root.glob(f"{depth}/features.json")):
            if not file.parent.name.startswith("incomplete."):
                yield file.parent
