"""Small images on disk."""

import os
import pathlib
from collections.abc import Callable

import numpy as np
import pytest

from dysr_jax.data.images.write import write_image

Noise = Callable[..., np.ndarray]


@pytest.fixture
def noise() -> Noise:
    """Write an image of noise, another one at each call, and give it back."""
    rng = np.random.default_rng(0)

    def write(path: str | os.PathLike[str], rows: int = 8, columns: int = 12) -> np.ndarray:
        image = rng.integers(0, 256, (rows, columns, 3), dtype=np.uint8)
        pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
        write_image(path, image)
        return image

    return write
