"""Programs for a user: images, files, folders of a benchmark, and videos."""

from etils import epy

with epy.lazy_api_imports(globals()):  # each is imported when it is first used
    from dysr_jax.apps.evaluation import BICUBIC, SetScores, evaluate_set
    from dysr_jax.apps.files import Written, upscale_files
    from dysr_jax.apps.upscaler import PictureLike, Upscaler
    from dysr_jax.apps.videos import VideoOptions, stream_video
