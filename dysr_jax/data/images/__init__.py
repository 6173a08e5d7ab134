"""Image files to 8-bit pixels and back.

- `read` (by Pillow; `png` and `tiff` for what it cannot), `write`; `formats` are those that are known.
- `pixels`: every mode and depth as uint8; `profiles`: colours; `metadata`: EXIF and the like.
"""

from etils import epy

with epy.lazy_api_imports(globals()):  # each is imported when it is first used
    from dysr_jax.data.images.formats import (
        HEIC_SUFFIXES,
        MAX_PIXELS,
        check_pixel_count,
        open_image,
        readable_suffixes,
        writable_suffixes,
    )
    from dysr_jax.data.images.metadata import turn_upright
    from dysr_jax.data.images.pixels import fill_transparent, grey_to_rgb, rgb_to_grey
    from dysr_jax.data.images.profiles import HDR
    from dysr_jax.data.images.read import (
        Picture,
        error_reason,
        picture_from_pil,
        read_grey_or_rgb,
        read_image,
        read_picture,
    )
    from dysr_jax.data.images.write import check_image_size, check_image_suffix, pil_info, write_image
