"""Arch names: the branch of every slot, joined by `-`, runs counted: `2c3-r1-id-u1`.

In a space of several widths the arch's own comes first: `w32-2c3-r1-id-u1`.
"""

import itertools
import re
from collections.abc import Iterable

from chex import Array

from dysr_jax.errors import InputError
from dysr_jax.model.space import Arch, SearchSpace, to_archs, validate_arch


def _joined(names: Iterable[str]) -> str:
    runs = [(name, len(list(group))) for name, group in itertools.groupby(names)]
    return "-".join([f"{length}{name}" if length > 1 else name for name, length in runs])


def _spell(genes: tuple[tuple[str, ...], ...], slots: int, arch: Arch) -> str:
    names = [offered[index] for offered, index in zip(genes, arch, strict=True)]
    return "-".join([*names[slots:], _joined(names[:slots])])


def arch_name(space: SearchSpace, arch: Arch) -> str:
    """The name of an arch."""
    return _spell(space.genes, len(space.slots), validate_arch(space, arch))


def arch_names(space: SearchSpace, genes: Array) -> list[str]:
    """The name of each row of an integer array `[N, genes]`; the rows are validated together."""
    offered, slots = space.genes, len(space.slots)
    return [_spell(offered, slots, arch) for arch in to_archs(space, genes)]


def canonical_name(name: str) -> str:
    """An arch name as `arch_name` spells it (`1id-id-u1` is `2id-u1`); what is none is returned as it is."""
    try:
        return _joined(_branch_names(name))
    except InputError:
        return name


def _branch_names(name: str) -> list[str]:
    if not isinstance(name, str):
        raise InputError(f"arch name {name!r}: must be text, such as 2c3-u1")
    names: list[str] = []
    for token in name.split("-"):
        match = re.fullmatch(r"([1-9][0-9]{0,3})?([a-z][a-z0-9]*)", token)
        if match is None:
            raise InputError(f"arch name {name!r}: {token!r} is not [count]branch, such as 2c3")
        names += [match[2]] * int(match[1] or 1)
    return names


def parse_arch(space: SearchSpace, name: str) -> Arch:
    """The arch that a name means, however it is spelled: `2id-u1` and `id-id-u1` are the same.

    Raises InputError: no arch of this space has that name.
    """
    names, slots = _branch_names(name), space.slots
    width: list[int] = []
    if len(space.widths) > 1:
        if names[0] not in space.genes[-1]:
            known = ", ".join(space.genes[-1])
            raise InputError(f"arch name {name!r}: must begin with a width of this space, one of {known}")
        width = [space.genes[-1].index(names.pop(0))]
    if len(names) != len(slots):
        raise InputError(f"arch name {name!r} names {len(names)} of {len(slots)} slots")
    for slot, (branch, offered) in enumerate(zip(names, slots, strict=True)):
        if branch not in offered:
            needed = f"must be one of {', '.join(offered)}"
            raise InputError(f"arch name {name!r}: slot {slot} has no {branch!r}; {needed}")
    return (*(offered.index(branch) for branch, offered in zip(names, slots, strict=True)), *width)
