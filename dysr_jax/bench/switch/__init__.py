"""Switch latency, side by side: one resident supernet against the ways of others."""

from etils import epy

with epy.lazy_api_imports(globals()):  # each is imported when it is first used
    from dysr_jax.bench.switch.bench import bench_switch
    from dysr_jax.bench.switch.reload import ReloadCached, write_shelf
    from dysr_jax.bench.switch.result import StrategyResult, SwitchResult
    from dysr_jax.bench.switch.servers import STRATEGIES
