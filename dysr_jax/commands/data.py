"""Data sets."""

import dataclasses
import pathlib
from typing import Annotated

import tyro

from dysr_jax.data import Duplicates
from dysr_jax.data.builders import list_prepared, prepare_dataset, prepared_root
from dysr_jax.report import datasets_table


@dataclasses.dataclass(frozen=True)
class DataPrepare:
    """Prepare a data set for --data.source tfds:NAME, from the folder as its publisher ships it.

    Once: a data set that is there stays. The same command starts again after an interruption.
    """

    name: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="NAME")]
    """NAME or NAME/CONFIG of dysr data list, or of TFDS's catalogue (which needs TensorFlow)."""
    source: Annotated[pathlib.Path | None, tyro.conf.arg(name="from")] = None
    """The folder, unpacked."""
    data_dir: str = ""
    """Folder of prepared data sets; empty is TFDS_DATA_DIR, or ~/tensorflow_datasets."""
    duplicates: Duplicates = "error"
    """What to do with an image that is there twice; skip keeps one of them."""

    def __call__(self) -> None:
        prepare_dataset(self.name, self.source, directory=self.data_dir, duplicates=self.duplicates)


@dataclasses.dataclass(frozen=True)
class DataList:
    """The data sets that can be prepared, and those that are."""

    data_dir: str = ""
    """Folder of prepared data sets; empty is TFDS_DATA_DIR, or ~/tensorflow_datasets."""

    def __call__(self) -> None:
        print(datasets_table(list_prepared(self.data_dir)))
        print(f"folder of prepared data sets: {prepared_root(self.data_dir)}")
