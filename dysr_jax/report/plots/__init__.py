"""Figures, one function each."""

from etils import epy

with epy.lazy_api_imports(globals()):  # each is imported when it is first used
    from dysr_jax.report.plots.front import (
        BLUE,
        GREY,
        ORANGE,
        busiest_corner,
        pareto_figure,
        samples_figure,
        save_figure,
        sharing_figure,
        truth_figure,
        truth_text,
    )
    from dysr_jax.report.plots.latency import latency_figure
    from dysr_jax.report.plots.members import comparison_figure, members_figure, memory_figure, strips_figure
    from dysr_jax.report.plots.progress import candidates_figure, hypervolume_figure, training_figure
    from dysr_jax.report.plots.stream import (
        finished,
        predictions_figure,
        streamed_figure,
        switch_figure,
        switching_figure,
        timeline_figure,
    )
    from dysr_jax.report.plots.style import page, save_pair
