"""Figures, one function each: those for screens and, in papers' style, those of `write_figures()`.

`style` is what all share. `front`: PSNR-Y against latency. `progress`: training and search over time.
`members`: branches, bytes, images. `latency`: predictions, devices. `stream`: the run time.
"""

from etils import epy

with epy.lazy_api_imports(globals()):  # each is imported when it is first used
    from dysr_jax.report.plots.front import (
        candidates_figure,
        constraints_figure,
        members_figure,
        pareto_figure,
        sharing_figure,
        truth_figure,
    )
    from dysr_jax.report.plots.latency import (
        latency_figure,
        partition_figure,
        predictions_figure,
        scaling_figure,
    )
    from dysr_jax.report.plots.members import (
        comparison_figure,
        contributions_figure,
        details_figure,
        memory_figure,
        samples_figure,
        strips_figure,
    )
    from dysr_jax.report.plots.progress import (
        generations_figure,
        generations_gif,
        hypervolume_figure,
        training_figure,
    )
    from dysr_jax.report.plots.stream import (
        streamed_figure,
        switch_figure,
        switching_figure,
        timeline_figure,
        walk_figure,
    )
    from dysr_jax.report.plots.style import BLUE, GREY, ORANGE, paper_style, save_figure, save_pair
