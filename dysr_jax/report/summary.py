"""What a finished search leaves as figures and prints: the front, frames through its bundle, the files."""

from collections.abc import Callable, Sequence

import numpy as np
from etils import epath

from dysr_jax.bundle import Bundle
from dysr_jax.data import Pair, bicubic_upscale
from dysr_jax.metrics import psnr_y
from dysr_jax.report.plots import pareto_figure, samples_figure, sharing_figure
from dysr_jax.report.tables import clock_table, format_count, members_table, steps_table, switch_table
from dysr_jax.results import RESULTS_FILE, read_results
from dysr_jax.runtime import Bank, measure_switching, open_server
from dysr_jax.search import Record, SharingPoint, sample_frame

FIGURES = ("figures/pareto.png", "figures/sharing.png", "figures/samples.png")


def write_run_figures(
    run: epath.PathLike,
    bundle: Bundle,
    records: Sequence[Record],
    pair: Pair,
    curve: Sequence[SharingPoint],
    *,
    sharing: float,
) -> None:
    """Write `FIGURES` of a run: its members, all its records, a validation image, and its `sharing_curve`
    with the weight `sharing` that chose the members.
    """
    places = [epath.Path(run) / name for name in FIGURES]
    places[0].parent.mkdir(exist_ok=True)
    pareto_figure(places[0], bundle, records)
    sharing_figure(places[1], curve, used=sharing)
    samples_figure(places[2], _samples(bundle, pair), bundle.space.scale)


def _samples(bundle: Bundle, pair: Pair) -> dict[str, np.ndarray]:
    """LR, bicubic, the fastest member's output, the best one's, and HR, by title."""
    bank, scale = Bank(bundle, tune=False), bundle.space.scale
    ends = {"smallest": bundle.members[0].name, "largest": bundle.members[-1].name}
    bank.prepare((pair.lr.shape[0], pair.lr.shape[1]), list(dict.fromkeys(ends.values())))
    outputs = {"bicubic": bicubic_upscale(pair.lr, scale)}
    outputs |= {f"{end}, {name}": bank(pair.lr, name) for end, name in ends.items()}
    quality = {title: float(psnr_y(image, pair.hr, scale)) for title, image in outputs.items()}
    titled = {f"{title}\n{quality[title]:.2f} dB": image for title, image in outputs.items()}
    return {f"LR, {pair.name}\nx{scale}": pair.lr, **titled, "HR\n": pair.hr}


def summarise(
    run: epath.Path, bundle: Bundle, pair: Pair, log: Callable[[str], None], *, backend: str = "auto"
) -> None:
    """Switch between the members of a bundle as loaded from the run, then tell what was found; `pair`, a
    validation image, gives the frame; `log` gets each line; `backend` is where they run.
    """
    server = open_server(bundle, backend, lambda: Bank(bundle))
    scale, (rows, columns) = bundle.space.scale, bundle.frame
    server.prepare(bundle.frame)
    sizes = f"{columns}x{rows} -> {columns * scale}x{rows * scale}"
    log(f"\nswitching between precompiled executables, {sizes}, output on the host:")
    log(switch_table(measure_switching(server, sample_frame(bundle.frame, pair))))
    if bundle.members[-1].psnr_y <= bundle.bicubic_psnr_y:
        log("\nno member is better than bicubic: train longer, or with more images")
    if bundle.steps:
        log(f"\nsteps between neighbours:\n{steps_table(bundle.steps)}")
    how = "a frame without its copy to the host" if isinstance(server, Bank) else "a frame, host to host"
    log(f"\nfront on {bundle.device}, x{scale}; {how}, mult-adds at 1280x720:")
    log(members_table(bundle))
    results = read_results(run, bundle.space)
    shared, separate = results.union_weight_bytes / 1e3, results.ensemble_weight_bytes / 1e3
    rate = f", {results.candidates_per_second:.1f} per second" if results.evaluated else ""
    reused = f", {results.reused:,} of another run reused" if results.reused else ""
    log(
        f"{results.evaluated} of {format_count(results.space_size)} archs evaluated{rate}{reused}; "
        f"resident weights {shared:.0f} KB, as separate models {separate:.0f} KB"
    )
    if results.clock:
        log(f"\nwhere the search's time went:\n{clock_table(results.clock)}\n")
    for name in (*FIGURES, RESULTS_FILE, "bundle"):
        log(f"  {run / name}")
