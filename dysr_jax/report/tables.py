"""Tables for the terminal: members, steps, scores, data sets, streams."""

import dataclasses
import re
from collections.abc import Sequence
from typing import Any, Final

from dysr_jax.aot import backend_name
from dysr_jax.apps import BICUBIC, SetScores
from dysr_jax.bundle import Bundle, Member, Step
from dysr_jax.data.builders import DATASETS, PreparedDataset
from dysr_jax.device import device_name
from dysr_jax.runtime import OnnxModel, SwitchReport, Trace
from dysr_jax.search import SearchTimes
from dysr_jax.video import EncoderInfo

LISTED_SLOTS: Final = 3  # changed slots of a step that are written out; more are counted


def format_table(header: Sequence[str], rows: Sequence[Sequence[str]], *, left: int = 1) -> str:
    """Columns aligned, the first `left` of them to the left and the others to the right."""
    columns = list(zip(header, *rows, strict=True))
    widths = [max(len(cell) for cell in column) for column in columns]

    def line(cells: Sequence[str]) -> str:
        pairs = enumerate(zip(cells, widths, strict=True))
        return "  ".join(cell.ljust(w) if i < left else cell.rjust(w) for i, (cell, w) in pairs)

    return "\n".join([line(header), "  ".join("-" * width for width in widths), *map(line, rows)])


def format_number(value: float) -> str:
    """Three significant digits, or all before the point: `0.0352`, `7.34`, `7,339`."""
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e7 else f"{value:.3g}"


def format_count(number: int) -> str:
    """`13,122`, or `3.71e+15` where nobody reads the digits."""
    return f"{number:,}" if number < 10**6 else f"{number:.3g}"


def clock_table(times: SearchTimes) -> str:
    """Where a search's time went, part by part, and what it evaluated in it."""
    parts = [*dataclasses.asdict(times.seconds).items(), ("total", times.total)]
    rows = [[name, f"{spent:.2f}", f"{100 * spent / times.total:.1f} %"] for name, spent in parts]
    wall, own = times.wall_candidates_per_second, times.candidates_per_second
    return (
        f"{format_table(['part', 'seconds', 'share'], rows)}\n"
        f"{format_count(times.evaluated)} candidates: {format_number(wall)} per second by the wall clock, "
        f"{format_number(own)} by the evaluator alone"
    )


def _costs(member: Member) -> list[str]:
    return [f"{member.parameters / 1e3:.1f}K", f"{member.mult_adds / 1e9:.2f}G"]


def members_table(bundle: Bundle) -> str:
    """The front, fastest first, with bicubic above it."""
    rows = [["bicubic", f"{bundle.bicubic_psnr_y:.2f}", "", "", "", ""]]
    for member in bundle.members:
        figures = [f"{member.psnr_y:.2f}", f"{member.latency_ms:.2f}", f"{member.fps:.1f}"]
        rows.append([member.name, *figures, *_costs(member)])
    return format_table(["member", "PSNR-Y dB", "ms/frame", "fps", "weights", "mult-adds"], rows)


def _changes(step: Step) -> str:
    changes = sorted(step.slots, key=lambda change: change.name != "width")  # the width first
    listed = [f"{change.name} {change.old}->{change.new}" for change in changes[:LISTED_SLOTS]]
    if len(step.slots) > LISTED_SLOTS:
        listed.append(f"+{len(step.slots) - LISTED_SLOTS}")
    return f"{len(step.slots)}: {', '.join(listed)}"


def steps_table(steps: Sequence[Step]) -> str:
    """What each step between neighbours changes; KB (1,000 bytes) that only one of the two reads."""
    rows = [[f"{s.source} -> {s.target}", _changes(s), f"{s.unshared_bytes / 1e3:.1f}"] for s in steps]
    return format_table(["from -> to", "slots that change", "KB not shared"], rows, left=2)


def switch_table(report: SwitchReport) -> str:
    """Steady and first frames by member, and what the switches compiled."""
    rows = [[name, f"{ms:.2f}", f"{report.first_ms[name]:.2f}"] for name, ms in report.steady_ms.items()]
    table = format_table(["member", "steady ms", "first frame after switch ms"], rows)
    return f"{table}\n{report.switches} switches, {report.compilations} compilations during them"


def datasets_table(prepared: Sequence[PreparedDataset]) -> str:
    """What can be prepared from folders, and below it what is prepared."""
    known = [[name, ", ".join(each.configs), each.about] for name, each in DATASETS.items()]
    table = format_table(["name", "configs", "holds"], known, left=3)
    if not prepared:
        return f"{table}\n\nprepared: none"
    rows = []
    for each in prepared:
        images = ", ".join(f"{count:,} {split}" for split, count in each.examples.items())
        rows.append([each.name, images, str(each.path), f"{each.size / 1e6:,.1f}"])
    return f"{table}\n\n{format_table(['prepared', 'images', 'in', 'MB'], rows, left=3)}"


def scores_table(
    members: Sequence[Member], sets: Sequence[SetScores], rivals: Sequence[OnnxModel] = ()
) -> str:
    """PSNR-Y in dB and SSIM-Y on each set of bicubic, members and rivals; below, what the sets are."""
    header = ["member", "weights", "mult-adds"]
    for found in sets:
        header += [f"{found.name} dB", "SSIM"]
    rows = [[BICUBIC, "", ""], *([member.name, *_costs(member)] for member in members)]
    rows += [[rival.name, f"{rival.weights / 1e3:.1f}K", ""] for rival in rivals]
    for row in rows:
        for score in [found.scores[row[0]] for found in sets]:
            row += [f"{score.psnr_y:.2f}", f"{score.ssim_y:.4f}"]
    lines = []
    for found in sets:
        origin = "as given" if found.lr == "given" else "generated (MATLAB's bicubic)"
        failures = f"; {len(found.failed)} more cannot be read" if found.failed else ""
        lines.append(f"{found.name}: {found.images} images, LR {origin}{failures}")
    return "\n".join([format_table(header, rows), *lines])


def scores_json(
    place: str,
    bundle: Bundle,
    members: Sequence[Member],
    sets: Sequence[SetScores],
    rivals: Sequence[OnnxModel] = (),
    *,
    backend: str = "auto",
) -> dict[str, Any]:
    """The scores of some members of a bundle from this place, as `dysr eval --json` writes them."""
    return {
        "bundle": place,
        "scale": bundle.space.scale,
        "device": device_name(),
        "runtime": backend_name(backend) or "xla",
        "members": {m.name: {"params": m.parameters, "mult_adds": m.mult_adds} for m in members},
        "rivals": {rival.name: {"path": str(rival.path), "params": rival.weights} for rival in rivals},
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


def encoders_table(encoders: Sequence[EncoderInfo]) -> str:
    """What each encoder takes; those that do not work here last, with the reason."""
    rows = [
        [
            each.name,
            " ".join(each.suffixes),
            "" if each.crf is None else f"{each.crf[0]}-{each.crf[1]}",
            f"{each.presets[0]} ... {each.presets[-1]}" if each.presets else "",
            _braced(each.pixel_formats),
        ]
        for each in encoders
        if each.works
    ]
    lines = [f"{each.name}: does not work here, {each.reason}" for each in encoders if not each.works]
    titles = ["encoder", "files", "crf", "presets", "pixel formats"]
    table = format_table(titles, rows, left=len(titles)).splitlines()
    return "\n".join([*(line.rstrip() for line in table), *lines])


def _braced(names: Sequence[str]) -> str:
    """`yuv{420,422}p{,10le}` for the four, as shells write it; else each name."""
    parts = [part for part in (re.fullmatch(r"yuv(\d+)p(\w*)", name) for name in names) if part]
    chroma, depth = ([*dict.fromkeys(part[at] for part in parts)] for at in (1, 2))
    if len(names) < 2 or len(parts) < len(names) or len(chroma) * len(depth) != len(names):
        return " ".join(names)
    inner = [each[0] if len(each) == 1 else f"{{{','.join(each)}}}" for each in (chroma, depth)]
    return f"yuv{inner[0]}p{inner[1]}"


def stream_summary(trace: Trace) -> str:
    """Frames, rate, what was late, the members' shares and the PSNR-Y that they are estimated to give."""
    found = trace.summary()
    if not trace.frames:
        return "no frames"
    pace = "in real time" if trace.real_time else "as fast as possible"
    lines = [
        f"{found['frames']} frames in {found['seconds']:.1f} s, {found['frames_per_second']:.1f} per second "
        f"({pace}); {trace.fps:.4g} were to be held",
        f"{found['late']} late and {found['dropped']} dropped ({100 * (1 - found['on_time']):.1f} %), "
        f"{found['interruptions']} interruptions of more than two frames, the longest gap "
        f"{found['longest_gap_ms']:.1f} ms",
        f"{found['switches']} switches; PSNR-Y about {found['mean_psnr_y']:.2f} dB",
        f"ms per frame: {', '.join(f'{name} {ms:.2f}' for name, ms in trace.stage_ms.items() if ms)}; "
        f"{trace.limiting_stage} limits the rate",
    ]
    if trace.repeated:
        lines.append(f"{trace.repeated} frames repeat the one before and were not computed again")
    shares = found["members"].items()
    rows = [[name, f"{trace.psnr_y[name]:.2f}", f"{100 * share:.1f} %"] for name, share in shares]
    return "\n".join([*lines, format_table(["member", "PSNR-Y dB", "frames"], rows)])
