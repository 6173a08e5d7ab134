"""Measuring executables on this device: for the latency table, and to see how well it predicts."""

import contextlib
import functools
import hashlib
import json
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from chex import PRNGKey
from jax.stages import Compiled

from dysr_jax import model
from dysr_jax.aot import (
    Session,
    WeightPool,
    branches_digest,
    find_provider,
    frame_model,
    lowered_digest,
    tune_static,
)
from dysr_jax.device import cache_directory
from dysr_jax.errors import InputError
from dysr_jax.model import Arch, Form, Params, SearchSpace, Supernet, arch_name, smallest_arch
from dysr_jax.search.latency import LatencyTable, fit_table, load_table, predict, save_table, table_key
from dysr_jax.threads import in_threads
from dysr_jax.timing import undisturbed_ms

Frame = tuple[int, int]  # LR rows and columns


def probes(space: SearchSpace) -> list[Arch]:
    """At each width the cheapest arch and, for each other branch, it with that branch wherever it is
    offered.
    """
    each = ((width, _width_probes(model.at_width(space, width))) for width in space.widths)
    return [model.with_width(space, arch, width) for width, archs in each for arch in archs]


def _width_probes(space: SearchSpace) -> list[Arch]:
    """Of a space of one width."""
    *base, last = smallest_arch(space)
    found: dict[Arch, None] = {(*base, last): None}
    for name in dict.fromkeys(name for names in space.body for name in names):
        slots = zip(space.body, base, strict=True)
        found[(*(names.index(name) if name in names else least for names, least in slots), last)] = None
    found |= dict.fromkeys((*base, index) for index in range(len(space.upsamplers)))
    return list(found)


def drawn_archs(key: PRNGKey, space: SearchSpace, count: int) -> list[Arch]:
    """Distinct random archs from all over the range of latencies, fewer where the space is too small.

    Archs drawn uniformly all take about as long, being sums over many slots. So each of these has a share of
    its own, uniform in [0, 1], of slots that take their cheapest branch. Widths are drawn uniformly.
    """
    key_genes, key_share, key_cheap = jax.random.split(key, 3)
    genes = model.sample_archs(key_genes, space, (4 * count,))
    share = jax.random.uniform(key_share, (4 * count, 1))
    cheap = jax.random.uniform(key_cheap, genes.shape) < share
    cheapest = jnp.asarray([smallest_arch(space, width) for width in space.widths])
    own = cheapest[model.width_genes(space, genes)]  # an arch's width stays as it was drawn
    return list(dict.fromkeys(model.to_archs(space, jnp.where(cheap, own, genes))))[:count]


def measure_archs(
    net: Supernet,
    params: Params,
    archs: Sequence[Arch],
    frame: Frame,
    rounds: int,
    *,
    tune: bool = False,
    backend: str = "auto",
) -> dict[str, float]:
    """Milliseconds per frame of static programs, by arch name; the values of `params` do not matter.

    With `tune` in the forms in which a bank serves them (`dysr_jax.aot.tune_static`), which takes longer;
    else whole, with `compiler_options`. With another `backend` than XLA, of its sessions, host to host.
    """
    provider = find_provider(backend)
    if provider is not None:
        return undisturbed_ms(_session_calls(net.space, params, archs, frame, provider), rounds)
    forms = [tune_static(net, arch, params, frame) if tune else None for arch in archs]

    def compiled(arch_form: tuple[Arch, Form | None]) -> Compiled:
        arch, form = arch_form
        return model.compile_static(net, arch, params, frame, form=form)

    executables = in_threads(compiled, list(zip(archs, forms, strict=True)))
    space, pixels = net.space, jnp.zeros((*frame, 3), jnp.uint8)
    calls = {
        arch_name(space, arch): functools.partial(run, model.arch_params(params, space, arch), pixels)
        for arch, run in zip(archs, executables, strict=True)
    }
    return undisturbed_ms(calls, rounds)


def _session_calls(
    space: SearchSpace, params: Params, archs: Sequence[Arch], frame: Frame, provider: str
) -> dict[str, Callable[[], object]]:
    pool, pixels = WeightPool(), np.zeros((*frame, 3), np.uint8)
    sessions = {
        arch_name(space, arch): Session(frame_model(space, params, arch, shared=True), provider, pool)
        for arch in archs
    }
    return {name: functools.partial(session, pixels) for name, session in sessions.items()}


def _key(net: Supernet, frame: Frame, backend: str) -> dict[str, object]:
    return table_key(net.space, jnp.dtype(net.dtype).name, frame, layers=net.layers, backend=backend)


def measure_table(
    net: Supernet, params: Params, frame: Frame, rounds: int, *, drawn: int = 0, backend: str = "auto"
) -> LatencyTable:
    """Fit a table to the probes and to `drawn` random archs, on this device; see `measure_archs`."""
    archs = [*probes(net.space), *drawn_archs(jax.random.key(0), net.space, drawn)]
    measured = measure_archs(net, params, list(dict.fromkeys(archs)), frame, rounds, backend=backend)
    return fit_table(net.space, measured, _key(net, frame, backend))


class Fidelity(NamedTuple):
    """How well a table predicts executables that it was not fitted to."""

    archs: list[str]
    predicted_ms: list[float]
    measured_ms: list[float]
    kendall_tau: float  # rank correlation (tau-b) of the two, 1 where the order is the same
    mean_error: float  # mean of |predicted - measured| / measured


def leave_one_out(table: LatencyTable, space: SearchSpace) -> Fidelity:
    """Predict each random arch of a table from a fit to all its other executables. Raises `InputError`: the
    table holds fewer than two archs beside the probes.
    """
    from scipy.stats import kendalltau  # slow to import

    known = {arch_name(space, arch) for arch in probes(space)}
    drawn = {name: ms for name, ms in table.measured_ms.items() if name not in known}
    if len(drawn) < 2:
        raise InputError(f"latency table: random archs must be at least 2 to be checked, got {len(drawn)}")
    predicted = []
    for name in drawn:
        others = {key: ms for key, ms in table.measured_ms.items() if key != name}
        arch = np.array([model.parse_arch(space, name)])
        predicted.append(float(predict(fit_table(space, others, table.key), space, arch)[0]))
    measured = np.array(list(drawn.values()))
    tau, error = kendalltau(predicted, measured).statistic, np.abs(predicted - measured) / measured
    return Fidelity(list(drawn), predicted, measured.tolist(), float(tau), float(np.mean(error)))


def _code(net: Supernet, frame: Frame, backend: str) -> list[str]:
    """What tells apart the programs that a table is measured of: a cache must not outlive their code.

    The package's own code is told by its sources, without a trace; that of others by the probes' programs.
    """
    space = net.space
    if find_provider(backend) is not None:
        params = model.init_params(jax.random.key(0), space)
        contents = [frame_model(space, params, arch, shared=True).content for arch in probes(space)]
        return [hashlib.sha256(content).hexdigest() for content in contents]
    branches = [branch for slot in range(len(space.slots)) for branch in space.branches(slot)]
    code = branches_digest([*branches, model.layer_backend(net.layers)])
    if code is not None:
        return [code]
    params = jax.eval_shape(lambda: model.init_params(jax.random.key(0), space))
    return [lowered_digest(model.lower_static(net, arch, params, frame)) for arch in probes(space)]


def device_table(
    net: Supernet,
    params: Params,
    frame: Frame,
    rounds: int,
    *,
    drawn: int = 0,
    remeasure: bool = False,
    backend: str = "auto",
) -> tuple[LatencyTable, bool]:
    """This device's table, and whether it was measured now or by an earlier run (`cache_directory`).

    It belongs to the device and not to a run: with one table, one seed searches the same candidates.
    """
    key = _key(net, frame, backend)
    content = json.dumps([key, drawn, rounds, _code(net, frame, backend)], sort_keys=True)
    path = cache_directory() / "latency" / f"{hashlib.sha256(content.encode()).hexdigest()[:16]}.json"
    if path.exists() and not remeasure:
        with contextlib.suppress(InputError):  # damaged: measured again and replaced
            return load_table(path, key), False
    table = measure_table(net, jax.block_until_ready(params), frame, rounds, drawn=drawn, backend=backend)
    with contextlib.suppress(OSError):  # the cache only saves time
        path.parent.mkdir(parents=True, exist_ok=True)
        save_table(path, table)
    return table, True
