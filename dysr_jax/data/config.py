"""Options of the data: which images, how they are degraded, the training patches."""

import dataclasses
from typing import Literal

from dysr_jax.data.degradation import Boundary
from dysr_jax.data.listing import Duplicates
from dysr_jax.fields import normalise, require


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """Images, their degradation and the training patches."""

    source: str = "embedded"
    """`embedded`; `folder:PATH` with HR images; `paired:HR,LR` with a folder of HR and one of LR images;
    or `tfds:NAME[/CONFIG][:SPLIT]`, which `dysr data prepare` prepared."""
    validation: str | None = None
    """A source to validate on; without one, images of `source` are held out."""
    holdout: int = 8
    """Images held out of a source, evenly spread over its sorted names (`embedded` holds out one)."""
    boundary: Boundary = "replicate"
    """Padding of the bicubic degradation; MATLAB's data sets use `replicate`."""
    patch: int = 24
    """Side of a training patch, in LR pixels."""
    rescale: tuple[float, ...] = ()
    """Factors in (0, 1): training images are also used shrunk by each, where a patch still fits."""
    small: Literal["error", "skip"] = "error"
    """What to do with a training image that is smaller than a patch."""
    duplicates: Duplicates = "error"
    """What to do with a file that repeats an earlier one of its folder."""
    directory: str | None = None
    """Folder of the prepared data sets; without it, TFDS_DATA_DIR or ~/tensorflow_datasets."""
    pipeline: Literal["auto", "pool", "grain"] = "auto"
    """`pool` holds all training images on every device, `grain` reads them as they are needed; `auto` takes
    the pool where it fits into `pool_share`."""
    pool_share: float = 0.25
    """Share of a device's memory that `auto` lets the pool take."""
    crops_per_image: int = 8
    """Crops that Grain cuts from an image each time it decodes one; they go to different steps."""
    workers: int = 0
    """Processes in which Grain decodes; 0 decodes in threads of this one. The patches are the same."""

    def __post_init__(self) -> None:
        normalise(self, "data.")
        for name in ("validation", "directory"):  # empty on the command line
            object.__setattr__(self, name, getattr(self, name) or None)
        require(self.patch >= 1, "data.patch", self.patch, "at least 1")
        for factor in self.rescale:
            require(0.0 < factor < 1.0, "data.rescale", factor, "in (0, 1)")
        require(0.0 < self.pool_share <= 1.0, "data.pool_share", self.pool_share, "in (0, 1]")
        require(self.crops_per_image >= 1, "data.crops_per_image", self.crops_per_image, "at least 1")
        require(self.workers >= 0, "data.workers", self.workers, "at least 0")
