"""A film of two seconds in place of an hour: what is counted is what is there."""

import json

import long_stream
import pytest
from long_stream import Memory, Options, audio_times, main, write_film

from dysr_jax.video import open_video


def test_every_frame_and_all_audio_come_out(tiny_run, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(long_stream, "SETTLED_S", 0.0)
    monkeypatch.setattr(long_stream, "READ_EVERY_S", 0.01)
    options = Options(
        str(tiny_run.path / "bundle"), frame=(16, 24), fps=10, seconds=2, json=tmp_path / "a.json"
    )
    main(options)
    found = json.loads((tmp_path / "a.json").read_text())
    assert found["frames"] == found["frames_written"] == 20
    assert found["audio_packets"] == found["audio_packets_kept"] > 80
    assert found["audio_apart_ms"] <= 10
    assert isinstance(found["resident_growth_mb"], float)
    assert f"frames_written: {found['frames_written']}" in capsys.readouterr().out


def test_the_film_is_as_long_as_it_says(tmp_path):
    write_film(tmp_path / "film.mp4", Options(frame=(16, 24), fps=10, seconds=3))
    with open_video(tmp_path / "film.mp4") as reader:
        images = [frame.image.tobytes() for frame in reader.frames()]
    assert len(images) == 30 and len(set(images)) > 20
    assert float(audio_times(tmp_path / "film.mp4")[-1]) == pytest.approx(3.0, abs=0.15)


def test_growth_is_that_of_what_came_after(monkeypatch):
    memory = Memory()
    memory.rows = [(0, 900_000_000, 0), *((100 + n, 1_000_000 * n, 0) for n in range(100))]
    assert memory.growth(50, 1) == pytest.approx(90.0)
    assert memory.growth(50, 2) == 0.0
    assert memory.growth(1000, 1) is None
