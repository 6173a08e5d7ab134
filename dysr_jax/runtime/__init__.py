"""From a bundle to frames. What makes frames is a `Server`, and its member is an argument of every frame.

server: the seam, and the one way to name a member; bank: an executable per member, ready ahead of time
(executable_lru: within a budget); chain: an executable per distinct stage, for any arch whose weights are
there; serving: chained until the own executable is compiled; onnx_bank: a session of ONNX Runtime per member;
converted: planes through those that take images; onnx_model: a network of others in it; stream, trace: frames
at a rate that a policy holds, and what was done; measuring: what a switch and a frame of each member cost on
this machine.
"""

from etils import epy

with epy.lazy_api_imports(globals()):  # each is imported when it is first used
    from dysr_jax.runtime.bank import Bank
    from dysr_jax.runtime.chain import Chain
    from dysr_jax.runtime.measuring import SwitchReport, measure_switching, measure_timings
    from dysr_jax.runtime.onnx_bank import OnnxBank, open_server
    from dysr_jax.runtime.onnx_model import OnnxModel, open_rivals
    from dysr_jax.runtime.server import (
        FrameShape,
        MemberLike,
        Members,
        Server,
        VideoServer,
        resolve,
        resolve_all,
        resolver,
    )
    from dysr_jax.runtime.serving import Serving
    from dysr_jax.runtime.stream import Stream, StreamOptions
    from dysr_jax.runtime.trace import STAGES, FrameRecord, Load, Trace, trace_from_json
