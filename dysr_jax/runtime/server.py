"""The seam: what makes frames with any of its members is a `Server`, and all of them name members alike."""

import abc
import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias

import chex
import numpy as np

from dysr_jax.aot import Memory
from dysr_jax.bundle import Bundle
from dysr_jax.fields import require
from dysr_jax.model import RGB, Arch, Frame, FrameFormat, arch_name, validate_arch

FrameShape = tuple[int, int]
"""LR rows and columns."""

FrameLike: TypeAlias = chex.Array | Frame
"""An image `[H, W, 3]` uint8, or the planes of a video's frame."""

MemberLike = str | Arch
"""A member's name or an arch's, in any spelling; `fastest` or `best`; or the arch itself."""

Members = Sequence[MemberLike] | None
"""Which members; None: all."""


class Server(Protocol):
    """Makes frames with any of its members. The member is an argument; none is "set active".

    A runtime that derives from it has `prepare`, `dispatch` and `memory`; unknown members are an InputError.
    """

    bundle: Bundle
    """The members, and the space of their archs."""

    @abc.abstractmethod
    def prepare(self, shape: FrameShape, members: Members = None, *, warm_up: bool = True) -> None:
        """Do everything that can be done before the first frame of this shape (default: by all members).

        With `warm_up` each new executable runs once, so that its first frame is as fast as the next.
        """

    @abc.abstractmethod
    def dispatch(self, frame: chex.Array, member: MemberLike) -> chex.Array:
        """Start to upscale `[H, W, 3]` uint8 to `[s H, s W, 3]` uint8: the array may not be ready yet."""

    def __call__(self, frame: Any, member: MemberLike) -> np.ndarray:
        """What `dispatch` makes of a frame, on the host: `[s H, s W, 3]` uint8."""
        return np.asarray(self.dispatch(frame, member))

    def close(self) -> None:
        """Do nothing more in the background; frames still go."""
        return

    @abc.abstractmethod
    def memory(self) -> Memory:
        """Bytes that are resident: weights, executables, and the workspace of one frame."""


class VideoServer(Server, Protocol):
    """Takes planes as well: of upright frames, in the format that it was prepared for."""

    @abc.abstractmethod
    def prepare(
        self, shape: FrameShape, members: Members = None, *, frames: FrameFormat = RGB, warm_up: bool = True
    ) -> None:
        """As of `Server`, for frames that come as `frames` says; `shape` is that of upright ones."""

    @abc.abstractmethod
    def dispatch(self, frame: FrameLike, member: MemberLike) -> chex.Array:
        """As of `Server`, or from planes to samples `[size]` as their format says."""


class Subgraph(NamedTuple):
    """A member or another arch under its one name."""

    name: str  # the one spelling that `arch_name` gives
    arch: Arch


def resolve(bundle: Bundle, member: MemberLike, *, members_only: bool = False) -> Subgraph:
    """The sub-graph of a member, or (unless `members_only`) of any arch of the space; else an InputError."""
    arch = bundle.arch(member) if isinstance(member, str) else validate_arch(bundle.space, member)
    name = arch_name(bundle.space, arch)
    if members_only:
        bundle.member(name)
    return Subgraph(name, arch)


def resolve_all(bundle: Bundle, members: Members, *, members_only: bool = False) -> list[Subgraph]:
    """The sub-graphs of members (None: all), each once. Raises as `resolve`."""
    require(not isinstance(members, str), "members", members, "a list of names")
    given = [member.name for member in bundle.members] if members is None else members
    return list(dict.fromkeys(resolve(bundle, member, members_only=members_only) for member in given))


def resolver(bundle: Bundle, *, members_only: bool = False) -> Callable[[MemberLike], Subgraph]:
    """`resolve` with its answers kept, so that a frame costs a look-up."""
    find = functools.partial(resolve, bundle, members_only=members_only)
    kept = functools.lru_cache(maxsize=4096)(find)  # the archs that a stream goes through are few

    def resolved(member: MemberLike) -> Subgraph:
        try:
            return kept(member)
        except TypeError:  # lists and arrays cannot be keys
            return find(member)

    return resolved
