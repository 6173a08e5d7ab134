"""From the archive to the members: the front, the choice, static programs, measured figures."""

from collections.abc import Iterable, Sequence

import numpy as np

from dysr_jax.bundle import Bundle, make_bundle, make_member
from dysr_jax.data import Pair
from dysr_jax.model import Arch, Params, SearchSpace, Supernet
from dysr_jax.search import pareto
from dysr_jax.search.archive import Record
from dysr_jax.search.config import SearchConfig
from dysr_jax.search.objectives import feasible_records
from dysr_jax.search.patches import archs_psnr_y, bicubic_psnr_y
from dysr_jax.search.probing import measure_archs
from dysr_jax.search.select import choose_ladder


def front_records(records: Iterable[Record]) -> list[Record]:
    """The non-dominated records, fastest first."""
    points = list(records)
    latency = np.array([record.latency_ms for record in points])
    quality = np.array([record.psnr_y for record in points])
    return [points[i] for i in pareto.front(latency, quality)]


def choose_members(space: SearchSpace, records: Iterable[Record], config: SearchConfig) -> list[Arch]:
    """The archs that are worth compiling, fastest first: a ladder of the feasible front (`choose_ladder`).

    Raises:
        InputError: no record satisfies the constraints; says how many each one excludes.
    """
    points = front_records(feasible_records(list(records), config))
    chosen = choose_ladder(
        space,
        [record.arch for record in points],
        np.array([record.latency_ms for record in points]),
        np.array([record.psnr_y for record in points]),
        members=config.members,
        switch_cost_weight=config.switch_cost_weight,
    )
    return [points[i].arch for i in chosen]


def sample_frame(shape: tuple[int, int], pair: Pair) -> np.ndarray:
    """An LR frame `[*shape, 3]` uint8 from a photograph, repeated where that is too small."""
    repeats = [-(-want // have) for want, have in zip(shape, pair.lr.shape[:2], strict=True)]
    return np.tile(pair.lr, (*repeats, 1))[: shape[0], : shape[1]]


def measure_members(
    net: Supernet,
    params: Params,
    archs: Sequence[Arch],
    validation: Sequence[Pair],
    config: SearchConfig,
    *,
    keep_all: bool = False,
) -> Bundle:
    """Compile archs as static programs, measure them, and bundle the front of those figures.

    Quality is the mean PSNR-Y over the whole `validation` images; `config` gives the frame and the rounds of
    the latencies. With `keep_all`, what is not on that front is bundled too: archs that were chosen by
    another cost.
    """
    space, scale = net.space, net.space.scale
    quality = archs_psnr_y(net, params, archs, validation)
    members = [make_member(space, a, q, 1.0) for a, q in zip(archs, quality, strict=True)]
    bicubic = bicubic_psnr_y(validation, scale)
    bundle = make_bundle(params, members, net=net, frame=config.frame, bicubic_psnr_y=bicubic)
    latency = measure_archs(bundle.net, bundle.params, archs, config.frame, config.rounds)
    timed = [make_member(space, m.arch, m.psnr_y, latency[m.name]) for m in members]
    if not keep_all:
        figures = [(member.latency_ms, member.psnr_y) for member in timed]
        timed = [timed[i] for i in pareto.front(*np.array(figures).T)]
    return make_bundle(params, timed, net=net, frame=config.frame, bicubic_psnr_y=bicubic)
