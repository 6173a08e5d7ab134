"""What an Upscaler takes: arrays, images of Pillow and paths; what comes back, and what is refused."""

import jax.numpy as jnp
import numpy as np
import pytest
import tifffile
from PIL import ExifTags, Image, ImageCms

from dysr_jax.apps.upscaler import Upscaler
from dysr_jax.errors import InputError

RGB = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def upscaler(three_members) -> Upscaler:
    return Upscaler(three_members)


def save(path, **options) -> None:
    Image.fromarray(RGB).save(path, **options)


def test_what_can_be_upscaled(upscaler, tmp_path):
    expected = upscaler(RGB, "fastest")
    assert isinstance(expected, np.ndarray)
    found = upscaler(jnp.asarray(RGB), "fastest")
    assert isinstance(found, np.ndarray)
    np.testing.assert_array_equal(found, expected)
    save(tmp_path / "a.png")
    for image in (Image.fromarray(RGB), tmp_path / "a.png", str(tmp_path / "a.png")):
        shown = upscaler(image, "fastest")
        assert isinstance(shown, Image.Image)
        np.testing.assert_array_equal(np.asarray(shown), expected)
    grey = upscaler(Image.fromarray(RGB[:, :, 0]), "fastest")
    assert (grey.mode, grey.size) == ("L", (16, 12))


def test_an_image_of_pillow_keeps_what_it_says(upscaler):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    exif[ExifTags.Base.Make] = "Maker"
    image = Image.fromarray(RGB)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image.info.update(exif=exif.tobytes(), icc_profile=profile, dpi=(300, 300))
    shown = upscaler(image, "fastest")
    turned = upscaler(np.ascontiguousarray(np.rot90(RGB, -1)), "fastest")
    np.testing.assert_array_equal(np.asarray(shown), turned)
    assert (shown.info["icc_profile"], shown.info["dpi"]) == (profile, (300, 300))
    assert dict(shown.getexif())[ExifTags.Base.Make] == "Maker"
    assert ExifTags.Base.Orientation not in shown.getexif()
    assert image.size == (8, 6)  # the one that was given is as it was


@pytest.mark.parametrize(
    ("image", "kind"),
    [([[1]], "list"), (None, "NoneType"), (b"a.png", "bytes"), (3, "int"), (np.float32(1), "float32")],
)
def test_what_cannot_be_upscaled_is_named(upscaler, image, kind):
    message = rf"image must be a NumPy or JAX array, an image of Pillow .*, got {kind}$"
    with pytest.raises(InputError, match=message):
        upscaler(image)


def test_a_negative_of_16_bits_is_one_from_pillow_too(upscaler, tmp_path):
    path, grey = tmp_path / "a.tif", RGB[:, :, 0]
    tifffile.imwrite(path, (255 - grey.astype(np.uint16)) * 257, photometric="miniswhite")
    expected = upscaler(grey, "fastest")
    with Image.open(path) as image:
        for given in (path, image):
            np.testing.assert_array_equal(np.asarray(upscaler(given, "fastest")), expected)


def test_images_of_pillow_that_cannot_be_upscaled(upscaler, tmp_path):
    with pytest.raises(InputError, match="image of Pillow cannot be read: its pixels are floats"):
        upscaler(Image.new("F", (4, 4)))
    save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes()[:-60])
    with Image.open(tmp_path / "b.png") as image, pytest.raises(InputError, match="truncated"):
        upscaler(image)
    with pytest.raises(InputError, match=r"b\.png' cannot be read"):
        upscaler(tmp_path / "b.png")
    with pytest.raises(InputError, match="does not exist"):
        upscaler("missing.png")
