"""TIFF files of every layout that tifffile writes, against what was given to it."""

import numpy as np
import pytest
import tifffile
from PIL import Image

from dysr_jax.data.images.read import read_picture
from dysr_jax.data.listing import image_shape
from dysr_jax.errors import InputError

ROWS, COLUMNS = 13, 17


def samples(channels: int, bits: int) -> np.ndarray:
    rng = np.random.default_rng(channels)
    dtype = np.uint8 if bits <= 8 else np.uint16
    return rng.integers(0, 2**bits, (ROWS, COLUMNS, channels)).astype(dtype)


def to_8_bits(given: np.ndarray, bits: int) -> np.ndarray:
    return np.round(given * (255 / (2**bits - 1))).astype(np.uint8)


def write(path, given: np.ndarray, *, planar: bool = False, **options) -> None:
    array = given[:, :, 0] if given.shape[2] == 1 else given
    array = np.moveaxis(array, 2, 0) if planar and array.ndim == 3 else array
    if given.shape[2] > 1:
        options["planarconfig"] = "separate" if planar else "contig"
    tifffile.imwrite(path, array, **options)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "image.tif"


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
def test_grey_and_its_negative(path, photometric, bits, compression, order):
    given = samples(1, bits)
    write(path, given, photometric=photometric, compression=compression, byteorder=order)
    expected = to_8_bits(given, bits)
    expected = 255 - expected if photometric == "miniswhite" else expected
    np.testing.assert_array_equal(read_picture(path).pixels, expected)


@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
def test_one_bit(path, photometric):
    given = samples(1, 1).astype(bool)
    write(path, given, photometric=photometric)
    expected = np.where(given ^ (photometric == "miniswhite"), 255, 0)
    np.testing.assert_array_equal(read_picture(path).pixels, expected)


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_a_negative_that_libtiff_unpacks(path, compression):
    given = samples(1, 16)
    image = Image.fromarray(given[:, :, 0])
    image.save(path, compression=compression, tiffinfo={262: 1})
    np.testing.assert_array_equal(read_picture(path).pixels, to_8_bits(given, 16))
    content = bytearray(path.read_bytes())
    # Tag 262, a short, once: from black is zero to white is zero.
    place = content.index(bytes([6, 1, 3, 0, 1, 0, 0, 0]))
    content[place + 8] = 0
    path.write_bytes(content)
    np.testing.assert_array_equal(read_picture(path).pixels, 255 - to_8_bits(given, 16))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("planar", [False, True], ids=["interleaved", "planes"])
@pytest.mark.parametrize("alpha", [None, "unassalpha", "unspecified"])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("colours", [1, 3])
def test_channels_in_every_order(path, colours, bits, alpha, planar, compression, order):
    given = samples(colours + (alpha is not None), bits)
    kind = "rgb" if colours == 3 else "minisblack"
    more = {"extrasamples": [alpha]} if alpha else {}
    options = {"compression": compression, "byteorder": order, **more}
    write(path, given, photometric=kind, planar=planar, **options)
    kept = given if alpha == "unassalpha" else given[:, :, :colours]
    np.testing.assert_array_equal(read_picture(path).pixels, to_8_bits(kept, bits))


def test_premultiplied_alpha_of_16_bits(path):
    colour = np.full((ROWS, COLUMNS, 1), 10_000, np.uint16)
    alpha = np.full_like(colour, 20_000)
    alpha[0] = 0
    write(path, np.dstack([colour] * 3 + [alpha]), photometric="rgb", extrasamples=["assocalpha"])
    found = read_picture(path).pixels
    np.testing.assert_array_equal(found[1, 0], [128, 128, 128, round(20_000 / 257)])
    np.testing.assert_array_equal(found[0, :, 3], 0)


def test_inks_of_16_bits(path):
    inks = np.zeros((ROWS, COLUMNS, 4), np.uint16)
    inks[:, 1, 0], inks[:, 2, 3] = 65_535, 65_535
    write(path, inks, photometric="separated")
    expected = [(255, 255, 255), (0, 255, 255), (0, 0, 0)]
    np.testing.assert_array_equal(read_picture(path).pixels[0, :3], expected)


def test_twelve_bits_are_scaled(path):
    """Packed by hand: two samples in three bytes. Pillow gives them as levels of 16 bits."""
    levels = np.random.default_rng(0).integers(0, 4096, (4, 6))
    pairs = levels.reshape(-1, 2)
    packed = np.stack([pairs[:, 0] >> 4, (pairs[:, 0] & 15) << 4 | pairs[:, 1] >> 8, pairs[:, 1] & 255], 1)
    Image.new("L", (6, 6)).save(path)  # 36 bytes of pixels, as many as are needed
    with tifffile.TiffFile(path, mode="r+b") as file:
        tags = file.pages[0].tags
        tags["BitsPerSample"].overwrite(12)
        for name in ("ImageLength", "RowsPerStrip"):
            tags[name].overwrite(4)
        offset = file.pages[0].dataoffsets[0]
    content = bytearray(path.read_bytes())
    content[offset : offset + 36] = packed.astype(np.uint8).tobytes()
    path.write_bytes(content)
    found = read_picture(path).pixels[:, :, 0]
    assert np.abs(found - levels * (255 / 4095)).max() <= 0.51


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("planar", [False, True])
def test_orientation(path, tmp_path, orientation, planar):
    given = samples(3, 16)
    tag = [(274, "H", 1, orientation, True)]
    write(path, given, photometric="rgb", planar=planar, extratags=tag)
    other, exif = tmp_path / "turned.png", Image.Exif()
    exif[274] = orientation
    Image.fromarray(to_8_bits(given, 16)).save(other, exif=exif)
    found = read_picture(path).pixels
    np.testing.assert_array_equal(found, read_picture(other).pixels)
    assert image_shape(path) == found.shape[:2]


@pytest.mark.parametrize(
    ("dtype", "message"),
    [
        (np.int8, "signed integers"),
        (np.int16, "signed integers"),
        (np.uint32, "32-bit integers"),
        (np.int32, "32-bit integers"),
        (np.float16, "floats"),
        (np.float32, "floats"),
        (np.float64, "floats"),
    ],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_samples_that_are_no_levels(path, dtype, message, channels):
    write(path, samples(channels, 7).astype(dtype), photometric="rgb" if channels == 3 else None)
    with pytest.raises(InputError, match=r"image\.tif' cannot be read: (?!.*\n)"):
        read_picture(path)
    if channels == 1:
        with pytest.raises(InputError, match=f"its pixels are {message}"):
            read_picture(path)


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("kept", [0.2, 0.5, 0.9])
@pytest.mark.parametrize("planar", [False, True])
def test_cut_off(path, compression, kept, planar):
    write(path, samples(3, 16), photometric="rgb", planar=planar, compression=compression)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(InputError, match=r"image\.tif' cannot be read"):
        read_picture(path)


def test_pages(path):
    tifffile.imwrite(path, np.zeros((3, 2, 8, 9), np.uint16), photometric="minisblack")
    with pytest.raises(InputError, match=r"it has \d+ frames or pages"):
        read_picture(path)


@pytest.mark.parametrize(
    "error", [ValueError("<COMPRESSION.LZW: 5> requires the 'imagecodecs' package"), ImportError()]
)
def test_a_compression_that_needs_another_package(path, monkeypatch, error):
    write(path, samples(4, 16), photometric="separated", compression="zlib")

    def refuse(page):
        raise error

    monkeypatch.setattr(tifffile.TiffPage, "asarray", refuse)
    with pytest.raises(InputError, match="its compression ADOBE_DEFLATE needs the package imagecodecs"):
        read_picture(path)
