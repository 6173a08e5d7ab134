"""What is in a video beside its frames: kept if the output can hold it, else noted."""

import io
from fractions import Fraction

import av
import pytest
from av.stream import Disposition
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from dysr_jax.video.headers import display_size
from dysr_jax.video.reader import open_video
from dysr_jax.video.tags import film_tags

CHAPTERS = [
    {
        "id": number,
        "start": number * 500,
        "end": number * 500 + 500,
        "time_base": Fraction(1, 1000),
        "metadata": {"title": title},
    }
    for number, title in enumerate(("One", "Two"))
]
PHONE = {
    "com.apple.quicktime.make": "Apple",
    "com.apple.quicktime.location.ISO6709": "+52.5+013.4/",
    "creation_time": "2021-05-06T07:08:09.000000Z",
}


def with_head(films, source, target, tags=None, chapters=(), cover=None, font=None, options=None):
    """A copy of a film with more in its head."""
    with av.open(str(source)) as given, av.open(str(target), "w", options=options or {}) as output:
        into = {s.index: output.add_stream_from_template(s, opaque=True) for s in given.streams}
        output.metadata.update(tags or {})
        output.set_chapters(list(chapters))
        for stream in given.streams:
            if stream.type == "audio":
                into[stream.index].metadata.update({"title": "Commentary", "language": "deu"})
        if font:
            output.add_attachment("a.ttf", "application/x-truetype-font", font)
        pictures = av.open(io.BytesIO(cover), format="jpeg_pipe") if cover else None
        if pictures:
            added = output.add_stream_from_template(pictures.streams.video[0], opaque=True)
            added.disposition = Disposition.attached_pic
            packet = next(p for p in pictures.demux() if p.size)
            packet.stream, packet.dts, packet.pts = added, 0, 0
            output.mux(packet)
        for packet in given.demux():
            if packet.size:
                packet.stream = into[packet.stream.index]
                output.mux(packet)
    return target


@pytest.fixture
def jpeg():
    content = io.BytesIO()
    Image.new("RGB", (32, 32), (200, 10, 10)).save(content, "JPEG")
    return content.getvalue()


def shown(path):
    """Titles of chapters, tags in lower case, covers and attachments."""
    with av.open(str(path)) as container:
        tags = {key.lower(): value for key, value in container.metadata.items()}
        codes = [s.metadata["timecode"] for s in container.streams if "timecode" in s.metadata]
        return {
            "chapters": [(c["metadata"]["title"], c["start"] * c["time_base"]) for c in container.chapters()],
            "tags": tags,
            "timecode": tags.get("timecode", *codes[:1]),
            "covers": sum(bool(s.disposition & Disposition.attached_pic) for s in container.streams),
            "fonts": [s.data for s in container.streams if s.type == "attachment"],
            "videos": len(container.streams.video),
            "audio": [dict(s.metadata) for s in container.streams.audio],
        }


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm"])
def test_chapters_tags_and_time_codes(films, tmp_path, suffix):
    tags = {"title": "My Film", "artist": "Me", "timecode": "01:00:00:00"}
    source = with_head(films, films.make("a.mp4", frames=25), tmp_path / "in.mp4", tags, chapters=CHAPTERS)
    writer = films.upscaled(source, tmp_path / f"out{suffix}")
    found = shown(tmp_path / f"out{suffix}")
    assert found["chapters"] == [("One", 0), ("Two", Fraction(1, 2))]
    assert (found["tags"]["title"], found["tags"]["artist"]) == ("My Film", "Me")
    assert found["timecode"] == "01:00:00:00"
    assert writer.notes == () and found["videos"] == 1


def test_what_the_head_cannot_hold_is_said_in_one_note(films, tmp_path, jpeg):
    source = films.make("a.mkv", audio="aac", frames=10)
    source = with_head(
        films, source, tmp_path / "in.mkv", {"title": "My Film", "mood": "sad"}, font=b"font" * 9
    )
    (note,) = films.upscaled(source, tmp_path / "out.mp4").notes
    assert note == "attachment stream 2, tag 'MOOD' are left out: mp4 does not take them"
    assert shown(tmp_path / "out.mp4")["tags"]["title"] == "My Film"
    (note,) = films.upscaled(source, tmp_path / "out.webm").notes
    assert "attachment stream 2" in note and note.endswith("webm does not take them")
    assert films.upscaled(source, tmp_path / "out.mkv").notes == ()
    found = shown(tmp_path / "out.mkv")
    assert found["fonts"] == [b"font" * 9] and found["tags"]["mood"] == "sad"
    assert found["audio"][0]["title"] == "Commentary" and found["audio"][0]["language"] == "deu"


@pytest.mark.parametrize(("suffix", "kept"), [(".mp4", 1), (".mkv", 1), (".mov", 0), (".webm", 0)])
def test_covers(films, tmp_path, jpeg, suffix, kept):
    source = with_head(films, films.make("a.mp4"), tmp_path / "in.mp4", cover=jpeg)
    writer = films.upscaled(source, tmp_path / f"out{suffix}")
    found = shown(tmp_path / f"out{suffix}")
    assert (found["covers"], found["videos"]) == (kept, 1 + kept)
    assert [("cover" in note) for note in writer.notes] == [True] * (1 - kept)
    with av.open(str(tmp_path / f"out{suffix}")) as container:
        covers = [s for s in container.streams.video if s.disposition & Disposition.attached_pic]
        assert all(bytes(next(container.demux(cover))) == jpeg for cover in covers)
    assert len(films.decoded(tmp_path / f"out{suffix}")) == 10


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_tags_that_phones_write(films, tmp_path, suffix):
    keys = {"movflags": "use_metadata_tags"}
    source = with_head(films, films.make("a.mov"), tmp_path / "in.mov", PHONE, options=keys)
    assert films.upscaled(source, tmp_path / f"out{suffix}").notes == ()
    found = shown(tmp_path / f"out{suffix}")["tags"]
    assert {key.lower(): value for key, value in PHONE.items()}.items() <= found.items()


def test_a_time_code_that_a_container_refuses_is_left_out(films, tmp_path):
    source = with_head(
        films, films.make("a.mkv"), tmp_path / "in.mkv", {"timecode": "01:00:00;00"}
    )  # frames are dropped from a count at 30000/1001 a second alone
    (note,) = films.upscaled(source, tmp_path / "out.mov").notes
    assert note == "tag 'TIMECODE' is left out: mov does not take it"
    assert len(films.decoded(tmp_path / "out.mov")) == 10


def test_chapters_begin_with_the_film(films, tmp_path):
    """The file starts at 10 s; a chapter that ends before is none."""
    late = films.make("a.mkv", muxer=(("output_ts_offset", "10"),), frames=25)
    before = {**CHAPTERS[0], "id": 9}
    moved = [{**c, "start": c["start"] + 10_000, "end": c["end"] + 10_000} for c in CHAPTERS]
    source = with_head(films, late, tmp_path / "in.mkv", chapters=[before, *moved])
    films.upscaled(source, tmp_path / "out.mkv")
    assert shown(tmp_path / "out.mkv")["chapters"] == [("One", 0), ("Two", Fraction(1, 2))]


def test_y4m_says_what_it_leaves_out_and_no_more(films, tmp_path):
    for number, (film, count) in enumerate(
        (({}, 0), ({"audio": "aac"}, 1), ({"metadata": (("title", "A"),)}, 1))
    ):
        notes = films.upscaled(films.make(f"{number}.mkv", **film), tmp_path / f"{number}.y4m").notes
        assert notes == ("audio, subtitles and metadata are left out: Y4M has none",) * count


def test_a_second_video_stream_is_said(films, tmp_path):
    first, second = films.make("a.mkv"), films.make("b.mkv")
    with av.open(str(tmp_path / "two.mkv"), "w") as output:
        sources = [av.open(str(path)) for path in (first, second)]
        into = [output.add_stream_from_template(s.streams.video[0], opaque=True) for s in sources]
        for source, stream in zip(sources, into, strict=True):
            for packet in source.demux(video=0):
                if packet.size:
                    packet.stream = stream
                    output.mux(packet)
            source.close()
    (note,) = films.upscaled(tmp_path / "two.mkv", tmp_path / "out.mkv").notes
    assert note == "video stream 1 (h264) is left out: one video stream is upscaled"


def test_tags_that_are_not_utf8_are_those_of_old_programs(films, tmp_path):
    path = films.make("a.avi", codec="mpeg4", metadata=(("title", "Cafe au lait"),))
    path.write_bytes(path.read_bytes().replace(b"Cafe", b"Caf\xe9"))
    films.upscaled(path, tmp_path / "out.mkv")
    assert shown(tmp_path / "out.mkv")["tags"]["title"] == "Café au lait"


def test_tags_of_the_file_are_not_those_of_the_film():
    tags = {"MAJOR_BRAND": "isom", "BPS-eng": "1", "title": "A", "_STATISTICS_TAGS": "x"}
    assert film_tags(tags) == {"title": "A"}
    twice = "2021-05-06T07:08:09Z;2021-05-06T07:08:09.000000Z"
    assert film_tags({"creation_time": twice}) == {"creation_time": "2021-05-06T07:08:09Z"}


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm", ".y4m"])
@pytest.mark.parametrize("source", ["a.mp4", "a.mkv", "a.y4m"])
def test_the_shape_of_pixels_is_kept(films, tmp_path, source, suffix):
    aspect = Fraction(16, 15)
    path = films.make("b.mp4" if source == "a.y4m" else source, aspect=aspect, size=(64, 48))
    if source == "a.y4m":
        films.upscaled(path, tmp_path / source)
        path = tmp_path / source
    out = tmp_path / f"out{suffix}"
    films.upscaled(path, out)
    with av.open(str(out)) as container:
        found = container.streams.video[0].sample_aspect_ratio
        assert (found.numerator, found.denominator) == (16, 15)
        assert container.streams.video[0].metadata.get("title") is None
    with open_video(out) as reader:
        assert reader.pixel_aspect == aspect
    assert len(films.decoded(out)) == 10


def test_the_shape_of_pixels_on_standard_output(films, capfdbinary):
    films.upscaled(films.make("a.mp4", aspect=Fraction(16, 15)), "-")
    assert b" A16:15 " in capfdbinary.readouterr().out.split(b"\n", 1)[0]


def test_a_title_beside_the_shape_of_pixels(films, tmp_path):
    path = films.make("a.mkv", codec="ffv1", form="bgr0", aspect=Fraction(3, 2), audio="aac")
    with av.open(str(path)) as given, av.open(str(tmp_path / "in.mkv"), "w") as output:
        into = {s.index: output.add_stream_from_template(s, opaque=True) for s in given.streams}
        into[0].metadata["title"] = "Länge" * 20
        for packet in given.demux():
            if packet.size:
                packet.stream = into[packet.stream.index]
                output.mux(packet)
    with open_video(tmp_path / "in.mkv") as reader:
        assert reader.tags["title"] == "Länge" * 20
    films.upscaled(films.make("b.mp4", aspect=Fraction(3, 2), audio="aac"), tmp_path / "out.mkv")
    with av.open(str(tmp_path / "out.mkv")) as container:
        assert container.streams.video[0].sample_aspect_ratio == Fraction(3, 2)
        assert len(container.streams) == 2


@given(
    st.integers(1, 16_000),
    st.integers(1, 16_000),
    st.fractions(Fraction(1, 8), Fraction(8), max_denominator=120),
)
def test_a_size_for_display_has_the_ratio(columns, rows, aspect):
    wide, high = display_size((columns, rows), aspect)
    ratio = Fraction(columns) * aspect / rows
    assert wide >= 1 and high >= 1
    exact = Fraction(wide, high) == ratio
    assert exact or abs(wide - columns * aspect) <= max(1, columns * aspect / 2)
    assert Fraction(4, 5) * rows <= high <= Fraction(6, 5) * rows
