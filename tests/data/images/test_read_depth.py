"""More than 8 bits per channel: rounded, and said so."""

import io
import struct
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image

from dysr_jax.data.images.read import bits_per_channel, read_picture


def png_chunk(kind: bytes, content: bytes) -> bytes:
    checked = kind + content
    return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))


def deep_png(levels: np.ndarray, *more: bytes) -> bytes:
    """A 16-bit PNG by the format's description."""
    rows, columns, channels = levels.shape
    colour = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", columns, rows, 16, colour, 0, 0, 0))
    raw = b"".join(b"\0" + row.astype(">u2").tobytes() for row in levels)
    chunks = [*more, png_chunk(b"IDAT", zlib.compress(raw)), png_chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks)


def levels(channels: int) -> np.ndarray:
    return np.random.default_rng(channels).integers(0, 65536, (7, 9, channels), np.uint16)


def rounded(deep: np.ndarray) -> np.ndarray:
    """To the nearest of 256 levels; the upper byte alone is another for a quarter of them."""
    found = np.round(deep / 257).astype(np.uint8)
    assert (found != deep >> 8).mean() > 0.15
    return found


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_sixteen_bit_png_is_rounded(path, channels):
    path.write_bytes(deep_png(levels(channels)))
    picture = read_picture(path)
    np.testing.assert_array_equal(picture.pixels, rounded(levels(channels)))
    assert picture.notes == ("its 16 bits per channel are rounded to 8",)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("channels", [3, 4])
def test_sixteen_bit_tiff_is_rounded(tmp_path, order, compression, channels):
    path = tmp_path / "deep.tif"
    alpha = {"extrasamples": ["unassalpha"]} if channels == 4 else {}
    options = {"photometric": "rgb", "byteorder": order, "compression": compression}
    tifffile.imwrite(path, levels(channels), **options, **alpha)
    np.testing.assert_array_equal(read_picture(path).pixels, rounded(levels(channels)))


@pytest.mark.parametrize("channels", [1, 3])
def test_a_transparent_colour_of_16_bits(path, channels):
    deep = levels(channels)
    key = png_chunk(b"tRNS", deep[2, 3].astype(">u2").tobytes())
    path.write_bytes(deep_png(deep, key))
    alpha = np.full((7, 9), 255)
    alpha[2, 3] = 0
    np.testing.assert_array_equal(read_picture(path).pixels, np.dstack([rounded(deep), alpha]))


def test_sixteen_bit_images_are_turned_too(tmp_path):
    path = tmp_path / "deep.tif"
    orientation = [(274, "H", 1, 6, True)]
    tifffile.imwrite(path, levels(3), photometric="rgb", extratags=orientation)
    np.testing.assert_array_equal(read_picture(path).pixels, np.rot90(rounded(levels(3)), -1))


def test_more_bits_than_eight_are_told_of_every_format(tmp_path):
    deep = np.linspace(0, 65535, 64 * 64).reshape(64, 64).astype(np.uint16)
    Image.fromarray(deep).save(tmp_path / "a.jp2")
    (tmp_path / "b.ppm").write_bytes(b"P6 2 1 65535\n" + bytes(range(12)))
    (tmp_path / "c.pgm").write_bytes(b"P5 2 1 4095\n\x0f\xff\x00\x00")
    Image.fromarray(deep.astype(np.uint8)).save(tmp_path / "d.avif")
    content = bytearray((tmp_path / "d.avif").read_bytes())
    content[content.index(b"av1C") + 6] |= 64  # ten bits, says the container
    for name in ("a.jp2", "b.ppm", "c.pgm"):
        (note,) = read_picture(tmp_path / name).notes
        assert note == "its 16 bits per channel are rounded to 8"
    np.testing.assert_array_equal(read_picture(tmp_path / "c.pgm").pixels.ravel(), [255, 0])
    np.testing.assert_allclose(read_picture(tmp_path / "a.jp2").pixels[:, :, 0], deep / 257, atol=1)
    with Image.open(tmp_path / "d.avif") as image:
        assert bits_per_channel(image, io.BytesIO(bytes(content))) == 10
    assert read_picture(tmp_path / "d.avif").notes == ()
