"""What a finished run tells: frames through its bundle, the front, where the files are."""

import json
from collections.abc import Callable

from etils import epath

from dysr_jax.data.sources import Pair
from dysr_jax.report.tables import members_table, steps_table, switch_table
from dysr_jax.runtime.bank import Bank
from dysr_jax.runtime.bundle import Bundle
from dysr_jax.runtime.switching import measure_switching
from dysr_jax.search.members import sample_frame

Say = Callable[[str], None]


def format_count(number: int) -> str:
    """`13,122`, or `3.71e+15` where nobody reads the digits."""
    return f"{number:,}" if number < 10**6 else f"{number:.3g}"


def summarise(run: epath.Path, bundle: Bundle, pair: Pair, say: Say) -> None:
    """Switch between the members as they are on disk, then tell what was found.

    Args:
        run: directory of the run, with `pareto.json`.
        bundle: as loaded from there.
        pair: a validation image, which gives the frame.
        say: called with each line.
    """
    _demonstrate(bundle, pair, say)
    _tell_front(run, bundle, say)


def _demonstrate(bundle: Bundle, pair: Pair, say: Say) -> None:
    """Frames through the members of the bundle as it is on disk."""
    bank = Bank(bundle)
    bank.prepare(bundle.frame)
    rows, columns = bundle.frame
    scale = bundle.space.scale
    say(
        f"\nswitching between precompiled executables, {columns}x{rows} -> "
        f"{columns * scale}x{rows * scale}, output on the host:"
    )
    frame = sample_frame(bundle.frame, pair)
    say(switch_table(measure_switching(bank, frame)))


def _tell_front(run: epath.Path, bundle: Bundle, say: Say) -> None:
    results = json.loads((run / "pareto.json").read_text())
    union, ensemble = results["union_weight_bytes"], results["ensemble_weight_bytes"]
    if bundle.members[-1].psnr_y <= bundle.bicubic_psnr_y:
        say("\nno member is better than bicubic: train longer, or with more images")
    if bundle.steps:
        say(f"\nsteps between neighbours:\n{steps_table(bundle.steps)}")
    say(
        f"\nfront on {bundle.device}, x{bundle.space.scale}; a frame without its copy to the host, "
        f"mult-adds at 1280x720:"
    )
    say(members_table(bundle))
    say(
        f"{results['evaluated']} of {format_count(results['space_size'])} archs evaluated, "
        f"{results['candidates_per_second']:.1f} a second; resident weights {union / 1e3:.0f} KB, "
        f"as separate models {ensemble / 1e3:.0f} KB"
    )
    for name in (
        "figures/pareto.png",
        "figures/sharing.png",
        "figures/samples.png",
        "pareto.json",
        "bundle",
    ):
        say(f"  {run / name}")
