"""Tables for the terminal.

What `dysr data list` prints.

What members reach on benchmark sets: a table with a pair of columns a set, and JSON.

What a stream did, in a few lines.

What a finished run tells: frames through its bundle, the front, where the files are.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from etils import epath

from dysr_jax.apps import BICUBIC, SetScores
from dysr_jax.bench import Profile
from dysr_jax.bundle import Bundle, Member, Step
from dysr_jax.data import Pair
from dysr_jax.data.builders import DATASETS, Prepared
from dysr_jax.device import device_name
from dysr_jax.runtime import Bank, SwitchReport, Trace, measure_switching
from dysr_jax.search import sample_frame

LISTED: Final = 3
"""Changed slots of a step that are written out; more are counted."""


def format_table(header: Sequence[str], rows: Sequence[Sequence[str]], *, left: int = 1) -> str:
    """Columns aligned, the first `left` of them to the left and the others to the right."""
    columns = list(zip(header, *rows, strict=True))
    widths = [max(len(cell) for cell in column) for column in columns]

    def line(cells: Sequence[str]) -> str:
        pairs = enumerate(zip(cells, widths, strict=True))
        return "  ".join(cell.ljust(w) if i < left else cell.rjust(w) for i, (cell, w) in pairs)

    return "\n".join([line(header), "  ".join("-" * width for width in widths), *map(line, rows)])


def members_table(bundle: Bundle) -> str:
    """The front, fastest first, with bicubic above it."""
    rows = [["bicubic", f"{bundle.bicubic_psnr_y:.2f}", "", "", "", ""]]
    for member in bundle.members:
        rows.append(
            [
                member.name,
                f"{member.psnr_y:.2f}",
                f"{member.latency_ms:.2f}",
                f"{member.fps:.1f}",
                f"{member.parameters / 1e3:.1f}K",
                f"{member.mult_adds / 1e9:.2f}G",
            ]
        )
    return format_table(["member", "PSNR-Y dB", "ms/frame", "fps", "weights", "mult-adds"], rows)


def _changes(step: Step) -> str:
    """`2: slot03 id->r1, upsampler u1->u2`."""
    listed = [f"{change.name} {change.old}->{change.new}" for change in step.slots[:LISTED]]
    if len(step.slots) > LISTED:
        listed.append(f"+{len(step.slots) - LISTED}")
    return f"{len(step.slots)}: {', '.join(listed)}"


def steps_table(steps: Sequence[Step]) -> str:
    """What each step between neighbours changes; KB (1,000 bytes) that only one of the two reads."""
    rows = [
        [f"{step.source} -> {step.target}", _changes(step), f"{step.unshared_bytes / 1e3:.1f}"]
        for step in steps
    ]
    return format_table(["from -> to", "slots that change", "KB not shared"], rows, left=2)


def switch_table(report: SwitchReport) -> str:
    """Steady and first frames by member, and what the switches compiled."""
    rows = [
        [name, f"{report.steady_ms[name]:.2f}", f"{report.first_ms[name]:.2f}"] for name in report.steady_ms
    ]
    table = format_table(["member", "steady ms", "first frame after switch ms"], rows)
    return f"{table}\n{report.switches} switches, {report.compilations} compilations during them"


def format_number(value: float) -> str:
    """Three significant digits, or all before the point: `0.0352`, `7.34`, `7,339`."""
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e7 else f"{value:.3g}"


def _cell(value: Any) -> str:
    return format_number(value) if isinstance(value, float) else str(value)


def bench_table(result: Mapping[str, Any]) -> str:
    """A benchmark's result: its lists of rows as tables, everything else a line each."""
    parts = []
    for name, value in result.items():
        if value == []:
            continue
        if isinstance(value, list):
            parts.append(format_table(list(value[0]), [list(map(_cell, r.values())) for r in value]))
        else:
            parts.append(f"{name}: {_cell(value)}")
    return "\n".join(parts)


def profile_table(found: Profile) -> str:
    """A latency table's terms, and how well it predicts."""
    table, fidelity = found.table, found.fidelity
    terms = {"(every frame)": table.intercept_ms, **table.body_ms, **table.upsampler_ms}
    rows = [[name, f"{ms:.4f}"] for name, ms in terms.items()]
    return (
        f"{format_table(['branch', 'ms a frame'], rows)}\n"
        f"fitted to {len(table.measured_ms)} executables; {len(fidelity.archs)} of them, each predicted "
        f"from the others: Kendall's tau {fidelity.kendall_tau:.3f}, mean error "
        f"{100 * fidelity.mean_error:.1f} %"
    )


def datasets_table(prepared: Sequence[Prepared]) -> str:
    """What can be prepared from folders, and below it what is prepared."""
    known = [[name, ", ".join(each.configs), each.about] for name, each in DATASETS.items()]
    table = format_table(["name", "configs", "holds"], known, left=3)
    if not prepared:
        return f"{table}\n\nprepared: none"
    rows = [_row(each) for each in prepared]
    return f"{table}\n\n{format_table(['prepared', 'images', 'in', 'MB'], rows, left=3)}"


def _row(each: Prepared) -> list[str]:
    images = ", ".join(f"{count:,} {split}" for split, count in each.examples.items())
    return [each.name, images, str(each.path), f"{each.size / 1e6:,.1f}"]


def scores_table(members: Sequence[Member], sets: Sequence[SetScores]) -> str:
    """PSNR-Y in dB and SSIM-Y on each set, bicubic first, then members; below, what the sets are."""
    header = ["member", "weights", "mult-adds"]
    for found in sets:
        header += [f"{found.name} dB", "SSIM"]
    sizes = {BICUBIC: ["", ""]} | {
        m.name: [f"{m.parameters / 1e3:.1f}K", f"{m.mult_adds / 1e9:.2f}G"] for m in members
    }
    rows = []
    for name, size in sizes.items():
        scores = [found.scores[name] for found in sets]
        rows.append([name, *size, *(cell for s in scores for cell in (f"{s.psnr_y:.2f}", f"{s.ssim_y:.4f}"))])
    lines = [f"{found.name}: {found.images} images, LR {_origin(found)}{_failures(found)}" for found in sets]
    return "\n".join([format_table(header, rows), *lines])


def _failures(found: SetScores) -> str:
    return f"; {len(found.failed)} more cannot be read" if found.failed else ""


def _origin(found: SetScores) -> str:
    return "as given" if found.lr == "given" else "generated (MATLAB's bicubic)"


def scores_json(
    place: str, bundle: Bundle, members: Sequence[Member], sets: Sequence[SetScores]
) -> dict[str, Any]:
    """The same for programs.

    Args:
        place: where the bundle came from.
        bundle: of the members.
        members: that were measured.
        sets: what was measured of them.
    """
    return {
        "bundle": place,
        "scale": bundle.space.scale,
        "device": device_name(),
        "members": {m.name: {"params": m.parameters, "mult_adds": m.mult_adds} for m in members},
        "sets": {
            found.name: {
                "images": found.images,
                "lr": found.lr,
                "failed": [str(failure.path) for failure in found.failed],
                "scores": {name: score._asdict() for name, score in found.scores.items()},
            }
            for found in sets
        },
    }


def stream_summary(trace: Trace) -> str:
    """Frames, rate, what was late, the members' shares and the PSNR-Y that they are estimated to give."""
    found = trace.summary()
    if not trace.frames:
        return "no frames"
    held = "in real time" if trace.real_time else "as fast as possible"
    lines = [
        f"{found['frames']} frames in {found['seconds']:.1f} s, {found['frames_per_second']:.1f} a second "
        f"({held}); {trace.fps:.4g} were to be held",
        f"{found['late']} late ({100 * (1 - found['on_time']):.1f} %), {found['interruptions']} "
        f"interruptions of more than two frames, the longest gap {found['longest_gap_ms']:.1f} ms",
        f"{found['switches']} switches; PSNR-Y about {found['mean_psnr_y']:.2f} dB",
    ]
    rows = [
        [name, f"{trace.psnr_y[name]:.2f}", f"{100 * share:.1f} %"]
        for name, share in found["members"].items()
    ]
    return "\n".join([*lines, format_table(["member", "PSNR-Y dB", "frames"], rows)])


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
    for name in ("figures/pareto.png", "figures/sharing.png", "figures/samples.png", "pareto.json", "bundle"):
        say(f"  {run / name}")
