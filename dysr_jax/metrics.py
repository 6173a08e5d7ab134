"""PSNR and SSIM of luma, as super-resolution papers report them.

uint8 RGB becomes BT.601 studio-range Y, rounded; `scale` pixels are cut off each side; the peak is 255.
Grey images keep their values. Images are `[..., H, W, C]` uint8; C is 3 (RGB) or 1 (grey).
"""

import chex
import jax.numpy as jnp

PEAK = 255.0
PSNR_CAP_DB = 100.0  # PSNR assigned to an exact reproduction, in dB


def to_pixels(image: chex.Array) -> chex.Array:
    """uint8 to float32 in [0, 1]."""
    return image.astype(jnp.float32) / 255.0


def to_uint8(pixels: chex.Array) -> chex.Array:
    """Floats in [0, 1] (clipped) to the nearest of 256 levels."""
    return jnp.round(jnp.clip(pixels, 0.0, 1.0) * PEAK).astype(jnp.uint8)


def luma(image: chex.Array) -> chex.Array:
    """BT.601 Y in [16, 235], rounded: `[..., H, W, 3]` uint8 to `[..., H, W]` float32.

    A grey image `[..., H, W, 1]` is its own luma.
    """
    pixels = jnp.asarray(image).astype(jnp.float32)
    if pixels.shape[-1] == 1:
        return pixels[..., 0]
    red, green, blue = pixels[..., 0], pixels[..., 1], pixels[..., 2]
    return jnp.round(16.0 + (65.481 * red + 128.553 * green + 24.966 * blue) / 255.0)


def shave(image: chex.Array, border: int) -> chex.Array:
    """`[..., H, W]` without `border` pixels on each side."""
    return image[..., border : image.shape[-2] - border, border : image.shape[-1] - border]


def mse_y(image: chex.Array, reference: chex.Array, border: int) -> chex.Array:
    """Mean squared error of the shaved luma: `[..., H, W, C]` twice to `[...]` float32."""
    error = shave(luma(image) - luma(reference), border)
    return jnp.mean(jnp.square(error), (-2, -1))


def psnr(mse: chex.Array) -> chex.Array:
    """PSNR in dB from a mean squared error; infinite for 0."""
    return 10.0 * jnp.log10(PEAK**2 / mse)


def psnr_y(image: chex.Array, reference: chex.Array, border: int) -> chex.Array:
    """PSNR in dB of the shaved luma: `[..., H, W, C]` uint8 twice to `[...]` float32."""
    return psnr(mse_y(image, reference, border))


def ssim_y(image: chex.Array, reference: chex.Array, border: int) -> chex.Array:
    """SSIM of the shaved luma (Wang et al. 2004: Gaussian 11x11, sigma 1.5), through dm_pix.

    `[..., H, W, C]` uint8 twice to `[...]` float32; the shaved sides need at least 11 pixels.
    """
    import dm_pix

    planes = [shave(luma(x), border) for x in (image, reference)]
    batch = planes[0].shape[:-2]
    flat = [plane.reshape(-1, *plane.shape[-2:], 1) for plane in planes]
    return dm_pix.ssim(*flat, max_val=PEAK).reshape(batch)
