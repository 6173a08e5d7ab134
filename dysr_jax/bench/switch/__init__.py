"""What a switch between members costs, side by side: one resident supernet against the ways of others.

bench          the experiment: which members, in which order
comparison     the strategies take turns, each in a child process with a server and a stopwatch (worker)
servers        the ways to serve members, by name; weights_store: what all start from
result         what was measured, and its JSON
"""

from etils import epy

with epy.lazy_api_imports(globals()):  # each is imported when it is first used
    from dysr_jax.bench.switch.bench import bench_switch
    from dysr_jax.bench.switch.result import FailedStrategy, MemberTimes, StrategyResult, SwitchResult
    from dysr_jax.bench.switch.servers import STRATEGIES, Reload
    from dysr_jax.bench.switch.weights_store import WeightsStore, write_weights_store
