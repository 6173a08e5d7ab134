"""The pace of frames at a constant rate, and an end that is interrupted."""

import _thread
import time
from fractions import Fraction

import numpy as np
import pytest

from dysr_jax.video.encoding import Encoding
from dysr_jax.video.raw import Pacer
from dysr_jax.video.reader import open_video
from dysr_jax.video.writer import open_writer


def test_an_even_pace_repeats_and_drops_nothing():
    pacer = Pacer(Fraction(30000, 1001))
    for number in range(100):  # times in milliseconds, from 7 ms on
        assert pacer.place(Fraction(round(number * 1001 / 30) + 7, 1000)) == (0, True)
    assert (pacer.repeated, pacer.dropped, pacer.written) == (0, 0, 100)


def test_an_interruption_waits_until_the_file_is_closed(tmp_path, monkeypatch):
    slow = Encoding.finish

    def finish(self):
        _thread.interrupt_main()
        time.sleep(0.2)
        slow(self)

    monkeypatch.setattr(Encoding, "finish", finish)
    path = tmp_path / "out.mkv"
    writer = open_writer(path, width=32, height=24, rate=Fraction(25))
    for number in range(8):
        writer.write(np.full((24, 32, 3), number, np.uint8), Fraction(number, 25))
    with pytest.raises(KeyboardInterrupt):
        writer.close()
    with open_video(path) as reader:
        assert sum(1 for _ in reader.frames()) == 8
