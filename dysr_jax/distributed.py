"""A job of several processes, usually one per host: joining it, and leaving it when a process is lost.

It uses `jax.distributed`, JAX's own multi-controller runtime: process 0 runs a coordination service that all
processes connect to, and all their devices form one mesh. A program that calls `jax.distributed.initialize()`
itself needs nothing from this file.
"""

import contextlib
import itertools
import os
import re
import sys
import threading
from collections.abc import Iterator
from typing import Final

import jax
import orbax.checkpoint as ocp

from dysr_jax.errors import InputError, LostProcessError, first_line

BEAT_S: Final = 5  # seconds between two meetings of the processes

PATIENCE_S = 30  # seconds that the others wait for a process, at a meeting or at the end

OPTIONS: Final = "--coordinator HOST:PORT --processes N --process-id I"

_LOST = re.compile(
    r"gloo|nccl|UNAVAILABLE|DEADLINE_EXCEEDED|CANCELLED|ABORTED|coordination|barrier|peer", re.IGNORECASE
)
"""Words in JAX's runtime errors when another process is the reason."""


def check(coordinator: str | None, processes: int | None, process_id: int | None) -> None:
    """Refuse an impossible place in a job: an InputError names the option, its value and what it must be."""
    if coordinator is processes is process_id is None:
        return
    if coordinator is None or processes is None or process_id is None:
        raise InputError(f"{OPTIONS}: must be all three, or none in a cluster that JAX detects")
    host, _, port = coordinator.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 2**16:
        raise InputError(f"--coordinator {coordinator!r}: must be HOST:PORT of process 0")
    if processes < 1:
        raise InputError(f"--processes {processes}: must be at least 1")
    if not 0 <= process_id < processes:
        raise InputError(f"--process-id {process_id}: must be 0 to {processes - 1}")


@contextlib.contextmanager
def job(coordinator: str | None, processes: int | None, process_id: int | None) -> Iterator[None]:
    """Be a process of the job inside the `with` block; must begin before anything uses a device.

    Without `coordinator` (`HOST:PORT` of process 0) and the two others, all three come from the cluster as
    JAX detects it (a TPU VM pod, Slurm, Open MPI, Kubernetes). If there is none that is an InputError; see
    `check`. A `LostProcessError` tells that another process ended or cannot be reached.
    """
    check(coordinator, processes, process_id)
    # JAX's preemption service would catch SIGTERM and go on; a run is made to be killed.
    jax.config.update("jax_enable_preemption_service", False)
    try:
        jax.distributed.initialize(coordinator, processes, process_id, shutdown_timeout_seconds=PATIENCE_S)
    except jax.errors.JaxRuntimeError as error:
        raise LostProcessError(first_line(error)) from None
    except Exception as error:  # each kind of cluster has errors of its own
        if coordinator is not None:
            raise
        why = f"JAX detects no cluster here ({first_line(error)})"
        raise InputError(f"--distributed: {why}; name it with {OPTIONS}") from None
    ended = threading.Event()
    threading.Thread(target=_watch, args=(ended,), daemon=True).start()
    try:
        yield
    except RuntimeError as error:
        if not is_lost(error):
            raise
        raise LostProcessError(first_line(error)) from None
    finally:
        ended.set()


def _watch(ended: threading.Event) -> None:
    """Meet the other processes every few seconds, and end this one when another does not come.

    The main thread may hang in a collective for ever then; JAX's own, slower heartbeat would end the process
    with a stack trace.
    """
    meet = ocp.multihost.get_barrier_sync_fn()
    for beat in itertools.count():
        if ended.wait(BEAT_S):
            return
        try:
            meet(key=f"dysr_{beat}", timeout_ms=PATIENCE_S * 1000)
        except RuntimeError:
            if ended.is_set():
                return
            lost = LostProcessError(f"it did not answer for {PATIENCE_S} s")
            print(f"\ndysr: error: {lost}", file=sys.stderr)
            abandon(1)


def is_lost(error: BaseException | None) -> bool:
    """Whether an error says that another process of the job is gone."""
    told = isinstance(error, RuntimeError) and bool(_LOST.search(str(error)))
    return told and jax.process_count() > 1


def abandon(code: int) -> None:
    """End this process at once if it belongs to a job, whose own end waits for all."""
    if jax.distributed.is_initialized():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
