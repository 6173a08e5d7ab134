"""The search space: which branches each slot offers, what its archs cost, and how archs are drawn.

An arch is a tuple of indices, one per gene: the branch of every body slot, that of the upsampler's slot and,
in a space of several widths, the width of the trunk. It is hashable and static; many archs together are an
int32 array `[N, genes]` ("genes").
"""

import dataclasses
import functools
import itertools
import math
import operator
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from chex import Array, PRNGKey

from dysr_jax.errors import InputError
from dysr_jax.fields import as_integer, as_names, as_tuple
from dysr_jax.model.branches import BODY, Branch
from dysr_jax.model.kernels import KernelSpec, check_kernels, fit_inside, pixel_mult_adds, weight_count
from dysr_jax.model.upsamplers import UPSAMPLERS

Arch = tuple[int, ...]

SCALES = (2, 3, 4)
HEAD_INPUTS = 27  # inputs of the head's 3x3 convolution: nine RGB pixels


@dataclasses.dataclass(frozen=True)
class SearchSpace:
    """Slots, the branches of each by registered name, the trunk's widths and the scale. Hashable.

    An arch of a width takes the leading channels of every shared kernel, in and out. Lists become tuples,
    one width a tuple of it, and NumPy's integers Python's.

    Raises InputError: no slot, an empty one, a branch that is not registered or that its slot names twice,
    branches that cannot share a kernel, widths that are not increasing integers of at least 1 or that a
    branch cannot take, or a scale other than 2, 3 or 4.
    """

    body: tuple[tuple[str, ...], ...]
    """Branch names of each body slot, in order."""
    upsamplers: tuple[str, ...]
    """Upsampler names of the last slot."""
    widths: tuple[int, ...]
    """Channels that the trunk of an arch may have, the same from its head to its upsampler; increasing."""
    scale: int
    """Side of the output over side of the input."""

    def __post_init__(self) -> None:
        scale = as_integer(self.scale)
        if scale not in SCALES:
            raise InputError(f"scale {self.scale!r}: must be 2, 3 or 4")
        widths = _as_widths(self.widths)
        slots = as_tuple(self.body, "body", "one list of branch names per slot")
        if not slots:
            raise InputError(f"body {self.body!r}: must have at least one slot")
        body = tuple(as_names(names, f"slot {index}") for index, names in enumerate(slots))
        upsamplers = as_names(self.upsamplers, "upsamplers")
        checked = {"body": body, "upsamplers": upsamplers, "widths": widths, "scale": scale}
        for name, value in checked.items():
            object.__setattr__(self, name, value)
        for slot, names in enumerate(self.slots):
            registry = self._registry(slot)
            if not names:
                raise InputError(f"slot {slot} has no branch; a slot needs at least one")
            if len(set(names)) != len(names):
                raise InputError(f"slot {slot} names a branch twice: {', '.join(names)}")
            for name in names:
                if name not in registry:
                    raise InputError(f"branch {name!r} of slot {slot}: known are {', '.join(registry)}")
        offered = {"body": range(len(body)), "upsamplers": [len(body)]}
        for where, each in offered.items():
            reads = [{n: s for slot in each for n, s in self._reads_by_name(slot, w).items()} for w in widths]
            spelled = "{}" if len(widths) == 1 else "{} at {} channels"
            named = zip(widths, reads, strict=True)
            check_kernels({spelled.format(n, w): s for w, specs in named for n, s in specs.items()}, where)
            for (narrow, wide), name in itertools.product(itertools.pairwise(reads), reads[0]):
                if not fit_inside(narrow[name], wide[name]):
                    must = f"branch {name!r} must read a part of what it reads at the next wider one"
                    raise InputError(f"widths {widths}: at each, {must}")

    @property
    def slots(self) -> tuple[tuple[str, ...], ...]:
        """Branch names of every slot, the upsampler's last."""
        return (*self.body, self.upsamplers)

    @property
    def width(self) -> int:
        """The widest trunk: the shared kernels are stored for it."""
        return self.widths[-1]

    @property
    def genes(self) -> tuple[tuple[str, ...], ...]:
        """The names that each index of an arch chooses from: the slots' and, if there are several, the
        widths' (`w16`).
        """
        return self.slots if len(self.widths) == 1 else (*self.slots, tuple(f"w{w}" for w in self.widths))

    def _registry(self, slot: int) -> dict[str, Branch]:
        return UPSAMPLERS if slot == len(self.body) else BODY

    def branches(self, slot: int) -> tuple[Branch, ...]:
        """The branches of a slot, in the order of their indices."""
        return tuple(self._registry(slot)[name] for name in self.slots[slot])

    def reads(self, slot: int, width: int) -> list[dict[str, KernelSpec]]:
        """What each branch of a slot reads at a width, by kernel name."""
        return [branch.reads(width, self.scale) for branch in self.branches(slot)]

    def _reads_by_name(self, slot: int, width: int) -> dict[str, dict[str, KernelSpec]]:
        found = {}
        for name, branch in zip(self.slots[slot], self.branches(slot), strict=True):
            try:
                found[name] = branch.reads(width, self.scale)
            except InputError as error:
                problem = f"must be widths that branch {name!r} can take; {error}"
                raise InputError(f"widths {self.widths}: {problem}") from None
        return found


def _as_widths(widths: object) -> tuple[int, ...]:
    """Increasing integers of at least 1, from a list of them or one; else an InputError."""
    given = (widths,) if as_integer(widths) is not None else as_tuple(widths, "widths", "a list of integers")
    found = [width for width in map(as_integer, given) if width is not None and width >= 1]
    if not found or len(found) < len(given) or any(a >= b for a, b in itertools.pairwise(found)):
        raise InputError(f"widths {widths!r}: must be increasing integers of at least 1")
    return tuple(found)


def uniform_space(
    *,
    slots: int,
    widths: int | tuple[int, ...],
    scale: int,
    branches: tuple[str, ...] | None = None,
    upsamplers: tuple[str, ...] | None = None,
) -> SearchSpace:
    """A space of `slots` body slots that all offer the same branches (None: all registered), and of one
    width or several.
    """
    body = tuple(BODY) if branches is None else branches
    upsamplers = tuple(UPSAMPLERS) if upsamplers is None else upsamplers
    return SearchSpace((body,) * slots, upsamplers, _as_widths(widths), scale)


def single_arch_space(space: SearchSpace, arch: Arch) -> SearchSpace:
    """The space of this one arch."""
    *body, upsampler = ((branches[index],) for branches, index in zip(space.slots, arch, strict=False))
    return SearchSpace(tuple(body), upsampler, (arch_width(space, arch),), space.scale)


@functools.cache
def at_width(space: SearchSpace, width: int) -> SearchSpace:
    """The archs of one width as a space of their own, without the gene of the width."""
    return space if space.widths == (width,) else dataclasses.replace(space, widths=(width,))


def rows_by_width(space: SearchSpace, genes: np.ndarray) -> dict[int, np.ndarray]:
    """Which rows of `[N, genes]` have a trunk of a width, by that width, increasing; none without a row."""
    if len(space.widths) == 1:
        return {space.width: np.arange(len(genes))} if len(genes) else {}
    rows = {width: np.flatnonzero(genes[:, -1] == index) for index, width in enumerate(space.widths)}
    return {width: found for width, found in rows.items() if len(found)}


def gene_counts(space: SearchSpace) -> tuple[int, ...]:
    """Number of values of each gene: the branches of every slot and, if there are several, the widths."""
    return tuple(map(len, space.genes))


def space_size(space: SearchSpace) -> int:
    """Number of archs in the space."""
    return math.prod(gene_counts(space))


def arch_width(space: SearchSpace, arch: Arch) -> int:
    """Channels of the trunk of a valid arch."""
    return space.widths[arch[len(space.slots)] if len(space.widths) > 1 else 0]


def width_genes(space: SearchSpace, genes: Array) -> Array:
    """The index of each arch's width in the space's: int32 `[..., genes]` to `[...]`. Traceable."""
    return genes[..., -1] if len(space.widths) > 1 else 0 * genes[..., -1]


def validate_arch(space: SearchSpace, arch: Arch) -> Arch:
    """The arch as a tuple of Python ints. Raises `InputError`: it does not have one index per gene, each in
    its gene's range.
    """
    limits = gene_counts(space)
    try:
        arch = tuple(operator.index(index) for index in arch)
    except TypeError:
        raise InputError(f"arch {arch!r}: must be a tuple of ints, one per gene") from None
    if len(arch) != len(limits):
        needed = f"{len(space.slots)} slots{' and a width' if len(space.widths) > 1 else ''}"
        raise InputError(f"arch {arch!r} has {len(arch)} indices; the space has {needed}")
    for gene, (index, limit) in enumerate(zip(arch, limits, strict=True)):
        if not 0 <= index < limit:
            what = f"slot {gene}" if gene < len(space.slots) else "the width"
            raise InputError(f"arch {arch!r}: {what} takes 0 to {limit - 1}, not {index}")
    return arch


def to_archs(space: SearchSpace, genes: Array) -> list[Arch]:
    """Rows of an integer array `[N, genes]` as validated archs."""
    rows, limits = np.asarray(genes), gene_counts(space)
    archs = [tuple(row) for row in rows.tolist()]
    whole = np.issubdtype(rows.dtype, np.integer) and rows.shape[1:] == (len(limits),)
    if whole and np.all((rows >= 0) & (rows < limits)):
        return archs
    return [validate_arch(space, arch) for arch in archs]  # says which one is wrong, and how


def _costs(space: SearchSpace, slot: int, width: int) -> list[tuple[int, int]]:
    """Mult-adds per pixel and weights of each branch of a slot."""
    return [(pixel_mult_adds(specs), weight_count(specs)) for specs in space.reads(slot, width)]


def _arch_costs(space: SearchSpace, arch: Arch) -> list[tuple[int, int]]:
    """Mult-adds per pixel and weights of the head and of the branch of every slot."""
    arch = validate_arch(space, arch)
    width = arch_width(space, arch)
    slots = [_costs(space, slot, width)[arch[slot]] for slot in range(len(space.slots))]
    return [(HEAD_INPUTS * width, (HEAD_INPUTS + 1) * width), *slots]


def branch_mult_adds(space: SearchSpace, slot: int, width: int | None = None) -> list[int]:
    """Multiply-adds of each branch of a slot per LR pixel, at a width (None: the widest)."""
    return [pixel for pixel, _ in _costs(space, slot, space.width if width is None else width)]


def arch_parameters(space: SearchSpace, arch: Arch) -> int:
    """Weights that the arch uses, the head's included."""
    return sum(weights for _, weights in _arch_costs(space, arch))


def arch_mult_adds(space: SearchSpace, arch: Arch, output: tuple[int, int] = (720, 1280)) -> int:
    """Multiply-adds of one frame of `output` HR rows and columns (1280x720, the field's convention)."""
    per_pixel = sum(pixel for pixel, _ in _arch_costs(space, arch))
    return per_pixel * output[0] * output[1] // space.scale**2


def smallest_arch(space: SearchSpace, width: int | None = None) -> Arch:
    """The arch of a width (None: the narrowest) with the fewest mult-adds, then the fewest weights, in every
    slot.
    """
    return _extreme(space, space.widths[0] if width is None else width, min)


def largest_arch(space: SearchSpace, width: int | None = None) -> Arch:
    """The arch of a width (None: the widest) with the most mult-adds, then the most weights, in every
    slot.
    """
    return _extreme(space, space.width if width is None else width, max)


def with_width(space: SearchSpace, slots: Arch, width: int) -> Arch:
    """An arch of `at_width(space, width)` as one of the space."""
    return (*slots, space.widths.index(width)) if len(space.widths) > 1 else slots


def _extreme(
    space: SearchSpace, width: int, pick: Callable[[list[tuple[int, int]]], tuple[int, int]]
) -> Arch:
    slots = (_costs(space, slot, width) for slot in range(len(space.slots)))
    return with_width(space, tuple(costs.index(pick(costs)) for costs in slots), width)


def sample_archs(key: PRNGKey, space: SearchSpace, shape: tuple[int, ...] = ()) -> Array:
    """Archs drawn uniformly: int32 `[*shape, genes]`. Traceable."""
    limits = jnp.asarray(gene_counts(space), jnp.int32)
    return jax.random.randint(key, (*shape, len(limits)), 0, limits, jnp.int32)


def sample_plain_archs(key: PRNGKey, space: SearchSpace, count: int) -> Array:
    """Archs, int32 `[count, genes]`, of one branch each in a random share of the slots, else the cheapest.

    They lie all along the range of costs, where archs drawn uniformly all cost about as much, and nearer to a
    front. Half of them take the branch in the first slots, as nested training prefers, the others anywhere.
    The branch goes by its index, at most a slot's last; upsampler and width are drawn uniformly. Traceable.
    """
    key_branch, key_share, key_place, key_first, key_last = jax.random.split(key, 5)
    limits, body = jnp.asarray(gene_counts(space), jnp.int32), len(space.body)
    branch = jax.random.randint(key_branch, (count, 1), 0, jnp.max(limits[:body]), jnp.int32)
    share = jax.random.uniform(key_share, (count, 1))
    place = jax.random.uniform(key_place, (count, len(limits)))
    first = jax.random.bernoulli(key_first, 0.5, (count, 1))
    place = jnp.where(first, jnp.linspace(0.0, 1.0, len(limits)), place)
    cheapest = jnp.asarray(smallest_arch(space), jnp.int32)
    genes = jnp.where(place < share, jnp.minimum(branch, limits - 1), cheapest)
    drawn = jax.random.randint(key_last, (count, len(limits) - body), 0, limits[body:], jnp.int32)
    return genes.at[:, body:].set(drawn)


def mutate(key: PRNGKey, space: SearchSpace, genes: Array, rate: float | Array) -> Array:
    """Each gene of int32 `[..., genes]` becomes, with probability `rate`, another branch, if there is one."""
    key_which, key_step = jax.random.split(key)
    limits = jnp.asarray(gene_counts(space), jnp.int32)
    step = jax.random.randint(key_step, genes.shape, 1, jnp.maximum(limits, 2), jnp.int32)
    hit = jax.random.bernoulli(key_which, rate, genes.shape)
    return jnp.where(hit, (genes + step) % limits, genes)


def crossover(key: PRNGKey, first: Array, second: Array) -> Array:
    """Uniform crossover: each gene of int32 `[..., genes]` from either parent with probability 1/2."""
    return jnp.where(jax.random.bernoulli(key, 0.5, first.shape), first, second)
