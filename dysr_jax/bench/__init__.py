"""What `dysr bench` and `dysr profile` measure; each function returns a frozen dataclass with `to_json()`.

`setup` is what they share. `step`: the search program against static programs. `search`: candidates per
second; `whole_search`: where its time goes. `scaling`: over devices. `data`: pipelines. `front`: a whole
space. `latency`: `profile`. `fps` and `frames`: frames per second; `rivals`: those of other runtimes.
`stream`: its stages alone and together; `steady`, `steady_result` and `burners`: beside other programs.
`switch/`: switches.
"""

from etils import epy

with epy.lazy_api_imports(globals()):  # each is imported when it is first used
    from dysr_jax.bench.data import DataResult, bench_data
    from dysr_jax.bench.fps import FpsResult, bench_fps, frame_calls
    from dysr_jax.bench.frames import OUTPUT_ROWS, FrameCall, TimeBudget, device_fps, output_size, photograph
    from dysr_jax.bench.front import FrontResult, bench_front, evaluate_space
    from dysr_jax.bench.latency import LatencyProfile, profile
    from dysr_jax.bench.scaling import ScalingResult, bench_scaling
    from dysr_jax.bench.search import SEARCH_PROGRAM, SearchResult, bench_search
    from dysr_jax.bench.setup import BenchResult
    from dysr_jax.bench.steady import SteadyOptions, bench_steady
    from dysr_jax.bench.steady_result import AGAINST, SteadyResult, SteadyStream
    from dysr_jax.bench.step import CandidatesResult, StepResult, bench_candidates, bench_step
    from dysr_jax.bench.stream import StreamResult, StreamRow, bench_stream
