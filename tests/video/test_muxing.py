"""Encoding and writing beside each other: the order of packets, errors of either, and what is counted."""

import threading
from fractions import Fraction

import av
import numpy as np
import pytest

from dysr_jax.errors import InputError
from dysr_jax.video.copied import Copied
from dysr_jax.video.encoding import Encoding
from dysr_jax.video.muxing import MAX_PACKETS, Muxing
from dysr_jax.video.raw import RawVideo
from dysr_jax.video.writer import MAX_WAITING, open_writer

SIZE = {"width": 32, "height": 24, "rate": Fraction(25)}


def image(number: int) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 256, (24, 32, 3), np.uint8)


def write(path, numbers, **options):
    with open_writer(path, **SIZE, **options) as writer:
        for number in numbers:
            writer.write(image(number), Fraction(number, 25))
    return writer


def called_in(monkeypatch, owner: type, name: str) -> set[str]:
    """The names of the threads in which a method is called."""
    method, threads = getattr(owner, name), set()

    def call(self, *args):
        threads.add(threading.current_thread().name)
        return method(self, *args)

    monkeypatch.setattr(owner, name, call)
    return threads


def test_one_thread_encodes_and_one_writes(films, tmp_path, monkeypatch):
    encoding = called_in(monkeypatch, Encoding, "_mux")
    writing = [called_in(monkeypatch, *where) for where in ((Muxing, "_write"), (Copied, "until"))]
    films.upscaled(films.make("a.mkv", audio="aac"), tmp_path / "b.mkv")
    assert encoding == {"encode"} and writing == [{"mux"}, {"mux"}]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
@pytest.mark.parametrize("source", [".mkv", ".mp4"])
def test_sound_lies_beside_its_pictures(films, tmp_path, source, suffix):
    """Packets lie in the order of their times of decoding, as players need it that read a file once."""
    films.upscaled(films.make(f"a{source}", audio="aac", frames=60), tmp_path / f"b{suffix}")
    with av.open(str(tmp_path / f"b{suffix}")) as container:
        packets = [p for p in container.demux() if p.dts is not None and p.size]  # Matroska has few dts
        placed = [(p.pos, p.dts * p.time_base, p.stream.type) for p in packets]
    placed.sort()
    assert {kind for _, _, kind in placed} == {"audio", "video"}
    first_sound = min(time for _, time, kind in placed if kind == "audio")
    # MP4 collects fragments of a second, with its streams one behind the other.
    most = Fraction(1, 10) if suffix == ".mkv" else Fraction(6, 5)
    latest = first_sound
    for _, time, _ in placed:
        assert time > latest - most
        latest = max(latest, time)


@pytest.mark.parametrize(("owner", "name"), [(Muxing, "_write"), (Encoding, "_mux")])
def test_errors_of_both_threads_reach_the_caller(films, tmp_path, monkeypatch, owner, name):
    method, calls = getattr(owner, name), []

    def fail(self, *args):
        calls.append(args)
        if len(calls) == 70:
            raise MemoryError("none left")
        return method(self, *args)

    monkeypatch.setattr(owner, name, fail)
    path = tmp_path / "a.mkv"
    with pytest.raises(MemoryError, match="none left"):
        write(path, range(1000), preset="ultrafast")
    assert len(calls) < 500  # soon, not at the end
    assert [p.name for p in tmp_path.iterdir()] == ["a.partial.mkv"]
    assert 0 < len(films.decoded(tmp_path / "a.partial.mkv")) < 80


def test_an_error_of_ffmpeg_in_writing_is_said_in_one_line(films, tmp_path, monkeypatch):
    def fail(self, packet):
        raise av.error.InvalidDataError(1, "it is no data")

    monkeypatch.setattr(Muxing, "_write", fail)
    with pytest.raises(InputError, match=r"a\.mkv' cannot be written: it is no data; .*partial") as caught:
        write(tmp_path / "a.mkv", range(200))
    assert "\n" not in str(caught.value)


def test_an_error_at_the_end_is_raised_by_closing(tmp_path, monkeypatch):
    def fail(self):
        raise MemoryError("none left")

    monkeypatch.setattr(Muxing, "_end", fail)
    with pytest.raises(MemoryError, match="none left"):
        write(tmp_path / "a.mkv", range(3))
    assert [p.name for p in tmp_path.iterdir()] == ["a.partial.mkv"]


@pytest.mark.parametrize(("name", "of"), [("a.mkv", Muxing), ("a.y4m", RawVideo)])
def test_a_slow_disk_holds_frames_back(tmp_path, monkeypatch, name, of):
    """What waits for it is bounded: the queue of packets, that of frames, and one in each thread."""
    go_on, started, written = threading.Event(), threading.Event(), of._write

    def wait(self, entry):
        started.set()
        assert go_on.wait(30)
        written(self, entry)

    monkeypatch.setattr(of, "_write", wait)
    writer = open_writer(tmp_path / name, **SIZE, encoder="auto" if name.endswith("y4m") else "ffv1")
    handed = threading.Thread(
        target=lambda: [writer.write(image(n), Fraction(n, 25)) for n in range(50)], daemon=True
    )
    handed.start()
    assert started.wait(30)
    handed.join(1)  # far longer than 50 frames of this size take
    room = MAX_PACKETS + MAX_WAITING + 3
    assert handed.is_alive() and writer.frames <= room
    go_on.set()
    handed.join(30)
    writer.close()
    assert writer.frames == 50


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm", ".y4m"])
def test_milliseconds_are_counted_for_each_frame(tmp_path, suffix):
    writer = write(tmp_path / f"a{suffix}", range(40))
    for counted in (writer.encode_ms, writer.mux_ms):
        assert len(counted) == 40
        assert all(ms > 0 for ms in counted)


def test_milliseconds_belong_to_the_frame_that_is_written(tmp_path, monkeypatch):
    """Encoders hold frames back: what comes out late counts for its own frame."""
    put, numbers = Muxing.put, []

    def count(self, item, number):
        if isinstance(item, av.Packet):
            numbers.append((round(item.pts * item.time_base * 25), number))
        put(self, item, number)

    monkeypatch.setattr(Muxing, "put", count)
    write(tmp_path / "a.mkv", range(30), preset="medium")
    assert sorted(numbers) == [(n, n) for n in range(30)]
    assert numbers != sorted(numbers)  # it reorders


def test_frames_that_are_left_out_take_no_time(tmp_path):
    times = [Fraction(ms, 1000) for ms in (0, 40, 50, 160)]
    with open_writer(tmp_path / "a.y4m", **SIZE) as writer:
        for number, time in enumerate(times):
            writer.write(image(number), time)
    assert [ms > 0 for ms in writer.mux_ms] == [True, True, False, True]
    assert [ms > 0 for ms in writer.encode_ms] == [True, True, False, True]
