r"""A stream in real time while other programs take the processor: what holds the rate, at what quality.

    python experiments/steady_fps.py --bundle runs/quickstart/bundle --out runs/steady

Runs `dysr bench steady`, writes `steady_fps.json` and a timeline of each stream to `--out` and prints the
table; with `--recorded FILE` it draws and prints what an earlier call measured.
"""

import dataclasses
import json
import pathlib
import sys
from typing import Annotated

import tyro

from dysr_jax.atomic import write_json
from dysr_jax.bench import SteadyOptions, SteadyResult, bench_steady
from dysr_jax.errors import InputError
from dysr_jax.report import steady_table, write_timelines


@dataclasses.dataclass(frozen=True)
class Options:
    """What is measured, or drawn."""

    out: pathlib.Path
    """Folder for the results."""
    bundle: str | None = None
    """A bundle directory; without it the weights that come with the package."""
    against: str | None = None
    """Another bundle directory, whose members take turns with these."""
    stream: Annotated[SteadyOptions, tyro.conf.arg(name="")] = SteadyOptions()
    recorded: pathlib.Path | None = None
    """Draw and print these results and measure nothing."""


def main() -> None:
    """Run it."""
    options = tyro.cli(Options)
    options.out.mkdir(parents=True, exist_ok=True)
    if options.recorded:
        result = SteadyResult.from_json(json.loads(options.recorded.read_text()))
    else:
        try:
            result = bench_steady(options.bundle, options.stream, against=options.against)
        except InputError as error:
            sys.exit(f"error: {error}")
        write_json(options.out / "steady_fps.json", result.to_json())
    write_timelines(options.out, result)
    print(steady_table(result))


if __name__ == "__main__":
    main()
