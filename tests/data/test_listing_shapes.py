"""Rows and columns from a file's header: those of its pixels."""

import numpy as np
import pytest
from PIL import Image

from dysr_jax.data.images.read import read_image
from dysr_jax.data.listing import image_shape
from dysr_jax.errors import InputError


@pytest.fixture
def rgb() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "image.png"


def test_shapes_that_cannot_be_had(path):
    with pytest.raises(InputError, match="does not exist"):
        image_shape(path)
    path.write_bytes(b"no image")
    with pytest.raises(InputError, match=r"image\.png' cannot be read"):
        image_shape(path)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif", ".bmp"])
@pytest.mark.parametrize("orientation", [None, 1, 3, 6, 8])
def test_the_size_in_the_header_is_that_of_the_pixels(tmp_path, rgb, suffix, orientation):
    file, exif = tmp_path / f"image{suffix}", Image.Exif()
    if orientation:
        exif[0x0112] = orientation
    Image.fromarray(rgb).save(file, **({"exif": exif} if suffix != ".bmp" else {}))
    assert image_shape(file) == read_image(file).shape[:2]


def test_the_size_is_read_without_the_pixels(path, rgb):
    Image.fromarray(rgb).save(path)
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"IDAT") + 4])
    with pytest.raises(InputError, match="cannot be read"):
        read_image(path)
    assert image_shape(path) == rgb.shape[:2]
