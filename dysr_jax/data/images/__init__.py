"""Image files to pixels and back: formats, bit depths, colour profiles, metadata."""

from etils import epy

with epy.lazy_api_imports(globals()):  # each is imported when it is first used
    from dysr_jax.data.images.formats import HEIC, MAX_PIXELS, check_pixels, open_image, readable, writable
    from dysr_jax.data.images.metadata import turn_upright
    from dysr_jax.data.images.pixels import as_grey, filled
    from dysr_jax.data.images.read import (
        Picture,
        check_size,
        check_suffix,
        picture_of,
        read_grey_or_rgb,
        read_image,
        read_picture,
        reason_of,
        to_rgb,
        write_image,
    )
    from dysr_jax.data.images.save import info_of
