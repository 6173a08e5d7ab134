r"""Put the bundles of finished runs into the package, with a model card.

    python experiments/ship.py --runs runs/x4 runs/x2
    python experiments/ship.py --runs runs/x4 runs/x2 --card-only \
        --scores runs/quality_x4/quality.json runs/quality_x2/quality.json

    python experiments/ship.py --runs runs/x4_gpu runs/x4_cpu --classes gpu cpu --by latency_ms

Of each run, members of the front of PSNR-Y against mult-adds (or its own bundle, `--by latency_ms`) become
`dysr_jax/pretrained/xS`, with weights in float16, half the bytes. With `--classes` runs of one scale, each
searched on another kind of device in the same trained supernet, become one bundle. `--scores` are
what `experiments/quality.py` or `dysr eval --json` measured of the shipped bundles: ship, evaluate, then
write the card once more with the scores.
"""

import dataclasses
import json
import pathlib
import subprocess
import sys
import tempfile
from typing import Any, Literal

import tyro

from dysr_jax.atomic import replacing
from dysr_jax.bundle import LATENCY_FILE, PRETRAINED_FOLDER, Bundle, load_bundle, merge_bundles, save_bundle
from dysr_jax.config import load_config, to_dict
from dysr_jax.data import load_source, make_pair
from dysr_jax.model import SUPERNET_FILE, load_supernet, make_supernet
from dysr_jax.report import format_table, members_table
from dysr_jax.search import Archive, arch_costs, choose_members, measure_members

DeviceClass = Literal["cpu", "gpu", "tpu"]

LIMIT = 12e6
"""Bytes that all shipped bundles may have together."""


@dataclasses.dataclass(frozen=True)
class Options:
    """What is shipped."""

    runs: tuple[pathlib.Path, ...]
    """Finished runs; each bundle goes to the place of its scale."""
    classes: tuple[DeviceClass, ...] = ()
    """The kind of device that the members of each run are for, if there are several runs of a scale."""
    trained: tuple[pathlib.Path, ...] = ()
    """The runs in which their weights were trained, if others."""
    scores: tuple[pathlib.Path, ...] = ()
    """What `experiments/quality.py` or `dysr eval --json` wrote of the shipped bundles."""
    card_only: bool = False
    """Leave the bundles as they were shipped and write the card."""
    data: str = "T91 and BSD200 (291 images), of which 10 of BSD200 for validation"
    """What the card says of the training images."""
    by: Literal["latency_ms", "mult_adds"] = "mult_adds"
    """The cost by which members are chosen: mult-adds do not depend on a device, and members are then
    measured on this one; latency_ms takes the run's own members."""
    members: int = 0
    """How many of the front by mult-adds; 0: as many as the run chose."""
    validation: str = ""
    """Source of the validation images, if not where the run had it."""
    out: pathlib.Path = PRETRAINED_FOLDER
    """The package's folder of shipped weights."""


def choose_by_mult_adds(run: pathlib.Path, options: Options) -> Bundle:
    """Members of the front of PSNR-Y against mult-adds, measured on this device."""
    config = load_config(run / "config.json", trained=True)
    search = dataclasses.replace(config.search, members=options.members or config.search.members)
    space = config.space.build()
    records = list(Archive(run / "archive.jsonl", write=False).records.values())
    cost = arch_costs(space, [record.arch for record in records], "mult_adds") / 1e9
    priced = [r._replace(latency_ms=c) for r, c in zip(records, cost.tolist(), strict=True)]
    archs = choose_members(space, priced, search)
    params = load_supernet(config.weights or run / SUPERNET_FILE, space)
    examples = load_source(options.validation or config.data.validation, space.scale)
    pairs = [make_pair(example, space.scale, config.data.boundary) for example in examples]
    net = make_supernet(space, "auto")
    return measure_members(net, params, archs, pairs, search, keep_all=True)


def ship(run: pathlib.Path, options: Options, place: pathlib.Path, dtype: str) -> None:
    """Put a run's bundle into a folder."""
    latency = json.loads((run / "bundle" / LATENCY_FILE).read_text())
    by_latency = options.by == "latency_ms"
    bundle = load_bundle(run / "bundle") if by_latency else choose_by_mult_adds(run, options)
    place.parent.mkdir(parents=True, exist_ok=True)
    save_bundle(place, bundle, latency, dtype=dtype)


def ship_all(options: Options) -> None:
    """Put the bundles of all runs into the package, weights in float16."""
    if not options.classes:
        for run in options.runs:
            ship(run, options, options.out / f"x{scale_of(run)}", "float16")
        return
    with tempfile.TemporaryDirectory() as folder:
        merged: dict[int, dict[str, pathlib.Path]] = {}
        for run, device_class in zip(options.runs, options.classes, strict=True):
            place = merged.setdefault(scale_of(run), {})
            place[device_class] = pathlib.Path(folder) / f"x{scale_of(run)}_{device_class}"
            ship(run, options, place[device_class], "float32")
        for scale, bundles in merged.items():
            options.out.mkdir(parents=True, exist_ok=True)
            merge_bundles(options.out / f"x{scale}", bundles, dtype="float16")


def scale_of(run: pathlib.Path) -> int:
    """Side of the output over side of the input."""
    return load_config(run / "config.json", trained=True).space.scale


def _fence(text: str) -> str:
    return f"```\n{text}\n```\n"


def scores_text(result: dict[str, Any]) -> str:
    """PSNR-Y in dB and SSIM-Y of every member on the sets of `dysr eval --json`."""
    header = ["member"] + [f"{name} {kind}" for name in result["sets"] for kind in ("dB", "SSIM")]
    names = next(iter(result["sets"].values()))["scores"]
    rows = []
    for name in names:
        each = [found["scores"][name] for found in result["sets"].values()]
        cells = [(f"{score['psnr_y']:.2f}", f"{score['ssim_y']:.4f}") for score in each]
        rows.append([name, *(cell for pair in cells for cell in pair)])
    origins = [
        f"{name}: {found['images']} images, LR {found['lr']}" for name, found in result["sets"].items()
    ]
    return "\n".join([format_table(header, rows), *origins, f"measured on {result['device']}"])


def card(options: Options, bundles: list[Bundle]) -> str:
    """The model card, in Markdown."""
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"],
        capture_output=True,
        text=True,
        check=False,
        cwd=PRETRAINED_FOLDER.parent,
    ).stdout.strip()
    parts = [
        "# The weights that come with dysr_jax",
        "",
        f"Data: {options.data}. LR images by MATLAB's bicubic; nothing of the images is in this package.",
        "Weights are stored in float16 and computed with in float32 on a CPU, in bfloat16 on an accelerator.",
        f"Made by `experiments/ship.py` at commit {commit or 'unknown'}.",
        "",
    ]
    runs = options.trained or options.runs
    classes = options.classes or (None,) * len(bundles)
    for bundle, run, name in zip(bundles, runs, classes, strict=True):
        config = to_dict(load_config(run / "config.json", trained=True))
        rows, columns = bundle.frame
        recipe = {key: config[key] for key in ("space", "train")}
        recipe["data"] = {key: config["data"][key] for key in ("patch", "small", "rescale", "boundary")}
        parts += [
            f"## x{bundle.space.scale}{f', for a {name.upper()}' if name else ''}",
            "",
            f"PSNR-Y is on the validation images; a frame is {columns}x{rows} on {bundle.device}; mult-adds "
            f"are for a 1280x720 output.",
            "",
            _fence(members_table(bundle)),
            "Space and recipe:",
            "",
            _fence(json.dumps(recipe, indent=2)),
        ]
    for path in options.scores:
        result = json.loads(path.read_text())
        parts += [f"## Benchmark sets, x{result['scale']}", "", _fence(scores_text(result))]
    return "\n".join(parts)


def main() -> None:
    """Run it."""
    options = tyro.cli(Options)
    if options.classes and len(options.classes) != len(options.runs):
        sys.exit("--classes must name one kind of device per run")
    if not options.card_only:
        ship_all(options)
    classes = options.classes or (None,) * len(options.runs)
    places = [options.out / f"x{scale_of(run)}" for run in options.runs]
    bundles = [load_bundle(place, name) for place, name in zip(places, classes, strict=True)]
    with replacing(options.out / "README.md") as partial:
        partial.write_text(card(options, bundles))
    size = sum(file.stat().st_size for file in options.out.rglob("*") if file.is_file())
    print(f"{options.out}: {size / 1e6:.2f} MB")
    if size > LIMIT:
        sys.exit(f"allowed are {LIMIT / 1e6:g} MB")


if __name__ == "__main__":
    main()
