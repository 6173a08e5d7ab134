"""What a script trains, distributed over processes of the same script."""

import os
import subprocess
import sys
from collections.abc import Sequence

CHILD = "DYSR_EXPERIMENT_JOB"
"""Set in these processes."""


def is_job() -> bool:
    """Whether this process is one of them: it trains what `--only` names and says nothing."""
    return CHILD in os.environ


def distribute(names: Sequence[str], jobs: int, gpus: int) -> None:
    """Run this script's command with `--only` a part of the names in each of `jobs` processes.

    Args:
        names: of what is to be trained.
        jobs: processes, at most one per name.
        gpus: GPUs over which the processes are distributed; 0 leaves them all visible to each.

    Raises:
        SystemExit: a process failed.
    """
    processes = []
    for job in range(min(jobs, len(names))):
        env = {**os.environ, CHILD: "1", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
        if gpus:
            env["CUDA_VISIBLE_DEVICES"] = str(job % gpus)
        command = [sys.executable, *sys.argv, "--jobs", "1", "--only", *names[job::jobs]]
        processes.append(subprocess.Popen(command, env=env))
    codes = [process.wait() for process in processes]
    if any(codes):
        sys.exit("a training failed; the same command runs what is missing")
