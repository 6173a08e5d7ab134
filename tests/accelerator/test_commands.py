"""Commands on an accelerator: a video twice, a search that is killed, the smallest benchmarks."""

import json
import signal
import subprocess
import sys
import time
from fractions import Fraction

import pytest

from dysr_jax.cli import main
from dysr_jax.runtime.trace import trace_from_json
from dysr_jax.video.reader import open_video
from dysr_jax.video.writer import open_writer

RATE, FRAMES = Fraction(25), 20

SMALL = (
    *("--config", "quickstart", "--space.slots", "2", "--space.widths", "8", "16"),
    *("--space.branches", "id", "s3", "c3", "r1"),
    *("--train.chunk", "20", "--train.checkpoint-chunks", "1"),
    *("--search.population", "16", "--search.generations", "4", "--search.members", "3"),
    *("--search.frame", "48", "64", "--search.patches", "4", "--search.rounds", "3"),
)
"""Options of a search that takes seconds."""


@pytest.fixture(scope="module")
def film(tmp_path_factory, photograph):
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    rows, columns, _ = photograph.shape
    with open_writer(path, width=columns, height=rows, rate=RATE) as writer:
        for number in range(FRAMES):
            writer.write(photograph, number / RATE)
    return path


def test_a_video_goes_through_here_and_in_a_second_process(python, film, photograph, tmp_path):
    def command(number):
        files = (film, tmp_path / f"{number}.mp4", "--json", tmp_path / f"{number}.json")
        return ["stream", *map(str, files)]

    assert main(command(0)) == 0
    python("-m", "dysr_jax.cli", *command(1))
    for number in range(2):
        with open_video(tmp_path / f"{number}.mp4") as reader:
            frames = [frame.image for frame in reader.frames()]
        trace = trace_from_json(json.loads((tmp_path / f"{number}.json").read_text()))
        assert {frame.shape for frame in frames} == {(360, 640, 3)}
        assert len(frames) == len(trace.frames) == FRAMES
        # What was decoded again is the photograph: the codec and the network change little of it.
        assert abs(frames[-1][1::4, 1::4].astype(int) - photograph).mean() < 12


def test_a_search_that_is_killed_goes_on_and_ends(environ, tmp_path):
    run = tmp_path / "run"
    command = ["search", "--out", str(run), "--train.steps", "200", *SMALL]
    first = subprocess.Popen(
        [sys.executable, "-m", "dysr_jax.cli", *command],
        env=environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    checkpoints, end = run / "checkpoints", time.monotonic() + 120
    while not list(checkpoints.glob("[0-9]*")) and time.monotonic() < end:
        assert first.poll() is None, "it ended before its first checkpoint"
        time.sleep(0.05)
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert not (run / "pareto.json").exists()
    assert main(command) == 0
    assert (run / "report.html").stat().st_size > 100_000
    assert 1 <= len(json.loads((run / "pareto.json").read_text())["members"]) <= 3
    assert len((run / "archive.jsonl").read_text().splitlines()) >= 16


FPS = "--members fastest --outputs 360 --rounds 2 --seconds 0.2"
SWITCH = "--members fastest best --switches 12 --frame 48 64 --strategies fused reload_cached"
BENCHMARKS = {
    "fps": FPS.split(),
    "switch": SWITCH.split(),
    "search": [*SMALL, "--populations", "16", "--rounds", "2", "--compiled", "1"],
}


@pytest.mark.parametrize(("name", "rows"), [("fps", "rows"), ("switch", "strategies"), ("search", "methods")])
def test_benchmarks_run(tmp_path, capsys, name, rows):
    figures = tmp_path / "figures.json"
    assert main(["bench", name, *BENCHMARKS[name], "--json", str(figures)]) == 0
    assert capsys.readouterr().out.strip()
    found = json.loads(figures.read_text())
    assert "cpu" not in found["device"].lower()
    assert found[rows] and all("failed" not in row for row in found[rows]), found
