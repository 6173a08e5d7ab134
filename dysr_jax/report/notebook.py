"""A slider along the front, for notebooks: each position upscales the image with that member."""

import io
import time
from typing import Any

import numpy as np

from dysr_jax.metrics import psnr_y
from dysr_jax.report.plots import busiest_corner
from dysr_jax.runtime import Bank


def _png(pixels: np.ndarray) -> bytes:
    from PIL import Image

    content = io.BytesIO()
    Image.fromarray(pixels).save(content, format="PNG")
    return content.getvalue()


def front_slider(bank: Bank, lr: np.ndarray, hr: np.ndarray, *, side: int = 320) -> Any:
    """A widget: move along the members, see the image and how long this very frame took.

    Moving the slider sends the image through another executable of the bank; nothing is compiled.

    Args:
        bank: prepared for the image's shape.
        lr: `[H, W, 3]` uint8.
        hr: `[s H, s W, 3]` uint8, for PSNR-Y and to choose the detail.
        side: of the detail that is shown, in HR pixels.

    Returns:
        The widget, or None where ipywidgets is not installed.
    """
    try:
        import ipywidgets
    except ImportError:
        return None
    members = {member.name: member for member in bank.bundle.members}
    row, column = busiest_corner(hr, side)
    names = [(f"{i}: {name}", name) for i, name in enumerate(members, 1)]
    slider = ipywidgets.SelectionSlider(
        options=names, description="member", continuous_update=False, layout=ipywidgets.Layout(width="90%")
    )
    picture, words = ipywidgets.Image(format="png"), ipywidgets.Label()

    def show(change: Any = None) -> None:
        start = time.perf_counter()
        image = bank(lr, slider.value)
        took_ms = (time.perf_counter() - start) * 1e3
        quality = float(psnr_y(image, hr, bank.bundle.space.scale))
        picture.value = _png(image[row : row + side, column : column + side])
        weights = members[slider.value].parameters / 1e3
        words.value = f"{quality:.2f} dB here, {took_ms:.1f} ms for this frame, {weights:.0f}K weights"

    slider.observe(show, names="value")
    show()
    return ipywidgets.VBox([slider, words, picture])
