"""The report of a run as one HTML file of its own: `write` fills the page (assets/) with `content`."""

from etils import epy

with epy.lazy_api_imports(globals()):  # each is imported when it is first used
    from dysr_jax.report.html.write import write_report
