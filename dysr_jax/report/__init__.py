"""What a person looks at: tables and figures of a run and of benchmarks.

`rundata` reads a run, `candidates` and `comparison` are parts of it. `summary`: of a finished search.
`tables`, `bench_tables`: the terminal. `plots/`: figures; `paper_figures`: all of a run. `html/`: the page.
"""

from etils import epy

with epy.lazy_api_imports(globals()):  # each is imported when it is first used
    from dysr_jax.report.bench_tables import (
        bench_table,
        front_summary,
        profile_table,
        search_tables,
        steady_table,
        switch_tables,
        write_timelines,
    )
    from dysr_jax.report.comparison import compare, write_comparison
    from dysr_jax.report.paper_figures import write_figures
    from dysr_jax.report.rundata import RunData, read_run
    from dysr_jax.report.summary import summarise, write_run_figures
    from dysr_jax.report.tables import (
        clock_table,
        datasets_table,
        encoders_table,
        format_count,
        format_number,
        format_table,
        members_table,
        scores_json,
        scores_table,
        steps_table,
        stream_summary,
    )
