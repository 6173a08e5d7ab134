"""Times of calls, measured side by side on a machine that other programs use too."""

import statistics
import time
from collections.abc import Callable, Mapping

import jax
import numpy as np

SAMPLE_SECONDS = 1e-2
"""On an accelerator a sample is as many calls in flight as fill this time, so that dispatch is overlapped."""

Calls = Mapping[str, Callable[[], object]]
"""By name."""


def _total_s(call: Callable[[], object], calls: int) -> float:
    start = time.perf_counter()
    jax.block_until_ready([call() for _ in range(calls)])
    return time.perf_counter() - start


def _calls_per_sample(call: Callable[[], object]) -> int:
    """1 on a CPU, where calls in flight share the cores; else the first power of two that fills a sample.

    The faster of two tries counts: the slow call that makes a CUDA graph must not shorten all samples.
    """
    calls = 1
    if jax.default_backend() != "cpu":
        while min(_total_s(call, calls) for _ in range(2)) < SAMPLE_SECONDS:
            calls *= 2
    return calls


def samples_ms(calls: Calls, rounds: int, warmup: int = 2) -> dict[str, list[float]]:
    """Milliseconds per call, `rounds` samples of each function, in turn so that a slow moment hits all alike.

    `calls` dispatch device work and return its arrays; they must not compile. `warmup` calls of each come
    before the first sample.
    """
    for call in calls.values():
        jax.block_until_ready([call() for _ in range(warmup)])
    per_sample = {name: _calls_per_sample(call) for name, call in calls.items()}
    samples: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            samples[name].append(_total_s(call, per_sample[name]) * 1e3 / per_sample[name])
    return samples


def median_ms(calls: Calls, rounds: int, warmup: int = 2) -> dict[str, float]:
    """The medians of `samples_ms`."""
    return {k: statistics.median(v) for k, v in samples_ms(calls, rounds, warmup).items()}


def undisturbed_ms(calls: Calls, rounds: int, warmup: int = 2) -> dict[str, float]:
    """Milliseconds per call, with as little as possible of what other programs add: the lower quartile of the
    rounds of `samples_ms`, each divided by its pace (the median over the calls of time over median time).
    """
    taken = samples_ms(calls, rounds, warmup)
    samples = np.array(list(taken.values()))
    pace = np.median(samples / np.median(samples, 1, keepdims=True), 0)
    return dict(zip(taken, np.quantile(samples / pace, 0.25, axis=1).tolist(), strict=True))
