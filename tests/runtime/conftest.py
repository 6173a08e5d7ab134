"""A frame that all servers get."""

import numpy as np
import pytest


@pytest.fixture(scope="session")
def frame():
    """`[6, 8, 3]` uint8."""
    frame = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)
    frame.flags.writeable = False
    return frame
