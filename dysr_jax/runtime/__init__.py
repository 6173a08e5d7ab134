"""From a bundle to frames: executables compiled ahead of time, switching, images in and out."""

from etils import epy

with epy.lazy_api_imports(globals()):  # each is imported when it is first used
    from dysr_jax.runtime.bank import Bank, FrameShape
    from dysr_jax.runtime.chain import Chain
    from dysr_jax.runtime.rest_times import measure_rungs
    from dysr_jax.runtime.serving import Serving
    from dysr_jax.runtime.stream import Dispatch, Stream, StreamOptions
    from dysr_jax.runtime.switching import SwitchReport, measure_switching
    from dysr_jax.runtime.trace import FrameRecord, Load, Trace, trace_from_json
