"""Busy processes come and go by the schedule, and none outlives its parent."""

import os
import pathlib
import signal
import subprocess
import sys
import time

from dysr_jax.bench import burners


def alive(pid: int) -> bool:
    try:
        state = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def wait_until(condition) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_processes_follow_the_schedule_and_end_with_the_context():
    with burners.Burners([(0.0, 2), (0.5, 1)]) as running:
        wait_until(lambda: len(running.pids) == 2)
        both = running.pids
        assert all(map(alive, both))
        wait_until(lambda: len(running.pids) == 1)
    assert not any(map(alive, both))
    times, counts = zip(*running.log, strict=True)
    assert counts == (2, 1, 0)
    assert times[1] >= 0.5


def test_no_process_outlives_a_parent_that_is_killed():
    code = "import time\nfrom dysr_jax.bench import burners\n"
    code += "with burners.Burners([(0.0, 2)]) as b:\n    while len(b.pids) < 2:\n        time.sleep(0.02)\n"
    code += "    print(*b.pids, flush=True)\n    time.sleep(60)\n"
    parent = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(pathlib.Path(burners.__file__).parents[2])},
    )
    pids = [int(pid) for pid in parent.stdout.readline().split()]
    assert len(pids) == 2
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    wait_until(lambda: not any(map(alive, pids)))
