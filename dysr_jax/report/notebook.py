"""A slider along the front, for notebooks: each position upscales the image with that member."""

import time
from typing import Any

import numpy as np

from dysr_jax.metrics import psnr_y
from dysr_jax.report.comparison import busiest_detail, encode_image
from dysr_jax.runtime import Server


def front_slider(bank: Server, lr: np.ndarray, hr: np.ndarray, *, side: int = 320) -> Any:
    """A widget: move along the members, see the image and how long this very frame took.

    Moving the slider sends `lr`, `[H, W, 3]` uint8, through another executable of the bank, which is prepared
    for its shape; nothing is compiled. `hr` is for PSNR-Y and chooses the detail that is shown, `side` pixels
    wide. Returns None where ipywidgets is not installed.
    """
    try:
        import ipywidgets
    except ImportError:
        return None
    scale = bank.bundle.space.scale
    members = {member.name: member for member in bank.bundle.members}
    rows, columns = (slice(part.start * scale, part.stop * scale) for part in busiest_detail(hr, scale, side))
    names = [(f"{i}: {name}", name) for i, name in enumerate(members, 1)]
    wide = ipywidgets.Layout(width="90%")
    slider = ipywidgets.SelectionSlider(
        options=names, description="member", continuous_update=False, layout=wide
    )
    picture, words = ipywidgets.Image(format="png"), ipywidgets.Label()

    def show(change: Any = None) -> None:
        start = time.perf_counter()
        image = bank(lr, slider.value)
        took_ms = (time.perf_counter() - start) * 1e3
        quality = float(psnr_y(image, hr, scale))
        picture.value = encode_image(image[rows, columns], "PNG")
        weights = members[slider.value].parameters / 1e3
        words.value = f"{quality:.2f} dB here, {took_ms:.1f} ms for this frame, {weights:.0f}K weights"

    slider.observe(show, names="value")
    show()
    return ipywidgets.VBox([slider, words, picture])
