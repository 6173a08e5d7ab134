r"""How well a latency table predicts: each random arch that it was fitted to, from all the others.

`dysr profile` prints this of a table that it measures; this does it for a table on disk, of any device, such
as the `latency.json` of a run whose `search.latency_archs` is above 1:

    python experiments/latency_fidelity.py --config full --out runs/fidelity.png \
        --table experiments/results/latency_full_h200.json
"""

import dataclasses
import pathlib

import tyro

from dysr_jax.bench import LatencyProfile
from dysr_jax.config import load_config
from dysr_jax.report import profile_table
from dysr_jax.report.plots import latency_figure
from dysr_jax.search import leave_one_out, load_table


@dataclasses.dataclass(frozen=True)
class Options:
    """What is checked."""

    table: pathlib.Path
    """A latency table."""
    out: pathlib.Path
    """The figure, .png."""
    config: str = "full"
    """Preset, or a .json file as a run writes it, of the table's space."""


def main() -> None:
    """Run it."""
    options = tyro.cli(Options)
    space = load_config(options.config).space.build()
    key = load_table(options.table).key  # of whatever device and program
    own = {"body": [list(names) for names in space.slots], "widths": list(space.widths)}
    table = load_table(options.table, {**key, **own})
    found = LatencyProfile(table, leave_one_out(table, space))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    latency_figure(options.out, found)
    print(f"{key['device']}\n{profile_table(found)}\n  {options.out}")


if __name__ == "__main__":
    main()
