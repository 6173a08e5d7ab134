"""Pages to open in a browser."""

import dataclasses
import itertools
import json
import pathlib
import re
import shutil

import numpy as np
import pytest

from dysr_jax import write_report
from dysr_jax.atomic import write_json
from dysr_jax.bundle.members import make_member, member_steps
from dysr_jax.config import PRESETS, SpaceConfig, to_dict
from dysr_jax.model.names import arch_names
from dysr_jax.model.sharing import ensemble_weight_bytes, union_weight_bytes
from dysr_jax.model.space import space_size
from dysr_jax.results import RESULTS_FILE, Results

from ... import browser
from ...browser import driver as driver

RESULTS = pathlib.Path(__file__).parents[3] / "experiments" / "results"
SWITCH, STEADY = RESULTS / "switch_quickstart_cpu.json", RESULTS / "steady_quickstart_cpu.json"


class Page(browser.Page):
    """The report as a reader has it."""

    def reset(self):
        """As it was when it was opened, but for what is selected."""
        if self.driver.current_url != self.path.as_uri():
            return
        self.driver.execute_script(
            "const set = (id, value) => { const node = document.getElementById(id); node.value = value;"
            "  for (const kind of ['input', 'change']) node.dispatchEvent(new Event(kind)); };"
            "set('generation', document.getElementById('generation').max); set('stream', 0);"
            "moveDivider(50); window.scrollTo(0, 0);"
        )


@pytest.fixture(scope="session")
def report(tiny_run, tmp_path_factory):
    """Of a finished run, with everything that was measured elsewhere."""
    out = tmp_path_factory.mktemp("report") / "report.html"
    return pathlib.Path(write_report(tiny_run.path, out, switch=SWITCH, steady=STEADY))


@pytest.fixture(scope="session")
def long_run(tmp_path_factory):
    """A search of many candidates that was interrupted: no members, no training."""
    run, config = tmp_path_factory.mktemp("long") / "run", PRESETS["base"]
    run.mkdir()
    (run / "config.json").write_text(json.dumps(to_dict(config)))
    rng = np.random.default_rng(0)
    space = config.space.build()
    genes = rng.integers(0, 5, (4_000, len(space.genes)))
    genes[:, len(space.body)] %= 2
    cost = genes.sum(1)
    lines = [
        {
            "name": name,
            "arch": arch.tolist(),
            "psnr_y": 28 + 0.04 * float(total) + float(rng.normal(0, 0.1)),
            "latency_ms": 0.03 * float(total),
            "generation": number // 500,
            "seconds": 0.001,
        }
        for number, (name, arch, total) in enumerate(zip(arch_names(space, genes), genes, cost, strict=True))
    ]
    (run / "archive.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return run


@pytest.fixture(scope="session")
def guided_run(tiny_run, tmp_path_factory):
    """The tiny run as if a surrogate had chosen its candidates after the first generation."""
    run = tmp_path_factory.mktemp("guided") / "run"
    shutil.copytree(tiny_run.path, run, ignore=shutil.ignore_patterns("checkpoints"))
    rng = np.random.default_rng(0)
    records = [json.loads(line) for line in (run / "archive.jsonl").read_text().splitlines()]
    spread = np.std([record["psnr_y"] for record in records])
    for record in records:
        if record["generation"]:
            record["predicted_psnr_y"] = record["psnr_y"] + float(rng.normal(0, spread))
    (run / "archive.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    return run


@pytest.fixture(scope="session")
def guided_taus(guided_run):
    """Concordant less discordant pairs, in parts of all, by generation; there are no ties."""
    chosen = {}
    for line in (guided_run / "archive.jsonl").read_text().splitlines():
        record = json.loads(line)
        if "predicted_psnr_y" in record:
            pair = record["predicted_psnr_y"], record["psnr_y"]
            chosen.setdefault(record["generation"], []).append(pair)
    return {
        generation: np.mean(
            [np.sign((a - c) * (b - d)) for (a, b), (c, d) in itertools.combinations(pairs, 2)]
        )
        for generation, pairs in chosen.items()
    }


@pytest.fixture(scope="session")
def elastic_run(tmp_path_factory):
    """A finished search over two widths, of made-up figures: candidates, members and what they share."""
    run = tmp_path_factory.mktemp("elastic") / "run"
    run.mkdir()
    config = dataclasses.replace(
        PRESETS["quickstart"], space=SpaceConfig(slots=2, widths=(4, 8), branches=("id", "c3", "r1"))
    )
    write_json(run / "config.json", to_dict(config))
    space = config.space.build()
    archs = [(0, 0, 0, 0), (1, 0, 0, 0), (1, 0, 0, 1), (1, 2, 1, 1), (2, 1, 0, 0)]
    members = [make_member(space, arch, 30.0 + i, 1.0 + i) for i, arch in enumerate(archs)]
    lines = [
        {
            **{key: member.to_json()[key] for key in ("name", "arch", "psnr_y", "latency_ms")},
            "generation": number,
            "seconds": 0.1,
        }
        for number, member in enumerate(members)
    ]
    (run / "archive.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = Results(
        **{"scale": 4, "device": "none", "frame": (6, 8), "space_size": space_size(space)},
        **{"bicubic_psnr_y": 29.0, "evaluated": 5, "candidates_per_second": 10.0},
        **{"hypervolume": 1.0, "hypervolume_reference": (9.0, 29.0)},
        union_weight_bytes=union_weight_bytes(space, archs),
        ensemble_weight_bytes=ensemble_weight_bytes(space, archs),
        members=tuple(members[:4]),
        steps=member_steps(space, archs[:4]),
        sharing=(),
    )
    write_json(run / RESULTS_FILE, found.to_json())
    return run


@pytest.fixture
def packed():
    """Page to content, by Python: what the script reads, with the arrays in their places."""
    return unpack


def unpack(page):
    import base64
    import gzip

    text = re.search(r'id="data-packed"[^>]*>([^<]*)<', page)[1]
    content = gzip.decompress(base64.b64decode(text))
    length = int.from_bytes(content[:4], "little")
    head = json.loads(content[4 : 4 + length])
    arrays = [
        np.frombuffer(content, entry["kind"], entry["length"], 4 + length + entry["offset"])
        for entry in head["arrays"]
    ]

    def resolve(value):
        if isinstance(value, list):
            return [resolve(item) for item in value]
        if not isinstance(value, dict):
            return value
        if set(value) == {"array"}:
            return arrays[value["array"]]
        return {key: resolve(item) for key, item in value.items()}

    return resolve(head["content"])
