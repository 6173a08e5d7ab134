"""What a person looks at: tables and figures of a run."""

from etils import epy

with epy.lazy_api_imports(globals()):  # each is imported when it is first used
    from dysr_jax.report.bench_tables import steady_table, switch_tables, write_timelines
    from dysr_jax.report.comparison import compare, write_comparison
    from dysr_jax.report.paper_figures import write_figures
    from dysr_jax.report.run_figures import write_run_figures
    from dysr_jax.report.tables import (
        bench_table,
        datasets_table,
        format_count,
        format_number,
        format_table,
        members_table,
        profile_table,
        scores_json,
        scores_table,
        stream_summary,
        summarise,
    )
