"""Videos in and out: frames as RGB `[H, W, 3]` uint8 with their times, read and written through PyAV."""

from etils import epy

with epy.lazy_api_imports(globals()):  # each is imported when it is first used
    from dysr_jax.video.reader import Reader, open_video
    from dysr_jax.video.writer import Writer, open_writer
