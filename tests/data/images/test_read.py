"""Image files of every kind to pixels, and what is said of files that cannot be used."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from dysr_jax.data.images.read import read_grey_or_rgb, read_image, read_picture
from dysr_jax.data.images.write import write_image
from dysr_jax.errors import InputError


def test_rgb(path, rgb):
    Image.fromarray(rgb).save(path)
    np.testing.assert_array_equal(read_image(path), rgb)
    np.testing.assert_array_equal(read_grey_or_rgb(path), rgb)


def test_grey_is_repeated_or_kept_as_one_channel(path, rgb):
    Image.fromarray(rgb[:, :, 0]).save(path)
    np.testing.assert_array_equal(read_image(path), np.repeat(rgb[:, :, :1], 3, 2))
    np.testing.assert_array_equal(read_grey_or_rgb(path), rgb[:, :, :1])


def test_transparent_pixels_are_laid_on_white(path):
    pixels = [[10, 20, 30, 255], [10, 20, 30, 0], [0, 100, 200, 51]]
    Image.fromarray(np.array([pixels], np.uint8)).save(path)
    # 51 is a fifth of 255: a fifth of the colour on four fifths of white.
    expected = [[10, 20, 30], [255, 255, 255], [204, 224, 244]]
    np.testing.assert_allclose(read_image(path)[0], expected, atol=1)


def test_grey_with_alpha_is_laid_on_white(path):
    Image.fromarray(np.array([[[70, 255], [70, 0]]], np.uint8)).save(path)
    np.testing.assert_array_equal(read_image(path)[0], [[70, 70, 70], [255, 255, 255]])


@pytest.mark.parametrize(("options", "second"), [({}, (4, 5, 6)), ({"transparency": 1}, (255,) * 3)])
def test_palette(path, options, second):
    image = Image.new("P", (2, 1))
    image.putpalette([1, 2, 3, 4, 5, 6])
    image.putpixel((1, 0), 1)
    image.save(path, **options)
    np.testing.assert_array_equal(read_image(path)[0], [(1, 2, 3), second])


def test_sixteen_bit_grey_is_scaled(path):
    # 257 levels of 16 bits are one of 8 bits; 128 and 129 lie on both sides of its half.
    levels = np.array([[0, 128, 129, 257, 1000 * 16, 65535]], np.uint16)
    Image.fromarray(levels).save(path)
    expected = np.repeat(np.array([[0, 0, 1, 1, 62, 255]], np.uint8)[..., None], 3, 2)
    np.testing.assert_array_equal(read_image(path), expected)
    np.testing.assert_array_equal(read_grey_or_rgb(path), expected[..., :1])


def test_one_bit_is_black_and_white(path):
    Image.fromarray(np.array([[True, False]])).save(path)
    np.testing.assert_array_equal(read_image(path)[0], [[255] * 3, [0] * 3])


def test_cmyk_jpeg(tmp_path):
    path = tmp_path / "image.jpg"
    inks = {"white": (0, 0, 0, 0), "black": (0, 0, 0, 255), "cyan": (255, 0, 0, 0)}
    image = Image.new("CMYK", (16 * len(inks), 16))
    for place, ink in enumerate(inks.values()):
        image.paste(ink, (16 * place, 0, 16 * place + 16, 16))
    image.save(path, quality=100)
    with Image.open(path) as saved:
        assert saved.mode == "CMYK"
    centres = read_image(path)[8, 8::16]
    # JPEG is lossy; one flat colour a block leaves it little to lose.
    np.testing.assert_allclose(centres, [(255, 255, 255), (0, 0, 0), (0, 255, 255)], atol=4)


@pytest.mark.parametrize(
    ("orientation", "upright"),
    [
        (1, lambda raw: raw),
        (2, lambda raw: raw[:, ::-1]),
        (3, lambda raw: np.rot90(raw, 2)),
        (4, lambda raw: raw[::-1]),
        (5, lambda raw: raw.swapaxes(0, 1)),
        (6, lambda raw: np.rot90(raw, -1)),
        (7, lambda raw: np.rot90(raw, 2).swapaxes(0, 1)),
        (8, lambda raw: np.rot90(raw, 1)),
    ],
)
def test_exif_orientation_turns_the_image(tmp_path, rgb, orientation, upright):
    plain, turned = tmp_path / "plain.jpg", tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(rgb).save(plain)
    Image.fromarray(rgb).save(turned, exif=exif)
    np.testing.assert_array_equal(read_image(turned), upright(read_image(plain)))


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (
            np.ones((4, 4), np.float32),
            "its pixels are floats; they must be unsigned integers of at most 16 bits",
        ),
        (np.ones((4, 4), np.int32), "its pixels are 32-bit integers"),
    ],
)
def test_pixels_that_are_no_levels_are_refused_by_name(tmp_path, pixels, message):
    path = tmp_path / "odd.tif"
    Image.fromarray(pixels).save(path)
    with pytest.raises(InputError, match=rf"odd\.tif.*{message}"):
        read_image(path)


# --- what a picture keeps ----------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_pictures_keep_grey_and_transparency(tmp_path, rgb, mode, suffix):
    path = tmp_path / f"image{suffix}"
    image = Image.fromarray(np.dstack([rgb, rgb[:, ::-1, :1]])).convert(mode)
    image.save(path)
    pixels = np.asarray(image).reshape(6, 9, -1)
    np.testing.assert_array_equal(read_picture(path).pixels, pixels)
    write_image(path, pixels)
    np.testing.assert_array_equal(read_picture(path).pixels, pixels)
    with Image.open(path) as saved:
        assert saved.mode == mode


def test_palettes_keep_their_transparency(path):
    image = Image.new("P", (2, 1))
    image.putpalette([1, 2, 3, 4, 5, 6])
    image.putpixel((1, 0), 1)
    image.save(path, transparency=1)
    np.testing.assert_array_equal(read_picture(path).pixels[0], [(1, 2, 3, 255), (4, 5, 6, 0)])


def test_a_transparent_colour_becomes_alpha(path):
    Image.fromarray(np.array([[7, 8]], np.uint8)).save(path, transparency=7)
    np.testing.assert_array_equal(read_picture(path).pixels[0], [(7, 0), (8, 255)])


def black_ink_profile() -> bytes:
    """An ICC profile of a press on which only black ink shows, by the format's description (ICC.1)."""
    ramp = bytes(range(256))
    # The grid's corners, black fastest, as L* a* b*: white without black ink, black with it.
    corners = bytes([255, 128, 128, 0, 128, 128]) * 8
    identity = struct.pack(">9i", *(65536 * (i % 4 == 0) for i in range(9)))
    table = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + identity + ramp * 4 + corners + ramp * 3
    body = struct.pack(">I4sII", 1, b"A2B0", 144, len(table)) + table
    kinds = b"lcms" + struct.pack(">I", 0x02400000) + b"prtrCMYKLab " + bytes(12) + b"acsp"
    illuminant = struct.pack(">3i", 63190, 65536, 54061)
    header = struct.pack(">I", 128 + len(body)) + kinds + bytes(28) + illuminant + bytes(48)
    return header + body


def test_cmyk_goes_by_its_profile(tmp_path):
    image = Image.new("CMYK", (32, 16), (200, 10, 30, 0))
    image.paste((200, 10, 30, 255), (16, 0, 32, 16))
    path = tmp_path / "inks.tif"
    image.save(path)
    np.testing.assert_array_equal(read_picture(path).pixels[0, ::16], [(55, 245, 225), (0, 0, 0)])
    image.save(path, icc_profile=black_ink_profile())
    picture = read_picture(path)
    np.testing.assert_array_equal(picture.pixels[0, ::16], [(255, 255, 255), (0, 0, 0)])
    assert picture.metadata.profile is None  # the pixels are not inks any more


PROFILES = {
    "grey": ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
    "RGB": black_ink_profile(),
    "CMYK": ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
}
"""Sound ones, for other pixels."""


@pytest.mark.parametrize(("kind", "mode"), [("grey", "L"), ("RGB", "RGB"), ("CMYK", "CMYK")])
def test_one_rule_for_profiles_that_cannot_be_used(tmp_path, kind, mode):
    path, bare = tmp_path / "image.tif", tmp_path / "bare.tif"
    image = Image.new(mode, (4, 4), 90 if mode == "L" else (90, 20, 10, 5)[: len(mode)])
    image.save(bare)
    other = "CMYK" if kind == "RGB" else "RGB"
    sound = PROFILES[kind]
    damaged = sound[:16] + mode.ljust(4).encode() + sound[20:60] + bytes(len(sound) - 60)
    for profile, reason in {
        b"no profile": "is damaged",
        damaged: "is damaged",
        sound: f"is for {other} and not for {kind}",
    }.items():
        image.save(path, icc_profile=profile)
        picture = read_picture(path)
        assert picture.metadata.profile is None
        assert picture.notes == (f"its colour profile {reason}, and is left out",)
        np.testing.assert_array_equal(picture.pixels, read_picture(bare).pixels)


# --- several frames ----------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png", ".tif"])
def test_animations_and_pages_are_refused(tmp_path, rgb, suffix):
    path = tmp_path / f"moving{suffix}"
    frames = [Image.fromarray(x) for x in (rgb, 255 - rgb, rgb[::-1])]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    with pytest.raises(InputError, match=r"moving.*it has 3 frames or pages; it must have one"):
        read_picture(path)


def test_a_preview_in_a_jpeg_is_no_frame(tmp_path, rgb):
    path, plain = tmp_path / "phone.jpg", tmp_path / "plain.jpg"
    Image.fromarray(rgb).save(path, "MPO", save_all=True, append_images=[Image.fromarray(rgb[:2])])
    Image.fromarray(rgb).save(plain)
    with Image.open(path) as image:
        assert image.n_frames == 2
    np.testing.assert_array_equal(read_image(path), read_image(plain))


def test_a_gif_of_one_frame_is_an_image(tmp_path, rgb):
    Image.fromarray(rgb[:, :, 0]).save(tmp_path / "still.gif")
    np.testing.assert_array_equal(read_image(tmp_path / "still.gif")[..., 0], rgb[..., 0])


# --- damage ------------------------------------------------------------------------------------------


def png_chunk(kind: bytes, content: bytes) -> bytes:
    checked = kind + content
    return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))


def png(rows: int, columns: int, *chunks: bytes) -> bytes:
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", columns, rows, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks)


def pixels(rows: int, columns: int) -> bytes:
    """Compressed rows of black pixels, each after its filter byte."""
    return zlib.compress(bytes(rows * (1 + 3 * columns)))


UNREADABLE = {
    "empty": b"",
    "text": b"not an image at all",
    "header only": png(4, 4),
    "truncated": png(64, 64, png_chunk(b"IDAT", pixels(64, 64)))[:-30],
    "garbage between chunks": png(64, 64, png_chunk(b"IDAT", pixels(64, 64)[:9]), b"\0\0\0\1[4\x97\x17xyz"),
    "zeros from the middle on": png(64, 64, png_chunk(b"IDAT", pixels(64, 64)))[:60] + bytes(99),
    # 1.6 gigapixels said in a few bytes: reading it would fill the memory.
    "decompression bomb": png(40_000, 40_000, png_chunk(b"IDAT", pixels(1, 1))),
}


@pytest.mark.parametrize("content", UNREADABLE.values(), ids=UNREADABLE)
def test_damaged_files_are_named(path, content):
    path.write_bytes(content)
    with pytest.raises(InputError) as error:
        read_image(path)
    assert str(path) in str(error.value)
    assert "cannot be read" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(InputError, match=r"missing\.png.*does not exist"):
        read_image(tmp_path / "missing.png")
    with pytest.raises(InputError, match=rf"{tmp_path.name}.*it is a folder"):
        read_image(tmp_path)
