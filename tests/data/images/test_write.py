"""Pixels to image files: what comes back, and what cannot be written."""

import numpy as np
import pytest
from PIL import Image, ImageCms

from dysr_jax.data.images.metadata import Metadata
from dysr_jax.data.images.read import read_image, read_picture
from dysr_jax.data.images.write import write_image
from dysr_jax.errors import InputError


@pytest.mark.parametrize("suffix", [".jpg", ".bmp"])
def test_formats_without_transparency_get_it_on_white(tmp_path, suffix):
    path = tmp_path / f"image{suffix}"
    write_image(path, np.zeros((16, 16, 4), np.uint8))
    np.testing.assert_array_equal(read_picture(path).pixels, np.full((16, 16, 3), 255))


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
def test_colour_profiles_are_kept(tmp_path, rgb, suffix):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    path = tmp_path / f"image{suffix}"
    write_image(path, rgb, Metadata(profile=profile))
    assert read_picture(path).metadata.profile == profile
    # One that is for other channels would turn the colours into others.
    Image.fromarray(rgb[:, :, 0]).save(tmp_path / "grey.png", icc_profile=profile)
    assert read_picture(tmp_path / "grey.png").metadata.profile is None


@pytest.mark.parametrize("suffix", [".png", ".PNG", ".bmp", ".tif", ".tiff"])
def test_lossless_formats_come_back_bit_for_bit(tmp_path, rgb, suffix):
    path = tmp_path / f"image{suffix}"
    write_image(path, rgb)
    np.testing.assert_array_equal(read_image(path), rgb)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".webp"])
def test_lossy_formats_come_close(tmp_path, suffix):
    # A smooth image, as codecs expect them.
    ramp = np.linspace(0, 255, 32)
    image = np.stack(np.broadcast_arrays(ramp[:, None], ramp, 128), -1).astype(np.uint8)
    path = tmp_path / f"image{suffix}"
    write_image(path, image)
    difference = np.abs(read_image(path).astype(int) - image)
    assert difference.mean() < 4


def test_the_format_is_that_of_the_suffix(tmp_path, rgb):
    for suffix, name in {".png": "PNG", ".jpg": "JPEG", ".webp": "WEBP", ".bmp": "BMP"}.items():
        write_image(tmp_path / f"image{suffix}", rgb)
        with Image.open(tmp_path / f"image{suffix}") as image:
            assert image.format == name


def test_a_failed_write_leaves_the_older_file_and_nothing_else(path, rgb, monkeypatch):
    write_image(path, rgb)

    def disk_full(image, file, **options):
        file.write(b"half an image")
        raise OSError("No space left on device")

    monkeypatch.setattr(Image.Image, "save", disk_full)
    with pytest.raises(InputError, match=r"image\.png.*cannot be written.*No space left"):
        write_image(path, 255 - rgb)
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    np.testing.assert_array_equal(read_image(path), rgb)


@pytest.mark.parametrize("name", ["image", "image.gif", "image.txt", ".png"])
def test_unknown_suffixes_are_refused(tmp_path, rgb, name):
    with pytest.raises(InputError, match=r"its suffix must be one of \.png"):
        write_image(tmp_path / name, rgb)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("place", ["missing/image.png", "file/image.png"])
def test_places_that_cannot_be_written_to_are_named(tmp_path, rgb, place):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=rf"{place}.*cannot be written"):
        write_image(tmp_path / place, rgb)


@pytest.mark.parametrize(("suffix", "side"), [(".webp", 16_384), (".jpg", 65_536)])
def test_sides_that_a_format_cannot_hold_are_refused(tmp_path, suffix, side):
    # A 4,096 pixel wide WebP upscaled four times is such an image.
    path = tmp_path / f"wide{suffix}"
    with pytest.raises(InputError, match=r"wide.*cannot be written: .*\.png and \.tif hold larger"):
        write_image(path, np.zeros((1, side, 3), np.uint8))
    assert not list(tmp_path.iterdir())
