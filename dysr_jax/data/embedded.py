"""Colour photographs that scikit-image ships, for demonstration."""

from typing import Final

import numpy as np

from dysr_jax.data.examples import Example

EMBEDDED: Final = ("chelsea", "coffee", "motorcycle", "rocket", "astronaut")
"""Names of the embedded photographs; the last is held out for validation."""


class EmbeddedImages:
    """The embedded photographs, in the order of `EMBEDDED`."""

    names = EMBEDDED

    def __len__(self) -> int:
        return len(EMBEDDED)

    def __getitem__(self, index: int) -> Example:
        from skimage import data

        name = EMBEDDED[index]
        image = data.stereo_motorcycle()[0] if name == "motorcycle" else getattr(data, name)()
        return Example(name, np.asarray(image), None)

    def size(self, index: int) -> tuple[int, int]:
        """Rows and columns of a photograph."""
        rows, columns = self[index].hr.shape[:2]
        return rows, columns
