"""Data sets as their publishers ship them, to TFDS's array_record files: layouts, checks, the building."""

from etils import epy

with epy.lazy_api_imports(globals()):  # each is imported when it is first used
    from dysr_jax.data.builders.datasets import DATASETS
    from dysr_jax.data.builders.prepare import (
        Prepared,
        data_root,
        find_prepared,
        list_prepared,
        prepare_dataset,
    )
