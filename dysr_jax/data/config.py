"""Options of the data: which images, how they are degraded, the training patches."""

import dataclasses
from typing import Literal

from dysr_jax.data.degradation import Boundary
from dysr_jax.data.files import Duplicates


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """Images, their degradation and the training patches."""

    source: str = "embedded"
    """`embedded`; `folder:PATH` with HR images; `paired:HR,LR` with a folder of HR and one of LR images;
    or `tfds:NAME[/CONFIG][:SPLIT]`, which `dysr data prepare` prepared."""
    validation: str = ""
    """A source to validate on; empty holds images of `source` out."""
    holdout: int = 8
    """Images held out of a source, evenly spread over its sorted names (`embedded` holds out one)."""
    boundary: Boundary = "replicate"
    """Padding of the bicubic degradation; MATLAB's data sets use `replicate`."""
    patch: int = 24
    """Side of a training patch, in LR pixels."""
    small: Literal["error", "skip"] = "error"
    """What to do with a training image that is smaller than a patch."""
    duplicates: Duplicates = "error"
    """What to do with a file that repeats an earlier one of its folder."""
    directory: str = ""
    """Folder of the prepared data sets; empty is TFDS_DATA_DIR, or ~/tensorflow_datasets."""
