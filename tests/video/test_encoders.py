"""Encoders by name: what each writes is read back by PyAV alone, and what cannot be is refused at once."""

import contextlib
import dataclasses
import itertools
import os
import pathlib
import types
from fractions import Fraction

import av
import numpy as np
import pytest

from dysr_jax.errors import InputError
from dysr_jax.report import encoders_table
from dysr_jax.video import encoders, list_encoders
from dysr_jax.video.encoders import ENCODERS, takes
from dysr_jax.video.sink import FORMATS
from dysr_jax.video.writer import open_writer

RATE = Fraction(25)
SIZE = {"width": 80, "height": 64, "rate": RATE}
DECODERS = {"av1": "libdav1d"}
INFOS = {info.name: info for info in list_encoders()}
WORKING = [name for name, info in INFOS.items() if info.works]
LOSSY = [name for name in WORKING if INFOS[name].crf]
MADE = [(name, suffix) for name in WORKING for suffix in INFOS[name].suffixes]


def picture(number: int) -> np.ndarray:
    colours = np.random.default_rng(number).integers(0, 256, (8, 10, 3), np.uint8)
    return colours.repeat(8, 0).repeat(8, 1)


def write(path, frames: int = 12, **options):
    with open_writer(path, **SIZE | options) as writer:
        for number in range(frames):
            writer.write(picture(number // 3), number / RATE)
    return writer


def refused(folder, suffix: str, reason: str, **options) -> None:
    """An InputError of one line, before a frame is written; nothing is left behind."""
    with pytest.raises(InputError, match=reason) as caught:
        open_writer(folder / f"a{suffix}", **SIZE | options)
    assert "\n" not in str(caught.value)
    assert list(folder.iterdir()) == []


def size_of(films, path) -> int:
    return sum(len(content) for _, content in films.packets(path, "video"))


def luma_error(frame: av.VideoFrame, image: np.ndarray) -> float:
    """Mean error of luma inside the blocks, in levels of 8 bits."""
    bits = frame.format.components[0].bits
    lines = np.frombuffer(frame.planes[0], np.uint8 if bits == 8 else "<u2").reshape(frame.height, -1)
    luma = lines[:, : frame.width] / 2 ** (bits - 8)
    weights = (0.2126, 0.7152, 0.0722) if frame.colorspace == 1 else (0.299, 0.587, 0.114)
    return float(np.abs(luma - (16 + 219 / 255 * image @ weights))[3::8, 3::8].mean())


def test_those_that_every_build_has_work():
    assert {"libx264", "libx265", "libsvtav1", "libvpx-vp9", "ffv1", "mpeg4", "rawvideo"} <= set(WORKING)


@pytest.mark.parametrize(("name", "suffix"), MADE)
def test_each_encoder_in_each_file(films, tmp_path, name, suffix):
    """Codec, pixel format, size, colours and times are those asked for."""
    info, path = INFOS[name], tmp_path / f"a{suffix}"
    for form in (info.pixel_formats[0], info.pixel_formats[-1]):
        writer = write(path, encoder=name, pixel_format=form, overwrite=True)
        assert writer.encoder == name and writer.notes == ()
        with av.open(str(path)) as container:
            codec = container.streams.video[0].codec_context.name
        frames = films.decoded(path)
        assert codec == DECODERS.get(info.codec, info.codec)
        assert len(frames) == 12
        assert [frame.time for frame in frames] == pytest.approx([n / 25 for n in range(12)], abs=6e-4)
        for number, frame in enumerate(frames):
            assert (frame.width, frame.height, frame.format.name) == (80, 64, form)
            # Y4M holds no matrix, and MPEG-4 in QuickTime no range.
            matrix, limited = 1 + (suffix == ".y4m"), int((name, suffix) != ("mpeg4", ".mov"))
            assert (frame.colorspace, frame.color_range) == (matrix, limited)
            assert luma_error(frame, picture(number // 3)) < 4


@pytest.mark.parametrize("name", WORKING)
def test_an_encoder_prints_nothing_and_tags_are_kept(films, tmp_path, capfd, name):
    source = films.make("in.mkv", size=(32, 32), metadata=(("title", "A film"),))
    capfd.readouterr()
    path = tmp_path / f"a{INFOS[name].suffixes[-1]}"
    notes = films.upscaled(source, path, encoder=name).notes
    assert capfd.readouterr() == ("", "")
    with av.open(str(path)) as container:
        assert container.metadata.get("title") == (None if notes else "A film")
    assert bool(notes) == (name == "rawvideo")


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_apples_players_know_the_tag_of_hevc(tmp_path, suffix):
    write(tmp_path / f"a{suffix}", encoder="libx265")
    content = (tmp_path / f"a{suffix}").read_bytes()
    assert b"hvc1" in content and b"hev1" not in content


@pytest.mark.parametrize("name", LOSSY)
def test_crf_is_quality(films, tmp_path, name):
    low, high = INFOS[name].crf
    best, worst = (tmp_path / f"{n}.mkv" for n in "ab")
    write(best, encoder=name, crf=low)
    write(worst, encoder=name, crf=high)
    assert size_of(films, best) > size_of(films, worst)
    for crf in (low - 1, high + 1, 18.5, True):
        reason = rf"crf must be in \[{low}, {high}\] for {name}, got {crf}"
        with pytest.raises(InputError, match=reason):
            write(tmp_path / "c.mkv", encoder=name, crf=crf)
    assert not (tmp_path / "c.mkv").exists()


@pytest.mark.parametrize("name", WORKING)
def test_presets(films, tmp_path, name):
    presets = INFOS[name].presets
    for number, preset in enumerate({presets[0], presets[-1]} if presets else ()):
        write(tmp_path / f"{number}.mkv", encoder=name, preset=preset)
        assert len(films.decoded(tmp_path / f"{number}.mkv")) == 12
    suffix = INFOS[name].suffixes[0]
    must = f"must be one of .*for {name}" if presets else f"must be left out: {name} has none"
    with pytest.raises(InputError, match=f"preset 'quick': {must}"):
        write(tmp_path / f"a{suffix}", encoder=name, preset="quick")


@pytest.mark.parametrize("name", ["ffv1", "rawvideo"])
def test_what_loses_nothing_takes_no_crf(tmp_path, name):
    refused(tmp_path, INFOS[name].suffixes[0], f"crf 18: must be left out: {name}", encoder=name, crf=18)


@pytest.mark.parametrize(("form", "name"), [*itertools.product(FORMATS.items(), ENCODERS)])
def test_what_a_file_does_not_take_is_refused(tmp_path, form, name):
    suffix, container = form
    if takes(container, ENCODERS[name]):
        assert suffix in INFOS[name].suffixes
    else:
        refused(
            tmp_path, suffix, rf"encoder '{name}': must be one of .*, for {container.muxer}", encoder=name
        )


@pytest.mark.parametrize("name", [name for name in INFOS if name not in WORKING])
def test_what_does_not_work_here_is_refused_with_its_reason(tmp_path, name):
    assert INFOS[name].reason
    refused(tmp_path, ".mkv", f"encoder '{name}': must be one .*{INFOS[name].reason}", encoder=name)


@pytest.mark.parametrize(
    ("suffix", "options", "reason"),
    [
        (".mp4", {"encoder": "x264"}, "encoder 'x264': must be one of auto, libx264, "),
        (".mp4", {"pixel_format": "rgb24"}, "pixel_format 'rgb24': must be one of yuv420p, "),
        (
            ".webm",
            {"encoder": "libvpx-vp9", "pixel_format": "yuv420p14le"},
            "pixel_format 'yuv420p14le': must be one of yuv420p, .* for libvpx-vp9 here",
        ),
        (
            ".mp4",
            {"pixel_format": "yuv420p16le"},
            "pixel_format 'yuv420p16le': must be one of .*, in mp4 here",
        ),
        (
            ".mp4",
            {"encoder": "libx264", "width": 70_000},
            "70000x64 at 25 frames .* cannot be encoded with libx264",
        ),
        (".mkv", {"encoder": "libsvtav1", "rate": Fraction(1000)}, "at 1000 frames .* with libsvtav1"),
    ],
)
def test_bad_input(tmp_path, suffix, options, reason):
    refused(tmp_path, suffix, reason, **options)


def test_what_was_rescued_is_kept_by_bad_input(tmp_path):
    """An encoder is refused before the partial file is opened anew."""
    partial = tmp_path / "a.partial.mp4"
    partial.write_bytes(b"rescued")
    with pytest.raises(InputError, match="preset"):
        open_writer(tmp_path / "a.mp4", **SIZE, preset="quick", overwrite=True)
    assert partial.read_bytes() == b"rescued"


def test_auto_takes_the_first_that_takes_the_pixel_format(films, tmp_path):
    writer = write(tmp_path / "a.mp4", pixel_format="yuv420p12le")
    assert (writer.encoder, writer.notes) == ("libx265", ("encoded with libx265: it takes yuv420p12le",))
    assert films.decoded(tmp_path / "a.mp4")[0].format.name == "yuv420p12le"
    assert write(tmp_path / "b.mp4").encoder == "libx264"


@pytest.mark.parametrize(
    ("name", "form", "size"),
    [
        ("libx264", "yuv420p", (68, 66)),
        ("libx265", "yuv422p", (68, 66)),
        ("libx264", "yuv444p", (67, 65)),
        ("libx265", "yuv444p10le", (67, 65)),
        ("libsvtav1", "yuv420p", (67, 65)),
        ("libvpx-vp9", "yuv420p", (67, 65)),
        ("mpeg4", "yuv420p", (67, 65)),
    ],
)
def test_odd_sizes(films, tmp_path, name, form, size):
    odd = {"width": 67, "height": 65, "rate": RATE}
    with open_writer(tmp_path / "a.mkv", **odd, encoder=name, pixel_format=form) as writer:
        writer.write(np.zeros((65, 67, 3), np.uint8), Fraction(0))
    assert writer.multiple == (2 if size == (68, 66) else 1)
    assert [("even sizes" in note) for note in writer.notes] == [True] * (writer.multiple - 1)
    frame = films.decoded(tmp_path / "a.mkv")[0]
    assert (frame.width, frame.height) == size


def test_an_encoder_that_gives_the_packed_form_gets_it(films, tmp_path, monkeypatch):
    """Devices often take blue and red side by side alone; libx264 takes both."""
    packed = types.SimpleNamespace(video_formats=[av.VideoFormat("nv12", 16, 16)])
    monkeypatch.setattr(av, "Codec", lambda name, mode: packed)
    assert ENCODERS["libx264"].pixel_formats == {"yuv420p": "nv12"}
    write(tmp_path / "packed.mp4", encoder="libx264", crf=0)
    monkeypatch.undo()
    write(tmp_path / "planar.mp4", encoder="libx264", crf=0)
    frames = zip(*(films.decoded(tmp_path / f"{name}.mp4") for name in ("packed", "planar")), strict=True)
    for one, other in frames:
        np.testing.assert_array_equal(one.to_ndarray(), other.to_ndarray())


def test_an_encoder_of_a_device_is_tried_before_writing(tmp_path, monkeypatch):
    monkeypatch.setitem(ENCODERS, "libx264", ENCODERS["libx264"]._replace(hardware=True))
    write(tmp_path / "a.mp4", encoder="auto")
    (tmp_path / "a.mp4").unlink()
    refused(tmp_path, ".mp4", "encoder 'libx264': must be one that works here for 70000x64", width=70_000)


def test_the_table_names_each_encoder_with_what_it_takes():
    lost = dataclasses.replace(INFOS["libx264"], works=False, reason="it is gone")
    table = encoders_table((lost, INFOS["libsvtav1"], INFOS["rawvideo"]))
    header, _, first, second, last = table.splitlines()
    assert header.split() == ["encoder", "files", "crf", "presets", "pixel", "formats"]
    cells = [cell.strip() for cell in first.split("  ") if cell.strip()]
    assert cells == ["libsvtav1", ".mp4 .m4v .mkv .webm", "1-63", "0 ... 13", "yuv420p{,10le}"]
    assert second.split()[:2] == ["rawvideo", ".y4m"]
    assert last == "libx264: does not work here, it is gone"


@pytest.mark.skipif(not hasattr(os, "sched_getscheduler"), reason="scheduling policies are Linux's")
def test_no_encoder_makes_the_process_real_time(tmp_path):
    """SVT-AV1 does, for the superuser; threads that it starts later inherit the policy of the others."""
    tasks = pathlib.Path("/proc/self/task")
    list_encoders()
    with open_writer(
        tmp_path / "a.mkv", width=64, height=64, rate=Fraction(25), encoder="libsvtav1"
    ) as writer:
        for number in range(12):
            writer.write(np.full((64, 64, 3), 9 * number, np.uint8), Fraction(number, 25))
            for thread in tasks.iterdir():
                with contextlib.suppress(ProcessLookupError):  # it has ended
                    assert os.sched_getscheduler(int(thread.name)) == os.SCHED_OTHER
    assert os.sched_getscheduler(0) == os.SCHED_OTHER


def test_an_encoder_that_ends_its_process_or_hangs_is_told_and_the_others_are_tried(tmp_path, monkeypatch):
    program = tmp_path / "encoder_trial.py"
    program.write_text(
        "import json, os, sys, time\n"
        "for trial in json.load(sys.stdin):\n"
        "    if trial['name'] == 'abort':\n        os.abort()\n"
        "    if trial['name'] == 'hang':\n        time.sleep(60)\n"
        "    print(json.dumps('refused' if trial['name'] == 'no' else None), flush=True)\n"
    )
    monkeypatch.setattr(encoders, "__file__", str(tmp_path / "encoders.py"))
    monkeypatch.setattr(encoders, "TRIAL_S", 3.0)
    names = ["yes", "abort", "no", "hang", "yes", "abort"]
    found = encoders.try_encoders([encoders.Trial(name, None, "yuv420p", {}) for name in names])
    ends, hangs = "it ends the process that opens it", "nothing comes for 3 s"
    assert found == [None, ends, "refused", hangs, None, ends]


@pytest.mark.parametrize("size", [(62, 64), (64, 62), (48, 32)])
def test_a_size_at_which_an_encoder_corrupts_memory_is_refused(tmp_path, size):
    how = {"width": size[0], "height": size[1], "rate": Fraction(25), "encoder": "libx265"}
    with pytest.raises(InputError, match=rf"size '{size[0]}x{size[1]}': must be at least 64x64 for libx265"):
        open_writer(tmp_path / "a.mkv", **how)
    assert not list(tmp_path.iterdir())
