"""Small videos for the tests, written with PyAV alone."""

import dataclasses
import os
import pathlib
from fractions import Fraction

import av
import numpy as np
import pytest

from dysr_jax.video.reader import open_video
from dysr_jax.video.writer import open_writer


@dataclasses.dataclass(frozen=True)
class Film:
    """What a test's video is made of."""

    codec: str = "libx264"
    form: str = "yuv420p"
    size: tuple[int, int] = (32, 24)
    frames: int = 10
    rate: Fraction = Fraction(25)
    times: tuple[Fraction, ...] = ()
    audio: str | None = None
    rotation: int | None = None
    metadata: tuple[tuple[str, str], ...] = ()
    tags: tuple[tuple[str, int], ...] = ()
    aspect: Fraction | None = None
    options: tuple[tuple[str, str], ...] = ()
    muxer: tuple[tuple[str, str], ...] = ()


def noise(film: Film, seed: int = 0) -> np.ndarray:
    """`[T, H, W, 3]` uint8 in which no two frames are alike."""
    width, height = film.size
    return np.random.default_rng(seed).integers(0, 256, (film.frames, height, width, 3), np.uint8)


def raw_frames(film: Film) -> list[av.VideoFrame]:
    frames = [av.VideoFrame.from_ndarray(image).reformat(format=film.form) for image in noise(film)]
    for frame in frames:
        for name, value in film.tags:
            setattr(frame, name, value)
    return frames


def write(path, film: Film, given: list[av.VideoFrame] | None = None):
    """Encode a film; what is given in place of noise."""
    with av.open(str(path), "w", options=dict(film.muxer)) as output:
        output.metadata.update(dict(film.metadata))
        stream = output.add_stream(film.codec, rate=film.rate, options=dict(film.options))
        stream.width, stream.height = film.size
        stream.pix_fmt = film.form
        tick = Fraction(1, 1000) if film.times else 1 / film.rate
        stream.codec_context.time_base = tick
        for name, value in film.tags:
            setattr(stream.codec_context, name, value)
        if film.aspect:
            stream.codec_context.sample_aspect_ratio = film.aspect
        if film.rotation is not None:
            stream.set_display_rotation(film.rotation)
        sound = output.add_stream(film.audio, rate=48000) if film.audio else None
        for number, frame in enumerate(given or raw_frames(film)):
            time = film.times[number] if film.times else number * tick
            frame.pts, frame.time_base = round(time / tick), tick
            output.mux(stream.encode(frame))
            if sound:
                output.mux(sound.encode(tone(number, film.rate)))
        output.mux(stream.encode(None))
        if sound:
            output.mux(sound.encode(None))
    return path


def tone(number: int, rate: Fraction) -> av.AudioFrame:
    """What is heard during a frame; each has a pitch of its own."""
    samples = int(48000 / rate)
    at = np.arange(samples) + number * samples
    wave = np.float32(0.3 * np.sin(at * (440 + 10 * number) * 2 * np.pi / 48000))
    frame = av.AudioFrame.from_ndarray(np.stack([wave, wave]), format="fltp", layout="stereo")
    frame.sample_rate, frame.pts = 48000, number * samples
    return frame


class Films:
    """Writes films into a folder, and reads what others wrote."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder

    def make(self, name: str, given: list[av.VideoFrame] | None = None, **film) -> pathlib.Path:
        """Write `Film(**film)`; what is given in place of noise."""
        return write(self.folder / name, Film(**film), given)

    decoded = staticmethod(lambda path: decoded(path))
    packets = staticmethod(lambda path, kind: packets(path, kind))
    upscaled = staticmethod(lambda source, target, **options: upscaled(source, target, **options))
    raw = staticmethod(lambda **film: raw_frames(Film(**film)))


@pytest.fixture
def standard_input():
    """Make a file standard input."""
    kept = os.dup(0)

    def take(path: pathlib.Path) -> None:
        with path.open("rb") as file:
            os.dup2(file.fileno(), 0)

    yield take
    os.dup2(kept, 0)
    os.close(kept)


@pytest.fixture
def films(tmp_path):
    return Films(tmp_path)


def decoded(path) -> list[av.VideoFrame]:
    """All frames, as PyAV gives them; what is cut off at the end is left out."""
    frames = []
    with av.open(str(path)) as container:
        for packet in container.demux(video=0):
            try:
                frames += packet.decode()
            except av.error.FFmpegError:
                break
    return frames


def packets(path, kind: str) -> list[tuple[Fraction, bytes]]:
    """Time and content of each packet of the first stream of a kind."""
    with av.open(str(path)) as container:
        stream = next(stream for stream in container.streams if stream.type == kind)
        return [(p.pts * p.time_base, bytes(p)) for p in container.demux(stream) if p.size]


def upscaled(source, target, **options):
    """Every pixel twice; what a stream does."""
    with (
        open_video(source) as reader,
        open_writer(
            target, width=2 * reader.width, height=2 * reader.height, rate=reader.rate, like=reader, **options
        ) as writer,
    ):
        for image, time in reader.frames():
            writer.write(image.repeat(2, 0).repeat(2, 1), time)
    return writer
