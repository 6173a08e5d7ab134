"""Layer backends: who computes the convolutions that branches call, by the name that a supernet is made with.

To add one: write a class with the methods of `LayerBackend` (a subclass of `XlaLayers` overrides those that
it computes in its own way), and register an instance under a name.
"""

from typing import Final, Protocol

import jax
from chex import Array

from dysr_jax.errors import InputError
from dysr_jax.model import conv

Layer = tuple[Array, Array]
"""A kernel, whose last axis is the output channels `O`, and its bias `[O]`."""


class LayerBackend(Protocol):
    """Layers on `[N, H, W, C]` of one dtype, traced and differentiated: stride 1, zero padding, odd sides."""

    def conv2d(self, x: Array, kernel: Array) -> Array:
        """`[N, H, W, I]` and `[k, k, I, O]` to `[N, H, W, O]`."""

    def depthwise_conv2d(self, x: Array, kernel: Array) -> Array:
        """`[N, H, W, C]` and `[k, k, C]` to `[N, H, W, C]`."""

    def pointwise(self, x: Array, kernel: Array) -> Array:
        """`[N, H, W, I]` and `[I, O]` to `[N, H, W, O]`."""

    def residual_pair(self, x: Array, first: Layer, last: Layer) -> Array:
        """`x + conv(relu(conv(x)))`, with kernels `[3, 3, C, D]` and `[3, 3, D, C]`."""

    def bottleneck(self, x: Array, shrink: Layer, middle: Layer, expand: Layer) -> Array:
        """`x + pointwise(relu(conv(relu(pointwise(x)))))`: kernels `[C, D]`, `[3, 3, D, D]`, `[D, C]`."""


class XlaLayers:
    """The default backend: `dysr_jax.model.conv`, compiled and fused by XLA."""

    conv2d = staticmethod(conv.conv2d)
    depthwise_conv2d = staticmethod(conv.depthwise_conv2d)
    pointwise = staticmethod(conv.pointwise)

    def residual_pair(self, x: Array, first: Layer, last: Layer) -> Array:
        """See `LayerBackend`."""
        y = jax.nn.relu(self.conv2d(x, first[0]) + first[1])
        return x + (self.conv2d(y, last[0]) + last[1])

    def bottleneck(self, x: Array, shrink: Layer, middle: Layer, expand: Layer) -> Array:
        """See `LayerBackend`."""
        y = jax.nn.relu(self.pointwise(x, shrink[0]) + shrink[1])
        y = jax.nn.relu(self.conv2d(y, middle[0]) + middle[1])
        return x + self.pointwise(y, expand[0]) + expand[1]


XLA: Final = "xla"
_BACKENDS: dict[str, LayerBackend] = {}


def register_backend(name: str, layers: LayerBackend) -> None:
    """Name a backend. A name is never given twice, because executables are cached by it. Raises `InputError`:
    the name is no text, empty or taken.
    """
    if not isinstance(name, str) or not name:
        raise InputError(f"backend name must be text, got {name!r}")
    if name in _BACKENDS:
        raise InputError(f"backend name {name!r} is taken; registered are {', '.join(_BACKENDS)}")
    _BACKENDS[name] = layers


def layer_backend(name: str) -> LayerBackend:
    """The backend of this name. Raises `InputError`: no backend has it."""
    if name not in _BACKENDS:
        raise InputError(f"layers must be one of {', '.join(_BACKENDS)}, got {name!r}")
    return _BACKENDS[name]


register_backend(XLA, XlaLayers())
