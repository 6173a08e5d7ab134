"""The search.

`loop` asks `nsga2` for archs, which `evaluator` judges: quality on patches by one program for a whole
`population` in the order of its `schedule`, latency by the table of `latency` that `probing` measures, by the
objectives and bounds of `config`. Which archs are worth it, a `surrogate` or the front of `additive` scores
may say. Every candidate stands in the `archive`; `loop` also saves the state between generations, and the
`clock` where their time went. `seeding` is what a search takes over from another one. `select` chooses from
the front (`pareto`) the members, for hypervolume or for a `load`, and measures them.
"""

from etils import epy

with epy.lazy_api_imports(globals()):  # each is imported when it is first used
    from dysr_jax.search.archive import Archive, Record, candidates_per_second
    from dysr_jax.search.clock import (
        AFTER,
        BEFORE,
        CLOCK_FILE,
        PARTS,
        Clock,
        Lap,
        Laps,
        PartSeconds,
        SearchTimes,
        search_times,
        timed_stage,
    )
    from dysr_jax.search.config import SearchConfig, arch_costs, describe_bounds, feasible_records, violation
    from dysr_jax.search.evaluator import Evaluator
    from dysr_jax.search.latency import (
        LatencyTable,
        WidthTerms,
        branch_ms,
        is_foreign,
        load_table,
        predict,
        save_table,
        table_from_json,
        table_json,
        table_key,
    )
    from dysr_jax.search.load import Load, expected_psnr_y, frames_load, read_load
    from dysr_jax.search.loop import search
    from dysr_jax.search.pareto import hypervolume
    from dysr_jax.search.population import Patches, grid_patches
    from dysr_jax.search.probing import Fidelity, device_table, leave_one_out, measure_table
    from dysr_jax.search.schedule import computed_share, partition
    from dysr_jax.search.seeding import first_archs, reused_records, to_reused
    from dysr_jax.search.select import (
        SWITCH_COST_WEIGHTS,
        SharingPoint,
        choose_ladder,
        choose_members,
        describe_load,
        front_records,
        measure_members,
        sample_frame,
        sharing_curve,
    )
    from dysr_jax.search.surrogate import taus
