"""What lies beside the pixels comes from one file into the next, or is told to be lost."""

import re

import numpy as np
import pytest
import tifffile
from PIL import ExifTags, Image, ImageCms

from dysr_jax.data.images.metadata import Metadata
from dysr_jax.data.images.read import read_picture
from dysr_jax.data.images.write import save_options, write_image
from dysr_jax.data.listing import image_shape

XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6" '
    b'tiff:ImageWidth="9" tiff:ImageLength="6"><dc:title>A title</dc:title>'
    b"<exif:PixelXDimension>9</exif:PixelXDimension></rdf:Description></x:xmpmeta>"
)
IPTC = b"\x1c\x02\x69\x00\x08Headline"
GPS = {1: "N", 2: (48.0, 51.0, 29.0), 3: "E", 4: (2.0, 17.0, 40.0)}
BIG = np.zeros((24, 36, 3), np.uint8)


@pytest.fixture
def photo(tmp_path):
    """A JPEG as a phone writes it, lying on its side."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    exif[ExifTags.Base.Make] = "Maker"
    exif[ExifTags.Base.ImageDescription] = "a note"
    exif[ExifTags.IFD.Exif] = {
        ExifTags.Base.DateTimeOriginal: "2020:01:02 03:04:05",
        ExifTags.Base.ExifImageWidth: 9,
        ExifTags.Base.ExifImageHeight: 6,
        ExifTags.Base.ExposureTime: 0.01,
    }
    exif[ExifTags.IFD.GPSInfo] = GPS
    segment = b"Photoshop 3.0\0" + b"8BIM\x04\x04\0\0\0\0\0" + bytes([len(IPTC)]) + IPTC + b"\0"
    extra = b"\xff\xed" + (2 + len(segment)).to_bytes(2, "big") + segment
    path = tmp_path / "photo.jpg"
    image = Image.fromarray(np.zeros((6, 9, 3), np.uint8))
    image.save(path, exif=exif, xmp=XMP, dpi=(300, 300), comment=b"hello", extra=extra)
    return path


def kept(image: Image.Image) -> Image.Exif:
    """EXIF of an output: what describes the photograph is there, what described the file is not."""
    exif = image.getexif()
    assert exif.get(ExifTags.Base.Orientation, 1) == 1
    assert (exif[ExifTags.Base.Make], exif[ExifTags.Base.ImageDescription]) == ("Maker", "a note")
    details = exif.get_ifd(ExifTags.IFD.Exif)
    assert details[ExifTags.Base.DateTimeOriginal] == "2020:01:02 03:04:05"
    assert float(details[ExifTags.Base.ExposureTime]) == pytest.approx(0.01)
    size = details[ExifTags.Base.ExifImageWidth], details[ExifTags.Base.ExifImageHeight]
    assert size == image.size
    gps = exif.get_ifd(ExifTags.IFD.GPSInfo)
    assert {tag: gps[tag] for tag in GPS} == GPS
    return exif


@pytest.mark.parametrize(
    ("suffix", "note"),
    [
        (".png", ("its IPTC data cannot be kept in PNG",)),
        (".jpg", ()),
        (".tif", ("its comment cannot be kept in TIFF",)),
        (".webp", ("its IPTC data and comment cannot be kept in WEBP",)),
        (".avif", ("its IPTC data and comment cannot be kept in AVIF",)),
    ],
)
def test_what_a_photograph_says_is_kept(photo, tmp_path, suffix, note):
    picture = read_picture(photo)
    assert (picture.pixels.shape, picture.notes) == ((9, 6, 3), ())
    path = tmp_path / f"out{suffix}"
    assert write_image(path, BIG, picture.metadata) == note
    with Image.open(path) as image:
        image.load()
        exif = kept(image)
        xmp = image.info["xmp"]
        dpi = image.info.get("dpi") or [exif[282], exif[283]]
        assert [round(float(side)) for side in dpi] == [300, 300]
    assert b"A title" in xmp
    assert b'tiff:ImageWidth="36" tiff:ImageLength="24"' in xmp
    assert b"<exif:PixelXDimension>36<" in xmp
    again = read_picture(path).metadata
    assert again.iptc == (IPTC if suffix in (".jpg", ".tif") else b"")
    assert again.comment == (b"hello" if suffix == ".jpg" else b"") or suffix == ".png"


@pytest.mark.parametrize("suffix", [".bmp", ".tga", ".jp2", ".ppm"])
def test_what_simple_formats_lose_is_told(photo, tmp_path, suffix):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    found = read_picture(photo).metadata
    given = Metadata(**{**vars(found), "profile": profile})
    (note,) = write_image(tmp_path / f"out{suffix}", BIG, given)
    assert note.startswith("its colour profile, EXIF data, XMP data, IPTC data")
    assert ("comment" in note) == (suffix != ".jp2")
    assert ("resolution" in note) == (suffix != ".bmp")


def test_nothing_is_told_where_nothing_is_lost(tmp_path):
    for suffix in (".png", ".jpg", ".tif", ".webp", ".avif", ".bmp", ".tga", ".jp2", ".ppm"):
        assert write_image(tmp_path / f"a{suffix}", BIG) == ()
        assert read_picture(tmp_path / f"a{suffix}").notes == ()
        assert write_image(tmp_path / "b.png", BIG, read_picture(tmp_path / f"a{suffix}").metadata) == ()


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_an_orientation_in_xmp_alone_counts(tmp_path, suffix):
    path = tmp_path / f"in{suffix}"
    write_image(path, BIG, Metadata(xmp=XMP))
    picture = read_picture(path)
    with Image.open(path) as image:
        expected = image.getexif().get(ExifTags.Base.Orientation, 1)
    assert picture.pixels.shape == ((36, 24, 3) if expected == 6 else BIG.shape)
    assert image_shape(path) == picture.pixels.shape[:2]
    assert b'Orientation="6"' not in picture.metadata.xmp


def test_thumbnails_go(tmp_path):
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Maker"
    data = bytearray(exif.tobytes()[6:])
    # The offset of the next directory follows the only entry; there, one entry of a thumbnail.
    data[22:26] = len(data).to_bytes(4, "big")
    data += b"\0\1" + bytes.fromhex("0201 0004 00000001 00000008") + bytes(4)
    path = tmp_path / "in.jpg"
    Image.fromarray(BIG).save(path, exif=b"Exif\0\0" + bytes(data))
    with Image.open(path) as image:
        assert image.getexif().get_ifd(ExifTags.IFD.IFD1) == {0x0201: 8}
    write_image(tmp_path / "out.jpg", BIG, read_picture(path).metadata)
    with Image.open(tmp_path / "out.jpg") as image:
        assert image.getexif()[ExifTags.Base.Make] == "Maker"
        assert not image.getexif().get_ifd(ExifTags.IFD.IFD1)


def test_the_layout_of_a_tiff_file_is_not_copied(tmp_path):
    path = tmp_path / "in.tif"
    tags = {305: "a program", 33550: (1.0, 1.0, 0.0), 339: 1}
    Image.fromarray(BIG[:, :, 0]).save(path, compression="tiff_lzw", tiffinfo=tags, dpi=(96, 96))
    metadata = read_picture(path).metadata
    for name in ("out.tif", "out.jpg"):
        write_image(tmp_path / name, BIG, metadata)
        with Image.open(tmp_path / name) as image:
            assert image.getexif()[305] == "a program"
            assert 33550 not in image.getexif()  # metres per pixel on a map
            assert image.info["dpi"] == (96, 96)
        np.testing.assert_array_equal(read_picture(tmp_path / name).pixels, BIG)


def test_what_is_too_long_for_jpeg_is_told(tmp_path):
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Maker"
    exif[ExifTags.IFD.Exif] = {ExifTags.Base.MakerNote: bytes(65_000), 36867: "2020:01:02 03:04:05"}
    given = Metadata(exif=exif.tobytes() + bytes(600), xmp=b"x" * 65_534, comment=b"c" * 65_534)
    notes = write_image(tmp_path / "out.jpg", BIG, given)
    assert notes == ("its XMP data and comment cannot be kept in JPEG",)
    with Image.open(tmp_path / "out.jpg") as image:
        assert image.getexif()[ExifTags.Base.Make] == "Maker"
        assert 36867 in image.getexif().get_ifd(ExifTags.IFD.Exif)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_damaged_exif_does_not_cost_the_picture(tmp_path, suffix):
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Maker"
    exif[ExifTags.IFD.Exif] = {36867: "2020:01:02 03:04:05"}
    whole = exif.tobytes()
    rng = np.random.default_rng(0)
    damaged = [b"Exif\0\0nothing", whole[:20], whole[:-30]]
    for _ in range(40):
        content = np.frombuffer(whole, np.uint8).copy()
        content[rng.integers(6, len(whole), 4)] = rng.integers(0, 256, 4)
        damaged.append(content.tobytes())
    for content in damaged:
        Image.fromarray(BIG).save(tmp_path / f"in{suffix}", exif=content)
        picture = read_picture(tmp_path / f"in{suffix}")
        assert sorted(picture.pixels.shape) == sorted(BIG.shape)
        write_image(tmp_path / "out.jpg", BIG, picture.metadata)
        read_picture(tmp_path / "out.jpg")


def test_programs_agree_on_what_was_written(photo, tmp_path):
    """XMP is text in PNG, and no program turns the picture a second time."""
    for suffix in (".png", ".jpg", ".tif", ".webp", ".avif"):
        path = tmp_path / f"out{suffix}"
        write_image(path, BIG, read_picture(photo).metadata)
        assert not re.search(rb'tiff:Orientation="[2-8]"', path.read_bytes())
        assert read_picture(path).pixels.shape == BIG.shape


def test_a_tiff_file_of_more_than_4_gb_is_a_big_one():
    sizes = {2**30: False, 2**32 - 1: True, 5 * 2**30: True}
    for size, big in sizes.items():
        assert save_options(Metadata(), "TIFF", size).get("big_tiff", False) == big
    assert "big_tiff" not in save_options(Metadata(), "PNG", 5 * 2**30)


def test_a_tiff_without_a_resolution_has_none(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", BIG, photometric="rgb", resolutionunit="none")
    Image.fromarray(BIG).save(tmp_path / "b.tif")
    for name in ("a.tif", "b.tif"):
        assert read_picture(tmp_path / name).metadata.dpi is None
