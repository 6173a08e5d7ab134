"""What `dysr bench` and `dysr profile` measure: ratios, rates, scaling, the latency table."""

from etils import epy

with epy.lazy_api_imports(globals()):  # each is imported when it is first used
    from dysr_jax.bench.data import bench_data
    from dysr_jax.bench.fps import TorchMode, bench_fps
    from dysr_jax.bench.frames import OUTPUTS, Budget, Call, device_fps, output_size, photograph
    from dysr_jax.bench.front import FrontCheck, bench_front, evaluate_space
    from dysr_jax.bench.latency import Profile, profile
    from dysr_jax.bench.scaling import bench_scaling
    from dysr_jax.bench.search import bench_search
    from dysr_jax.bench.steady import SteadyOptions, bench_steady
    from dysr_jax.bench.step import bench_candidates, bench_step
