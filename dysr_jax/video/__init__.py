"""Videos in and out through PyAV: frames as planes, or as RGB `[H, W, 3]` uint8, with their times.

Reading: `source` opens a file or one of the `addresses`, `packets` puts its packets on one timeline, `decode`
gives frames and their times, `planes` and `colour` make planes or RGB images of them, and `reader` gives them
and says what was lost. Writing: `sink` knows containers and takes the bytes, `encoders` what FFmpeg's
encoders take, and `encoder_choice` chooses one. `headers` patches what FFmpeg gets wrong, `tags` and `copied`
keep what is beside the frames. `samples` makes PyAV's frames, `encoding` packets of them, `muxing` writes
these, and `writer` runs both in threads.
"""

from etils import epy

with epy.lazy_api_imports(globals()):  # each is imported when it is first used
    from dysr_jax.video.encoder_choice import EncoderInfo, list_encoders
    from dysr_jax.video.reader import Reader, open_video
    from dysr_jax.video.sink import FORMATS
    from dysr_jax.video.source import STANDARD
    from dysr_jax.video.writer import Writer, open_writer
