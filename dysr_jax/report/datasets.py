"""What `dysr data list` prints."""

from collections.abc import Sequence

from dysr_jax.data.builders.datasets import DATASETS
from dysr_jax.data.builders.prepared import Prepared
from dysr_jax.report.tables import format_table


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
