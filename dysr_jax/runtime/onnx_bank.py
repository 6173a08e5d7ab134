"""ONNX Runtime as a server: a session per member, over shared weights and one arena."""

from collections.abc import Callable

import chex
import numpy as np

from dysr_jax.aot import Memory, Session, WeightPool, find_provider, frame_model
from dysr_jax.bundle import Bundle, check_bundle
from dysr_jax.device import resident_bytes
from dysr_jax.errors import InputError
from dysr_jax.fields import require
from dysr_jax.model import RGB, Frame, FrameFormat
from dysr_jax.runtime.converted import dispatch_converted, prepare_converted
from dysr_jax.runtime.executable_lru import check_frame, check_shape
from dysr_jax.runtime.server import (
    FrameLike,
    FrameShape,
    MemberLike,
    Members,
    VideoServer,
    resolve_all,
    resolver,
)


class OnnxBank(VideoServer):
    """Sessions by member; a switch is another name. Any thread may send frames while another prepares.

    A session takes frames of any shape. Raises `InputError`: as `dysr_jax.aot.find_provider`, or a backend
    that is XLA.
    """

    def __init__(self, bundle: Bundle, backend: str = "onnxruntime") -> None:
        check_bundle(bundle)
        provider = find_provider(backend)
        require(provider is not None, "backend", backend, "onnxruntime or onnxruntime:PROVIDER")
        bundle.check_layers("ONNX Runtime")
        self.bundle, self.provider = bundle, str(provider)
        self._resolve = resolver(bundle)
        self._pool = WeightPool()
        self._sessions: dict[str, Session] = {}
        self._session_bytes = self._workspace = 0
        self._frame_bytes = 0  # of the largest frame and its result

    def prepare(
        self, shape: FrameShape, members: Members = None, *, frames: FrameFormat = RGB, warm_up: bool = True
    ) -> None:
        """Make the sessions of members, or other archs whose weights are there. Raises `InputError`: a branch
        without an ONNX form, weights that were not kept, or what the provider refuses.
        """
        shape, found = check_shape(shape), resolve_all(self.bundle, members)
        prepare_converted(shape, self.bundle.space.scale, frames)
        missing = [each for each in found if each.name not in self._sessions]
        if not self._sessions and missing:  # the runtime itself grows with its first session
            arch = missing[0].arch
            Session(frame_model(self.bundle.space, self.bundle.params, arch), self.provider, WeightPool())
        space, before, weights, written = self.bundle.space, resident_bytes(), self._pool.bytes, 0
        for name, arch in missing:
            model = frame_model(space, self.bundle.params, arch, shared=True)
            self._sessions[name] = Session(model, self.provider, self._pool)
            written += len(model.content)
        made = resident_bytes()
        self._session_bytes += max(written, made - before - (self._pool.bytes - weights))
        self._frame_bytes = max(self._frame_bytes, 3 * shape[0] * shape[1] * (1 + space.scale**2))
        for name, _ in missing if warm_up else ():
            self._sessions[name](np.zeros((*shape, 3), np.uint8))
        self._workspace += max(0, resident_bytes() - made)

    def dispatch(self, frame: FrameLike, member: MemberLike) -> chex.Array:
        """Upscale `[H, W, 3]` uint8, or planes, and wait for it. Raises `InputError`: what is neither, no
        member or was not prepared, or a frame that the provider refuses.
        """
        name = self._resolve(member).name
        _, batch, _ = check_frame(frame)
        if isinstance(frame, Frame):
            return dispatch_converted(frame, lambda image: self.dispatch(np.asarray(image), member))
        require(batch is None, "frame", frame.shape, "[H, W, 3]: ONNX Runtime takes one at a time")
        session = self._sessions.get(name)
        if session is None:
            ready = ", ".join(self._sessions) or "none"
            raise InputError(f"member {name!r} is not prepared; ready are {ready}")
        return session(frame)

    def memory(self) -> Memory:
        """Bytes of the weights; of the sessions beside them, and of what frames take: by how much the process
        grew while they were made and first ran.
        """
        return Memory(self._pool.bytes, self._session_bytes, max(self._workspace, self._frame_bytes))


def open_server(bundle: Bundle, backend: str, xla: Callable[[], VideoServer]) -> VideoServer:
    """The server of a backend (`dysr_jax.aot.sessions`): what `xla` makes, or an `OnnxBank`."""
    return xla() if find_provider(backend) is None else OnnxBank(bundle, backend)
