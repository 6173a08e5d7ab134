"""The search: population evaluator, latency model, NSGA-II, Pareto front, selection, the loop."""

from etils import epy

with epy.lazy_api_imports(globals()):  # each is imported when it is first used
    from dysr_jax.search.archive import Archive, Record
    from dysr_jax.search.config import SearchConfig, check_config
    from dysr_jax.search.evaluator import Evaluator
    from dysr_jax.search.latency import (
        LatencyTable,
        branch_ms,
        load_table,
        predict,
        save_table,
        table_json,
        table_key,
    )
    from dysr_jax.search.loop import candidates_per_second, search
    from dysr_jax.search.members import choose, front, measure, sample_frame
    from dysr_jax.search.objectives import costs, feasible, violation
    from dysr_jax.search.pareto import hypervolume
    from dysr_jax.search.patches import Patches, grid_patches
    from dysr_jax.search.probing import Fidelity, device_table, leave_one_out, measure_table
    from dysr_jax.search.schedule import computed_share, deal
    from dysr_jax.search.select import WEIGHTS, SharingPoint, ladder, sharing_curve
