"""Opens encoders and encodes a frame with each, as a program of its own: `encoders.try_encoders` runs it.

A driver or a library that ends its process, hangs or changes its priority does that here. It reads a list of
trials as JSON, and writes a line per trial: null, or why it failed. It imports nothing of the package.
"""

import json
import re
import sys
from fractions import Fraction
from typing import Any


def why_not(
    name: str, device: str | None, form: str, options: dict[str, str], size: tuple[int, int], rate: str
) -> str | None:
    """Why an encoder cannot be opened, or does not encode a frame; None where it does."""
    import av

    av.logging.set_level(av.logging.ERROR)  # what FFmpeg says beside the number of its error
    how = (
        {} if device is None else {"hwaccel": av.codec.hwaccel.HWAccel(device, allow_software_fallback=False)}
    )
    with av.logging.Capture() as logged:
        try:
            context: Any = av.CodecContext.create(name, "w", **how)
            context.width, context.height = size
            context.pix_fmt, context.framerate, context.options = form, Fraction(rate), options
            context.open()
            frame = av.VideoFrame(*size, form)
            frame.pts = 0
            works = [*context.encode(frame), *context.encode(None)]
            return None if works else "it gives nothing"
        except (av.error.FFmpegError, ValueError, RuntimeError, NotImplementedError) as error:
            said = [re.sub(r"\s+", " ", text).strip(" .") for _, _, text in logged]
            return next(filter(None, reversed(said)), str(getattr(error, "strerror", None) or error))


if __name__ == "__main__":
    for trial in json.load(sys.stdin):
        print(json.dumps(why_not(**trial)), flush=True)
