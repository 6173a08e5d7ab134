"""Which LR file belongs to which HR file, by the names that publishers give them.

A folder keeps to one convention: `0001.png` and `0001.png`, or `0001x4.png`, or `img_001_SRF_4_HR.png` and
`img_001_SRF_4_LR.png`. Under at most one of them do all names match, so nothing is guessed file by file.
"""

import pathlib
from collections.abc import Callable, Sequence

from dysr_jax.data.examples import listed
from dysr_jax.errors import InputError

Convention = Callable[[str], str]
"""The stem of an HR file to the stem of its LR file; empty for a stem that the convention does not know."""


def conventions(scale: int) -> tuple[Convention, ...]:
    """All that are known; each gives different HR stems different LR stems."""
    return (
        lambda stem: stem,
        lambda stem: f"{stem}x{scale}",
        lambda stem: f"{stem}_x{scale}",
        lambda stem: f"{stem}_LR",
        lambda stem: f"{stem[:-2]}LR" if stem.endswith("HR") else "",
    )


def pair_files(
    hr: Sequence[pathlib.Path], lr: Sequence[pathlib.Path], scale: int
) -> list[tuple[pathlib.Path, pathlib.Path]]:
    """HR files and their LR files, in the order of `hr`.

    Raises:
        InputError: files that have no partner, or two files with one stem; the first are named.
    """
    low, high = _by_stem(lr), _by_stem(hr)
    found = [{s: to_lr(s) for s in high if to_lr(s) in low} for to_lr in conventions(scale)]
    partner = max(found, key=len)
    taken = set(partner.values())
    alone = [high[stem].name for stem in high if stem not in partner]
    left = [low[stem].name for stem in low if stem not in taken]
    if alone or left:
        said = _counted(alone, "HR", "LR"), _counted(left, "LR", "HR")
        raise InputError(
            f"HR in {str(hr[0].parent)!r} and LR in {str(lr[0].parent)!r} do not pair by name: "
            f"{'; '.join(part for part in said if part)} (an LR file is named as its HR file is, "
            f"or 0001x{scale} for 0001, or _LR for _HR)"
        )
    return [(high[stem], low[partner[stem]]) for stem in high]


def _by_stem(files: Sequence[pathlib.Path]) -> dict[str, pathlib.Path]:
    stems = {file.stem: file for file in files}
    if len(stems) < len(files):
        twice = [file.name for file in files if stems[file.stem] != file]
        raise InputError(
            f"folder {str(files[0].parent)!r}: {len(twice)} files have the name of another but for "
            f"the suffix: {listed(twice)}; allowed is one file a name"
        )
    return stems


def _counted(names: Sequence[str], kind: str, other: str) -> str:
    return f"{len(names)} {kind} without {other}: {listed(names)}" if names else ""
