"""Data sets as their publishers ship them, to TFDS's array_record files.

`datasets`: their layouts, and the one place where a data set is added; `check`: every image is read once;
`prepare`: the building; `tfds_builders`: what TFDS needs for it.
"""

from etils import epy

with epy.lazy_api_imports(globals()):  # each is imported when it is first used
    from dysr_jax.data.builders.datasets import DATASETS, Dataset, Group, Place, register_dataset
    from dysr_jax.data.builders.prepare import (
        PreparedDataset,
        find_prepared,
        list_prepared,
        prepare_dataset,
        prepared_root,
    )
