"""PNG files whose other parts are large, damaged or about colours."""

import struct
import warnings
import zlib
from concurrent import futures

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageFile, PngImagePlugin

from dysr_jax.data.images.formats import open_image
from dysr_jax.data.images.read import read_picture
from dysr_jax.data.images.write import write_image
from dysr_jax.data.listing import image_shape
from dysr_jax.errors import InputError

RGB = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)
CICP = {"P3": bytes([12, 13, 0, 1]), "PQ": bytes([9, 16, 0, 1]), "HLG": bytes([9, 18, 0, 1])}


def chunk(kind: bytes, content: bytes, *, damaged: bool = False) -> bytes:
    checksum = zlib.crc32(kind + content) ^ damaged
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


@pytest.fixture
def write(tmp_path):
    """A PNG with these chunks before its pixels."""

    def write(*chunks: bytes, name: str = "in.png"):
        path = tmp_path / name
        Image.fromarray(RGB).save(path)
        content = path.read_bytes()
        place = content.index(b"IDAT") - 4
        path.write_bytes(content[:place] + b"".join(chunks) + content[place:])
        return path

    return write


def ztxt(text: bytes) -> bytes:
    return chunk(b"zTXt", b"Comment\0\0" + zlib.compress(text))


def itxt(text: bytes, keyword: bytes = b"XML:com.adobe.xmp") -> bytes:
    return chunk(b"iTXt", keyword + b"\0\1\0\0\0" + zlib.compress(text))


@pytest.mark.parametrize(
    "chunks",
    [
        [ztxt(bytes(2_800_000))],
        [ztxt(bytes(900_000))] * 80,
        [itxt(bytes(2_000_000), b"Title")],
        [chunk(b"tEXt", b"Title\0" + bytes(3_000_000))],
    ],
    ids=["one of 2.8 MB", "72 MB in all", "international", "not compressed"],
)
def test_large_texts_are_read_over_and_kept(write, tmp_path, chunks):
    path = write(*chunks)
    picture = read_picture(path)
    assert picture.notes == ()
    np.testing.assert_array_equal(picture.pixels, RGB)
    assert image_shape(path) == RGB.shape[:2]
    write_image(tmp_path / "out.png", RGB, picture.metadata)
    content = (tmp_path / "out.png").read_bytes()
    assert all(one in content for one in chunks)
    (note,) = write_image(tmp_path / "out.jpg", RGB, picture.metadata)
    assert note == "its text chunks cannot be kept in JPEG"


def test_a_large_profile_is_kept(write, tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    # The size that it says of itself counts; what comes behind its tables belongs to none.
    large = struct.pack(">I", 1_500_000) + profile[4:] + bytes(1_500_000 - len(profile))
    path = write(chunk(b"iCCP", b"name\0\0" + zlib.compress(large)))
    picture = read_picture(path)
    assert (picture.metadata.profile, picture.notes) == (large, ())
    np.testing.assert_array_equal(picture.pixels, RGB)
    write_image(tmp_path / "out.png", RGB, picture.metadata)
    assert read_picture(tmp_path / "out.png").metadata.profile == large


@pytest.mark.parametrize("kind", [b"tEXt", b"gAMA", b"eXIf", b"prVt"])
def test_a_wrong_checksum_beside_the_pixels_is_told(write, kind):
    picture = read_picture(write(chunk(kind, b"Title\0text", damaged=True)))
    np.testing.assert_array_equal(picture.pixels, RGB)
    assert picture.notes == ("a damaged part beside its pixels is left out",)


@pytest.mark.parametrize("kind", [b"gAMA", b"cHRM", b"sRGB", b"cICP", b"pHYs"])
def test_a_wrong_length_beside_the_pixels_is_told(write, kind):
    picture = read_picture(write(chunk(kind, b"")))
    np.testing.assert_array_equal(picture.pixels, RGB)
    assert picture.notes == ("a damaged part beside its pixels is left out",)
    assert not picture.metadata.colours


@pytest.mark.parametrize("content", [b"nothing", b"name\0\0nothing", b"name\0\0" + zlib.compress(b"x")])
def test_a_damaged_profile_is_told(write, content):
    picture = read_picture(write(chunk(b"iCCP", content)))
    assert "its colour profile is damaged" in picture.notes[0]
    assert (len(picture.notes), picture.metadata.profile) == (1, None)
    np.testing.assert_array_equal(picture.pixels, RGB)


@pytest.mark.parametrize("place", [b"IHDR", b"IDAT", b"IEND"])
def test_a_wrong_checksum_of_the_pixels_is_refused(write, place):
    path = write()
    content = bytearray(path.read_bytes())
    start = content.index(place)
    length = int.from_bytes(content[start - 4 : start], "big")
    content[start + 4 + length] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"in\.png' cannot be read: its pixels are damaged"):
        read_picture(path)


def test_texts_and_the_resolution_come_through(tmp_path):
    info = PngImagePlugin.PngInfo()
    info.add_text("Title", "a title")
    info.add_itxt("Author", "Žofie")
    info.add_text("Comment", "compressed " * 99, zip=True)
    Image.fromarray(RGB).save(tmp_path / "in.png", pnginfo=info, dpi=(300, 300))
    write_image(tmp_path / "out.png", RGB, read_picture(tmp_path / "in.png").metadata)
    with Image.open(tmp_path / "in.png") as given, Image.open(tmp_path / "out.png") as found:
        assert found.text == given.text
        assert found.info["dpi"] == given.info["dpi"]


# --- colours -----------------------------------------------------------------------------------------

GAMMA = chunk(b"gAMA", struct.pack(">I", 100_000))
PRIMARIES = chunk(b"cHRM", struct.pack(">8I", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000))
SRGB = chunk(b"sRGB", b"\0")
USUAL = chunk(b"gAMA", struct.pack(">I", 45_455)) + chunk(
    b"cHRM", struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
)


@pytest.mark.parametrize(
    ("declared", "lost"),
    [
        (GAMMA, True),
        (PRIMARIES, True),
        (chunk(b"cICP", CICP["P3"]), True),
        (SRGB, False),
        (USUAL, False),
        (chunk(b"cICP", bytes([1, 13, 0, 1])), False),
    ],
    ids=["gamma", "primaries", "P3", "sRGB", "as sRGB", "sRGB by number"],
)
def test_declared_colours_are_kept_or_told(write, tmp_path, declared, lost):
    metadata = read_picture(write(declared)).metadata
    assert write_image(tmp_path / "out.png", RGB, metadata) == ()
    assert declared in (tmp_path / "out.png").read_bytes()
    notes = write_image(tmp_path / "out.jpg", RGB, metadata)
    assert notes == (("its declared colours cannot be kept in JPEG",) if lost else ())


@pytest.mark.parametrize("kind", ["PQ", "HLG"])
def test_hdr_is_refused(write, kind):
    with pytest.raises(InputError, match=rf"its colours are HDR \({kind}\); they must be SDR"):
        read_picture(write(chunk(b"cICP", CICP[kind])))


@pytest.mark.parametrize("kind", ["P3", "PQ"])
def test_colours_of_an_avif_file(tmp_path, kind):
    path = tmp_path / "in.avif"
    Image.fromarray(RGB).save(path)
    content = path.read_bytes()
    place = content.index(b"colrnclx") + 8
    primaries, transfer = CICP[kind][:2]
    path.write_bytes(content[:place] + bytes([0, primaries, 0, transfer]) + content[place + 4 :])
    if kind == "PQ":
        with pytest.raises(InputError, match="HDR"):
            read_picture(path)
        return
    write_image(tmp_path / "out.png", RGB, read_picture(path).metadata)
    assert chunk(b"cICP", CICP[kind]) in (tmp_path / "out.png").read_bytes()


# --- the process -------------------------------------------------------------------------------------


def test_nothing_of_the_process_is_changed(write):
    """Threads share Pillow's limits and the filters of warnings."""
    limits = PngImagePlugin.MAX_TEXT_CHUNK, Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES
    filters = list(warnings.filters)
    paths = [write(ztxt(bytes(2_000_000)), name=f"{number}.png") for number in range(20)]
    with futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(read_picture, paths))
        list(pool.map(image_shape, paths))
    assert warnings.filters == filters
    assert limits == (PngImagePlugin.MAX_TEXT_CHUNK, Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES)


def test_the_limit_of_pixels_is_our_own(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)  # a program's of its own
    path = tmp_path / "in.png"
    Image.fromarray(RGB).save(path)
    np.testing.assert_array_equal(read_picture(path).pixels, RGB)
    with pytest.raises(InputError, match=r"9x6 pixels, more than the 53 .* max_pixels .*--max-pix"):
        read_picture(path, max_pixels=53)
    assert read_picture(path, max_pixels=54).pixels.shape == RGB.shape


def test_files_are_known_by_their_content(tmp_path):
    """A format without a mark is tried only where the suffix names it."""
    Image.fromarray(RGB).save(tmp_path / "a.tga")
    (tmp_path / "a.tga").rename(tmp_path / "a.png")
    with pytest.raises(InputError, match=r"a\.png' cannot be read"):
        read_picture(tmp_path / "a.png")
    Image.fromarray(RGB).save(tmp_path / "b.png")
    (tmp_path / "b.png").rename(tmp_path / "b.tga")
    np.testing.assert_array_equal(read_picture(tmp_path / "b.tga").pixels, RGB)
    with (tmp_path / "b.tga").open("rb") as file:
        assert open_image(file).format == "PNG"
