"""Videos in and out through PyAV: frames as planes or RGB images, with their times.

Reading: `source` opens a file, `addresses` an address or a camera, `packets` puts its packets on one
timeline, `decode` gives frames and their times, `planes` their arrays, `colour` RGB images of them, and
`reader` gives both and says what was lost, with what `facts` finds in a stream. Writing: `sink` knows
containers and takes the bytes, `encoders` knows encoders, `encoder_trial` tries them and `encoder_choice`
chooses one, `headers` patches what FFmpeg gets wrong, `tags` and `copied` keep what is beside the frames,
`samples` makes PyAV's frames, `encoding` makes packets of them, `muxing` writes these, `raw` writes Y4M, and
`writer` runs them in threads.
"""

from etils import epy

with epy.lazy_api_imports(globals()):  # each is imported when it is first used
    from dysr_jax.video.encoder_choice import EncoderInfo, list_encoders
    from dysr_jax.video.reader import Reader, open_video
    from dysr_jax.video.sink import FORMATS
    from dysr_jax.video.source import STANDARD
    from dysr_jax.video.writer import Writer, open_writer
