"""From the archive to the members: the front, the choice, static programs, measured figures."""

from collections.abc import Iterable, Sequence

import numpy as np

from dysr_jax.bundle import Bundle, make_bundle, make_member
from dysr_jax.data import Pair
from dysr_jax.model import Arch, Params, SearchSpace, Supernet
from dysr_jax.search import pareto
from dysr_jax.search.archive import Record
from dysr_jax.search.config import SearchConfig
from dysr_jax.search.objectives import feasible
from dysr_jax.search.patches import archs_psnr_y, bicubic_psnr_y
from dysr_jax.search.probing import measure_archs
from dysr_jax.search.select import ladder


def front(records: Iterable[Record]) -> list[Record]:
    """The non-dominated records, fastest first."""
    points = list(records)
    latency = np.array([record.latency_ms for record in points])
    quality = np.array([record.psnr_y for record in points])
    return [points[i] for i in pareto.front(latency, quality)]


def choose(space: SearchSpace, records: Iterable[Record], config: SearchConfig) -> list[Arch]:
    """The archs of the front that are worth compiling, fastest first (see `ladder`).

    The front is that of the records that satisfy the constraints.

    Raises:
        InputError: none does; says how many each constraint excludes.
    """
    points = front(feasible(list(records), config))
    chosen = ladder(
        space,
        [record.arch for record in points],
        np.array([record.latency_ms for record in points]),
        np.array([record.psnr_y for record in points]),
        members=config.members,
        sharing=config.sharing,
    )
    return [points[i].arch for i in chosen]


def sample_frame(shape: tuple[int, int], pair: Pair) -> np.ndarray:
    """An LR frame `[*shape, 3]` uint8 from a photograph, repeated where that is too small."""
    repeats = [-(-want // have) for want, have in zip(shape, pair.lr.shape[:2], strict=True)]
    return np.tile(pair.lr, (*repeats, 1))[: shape[0], : shape[1]]


def measure(
    net: Supernet,
    params: Params,
    archs: Sequence[Arch],
    validation: Sequence[Pair],
    config: SearchConfig,
    *,
    keep_all: bool = False,
) -> Bundle:
    """Compile archs as static programs, measure them, and bundle the front of those figures.

    Args:
        net: the supernet.
        params: its trained weights.
        archs: the chosen members.
        validation: quality is the mean PSNR-Y over these whole images.
        config: frame shape and rounds of the latencies.
        keep_all: bundle also what is not on that front: archs that were chosen by another cost.
    """
    space, scale = net.space, net.space.scale
    quality = archs_psnr_y(net, params, archs, validation)
    members = [make_member(space, a, q, 1.0) for a, q in zip(archs, quality, strict=True)]
    bundle = make_bundle(
        params, members, net=net, frame=config.frame, bicubic_psnr_y=bicubic_psnr_y(validation, scale)
    )
    latency = measure_archs(bundle.net, bundle.params, archs, config.frame, config.rounds)
    timed = [make_member(space, m.arch, m.psnr_y, latency[m.name]) for m in members]
    if not keep_all:
        kept = pareto.front(
            np.array([member.latency_ms for member in timed]), np.array([member.psnr_y for member in timed])
        )
        timed = [timed[i] for i in kept]
    return make_bundle(params, timed, net=net, frame=config.frame, bicubic_psnr_y=bundle.bicubic_psnr_y)
