"""Convolutions that are fast inside control flow: NHWC activations, HWIO kernels, stride 1, zero padding.

XLA's CPU backend brings convolutions into its fast layout only in the entry computation of a program. The
kernel gradient that autodiff derives is not in that layout, so inside `lax.switch` or `lax.scan` it runs ten
times slower: `conv2d` has a custom VJP whose convolutions are all NHWC/HWIO. On the CPU a depthwise
convolution is a sum of shifted products, because XLA's grouped convolution is 20 to 60 times slower there.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from chex import Array
from jax import lax


def _forward(x: Array, kernel: Array, groups: int = 1, padding: Any = "SAME") -> Array:
    options: Any = {"dimension_numbers": ("NHWC", "HWIO", "NHWC"), "feature_group_count": groups}
    return lax.conv_general_dilated(x, kernel, (1, 1), padding, **options)


def _kernel_gradient_nhwc(size: int, x: Array, grad: Array) -> Array:
    """As one NHWC/HWIO convolution: input channels as batch, the batch as channels, `grad` as the kernel."""
    around = [(size // 2, size // 2)] * 2
    out = _forward(x.transpose(3, 1, 2, 0), grad.transpose(1, 2, 0, 3), padding=around)
    return out.transpose(1, 2, 0, 3)


def _kernel_gradient_autodiff(size: int, x: Array, grad: Array) -> Array:
    """As XLA derives it: the form that cuDNN and the TPU recognise."""
    zeros = jnp.zeros((size, size, x.shape[-1], grad.shape[-1]), x.dtype)
    return jax.linear_transpose(lambda kernel: _forward(x, kernel), zeros)(grad)[0]


@jax.custom_vjp
def conv2d(x: Array, kernel: Array) -> Array:
    """`[N, H, W, I]` and `[k, k, I, O]`, of odd `k` and the same dtype, to `[N, H, W, O]`."""
    return _forward(x, kernel)


def _conv2d_bwd(residuals: tuple[Array, Array], grad: Array) -> tuple[Array, Array]:
    x, kernel = residuals
    forms = _kernel_gradient_nhwc, _kernel_gradient_autodiff
    cpu, default = (functools.partial(form, kernel.shape[0]) for form in forms)
    kernel_grad = lax.platform_dependent(x, grad, cpu=cpu, default=default)
    return _forward(grad, jnp.flip(kernel, (0, 1)).swapaxes(2, 3)), kernel_grad


conv2d.defvjp(lambda x, kernel: (_forward(x, kernel), (x, kernel)), _conv2d_bwd)


def _shifts(x: Array, size: int) -> list[list[Array]]:
    """The `size * size` views of `x` `[N, H, W, C]` that a kernel of that size sees, zero padded."""
    (_, height, width, _), pad = x.shape, size // 2
    padded = jnp.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    return [[padded[:, i : i + height, j : j + width] for j in range(size)] for i in range(size)]


def _depthwise_shifted(x: Array, kernel: Array) -> Array:
    rows = _shifts(x, kernel.shape[0])
    return sum(view * kernel[i, j] for i, row in enumerate(rows) for j, view in enumerate(row))


def _depthwise_grouped(x: Array, kernel: Array) -> Array:
    return _forward(x, kernel[:, :, None, :], groups=x.shape[-1])


def _depthwise_forward(x: Array, kernel: Array) -> Array:
    return lax.platform_dependent(x, kernel, cpu=_depthwise_shifted, default=_depthwise_grouped)


@jax.custom_vjp
def depthwise_conv2d(x: Array, kernel: Array) -> Array:
    """`[N, H, W, C]` and `[k, k, C]`, of odd `k` and the same dtype, to `[N, H, W, C]`."""
    return _depthwise_forward(x, kernel)


def _depthwise_bwd(residuals: tuple[Array, Array], grad: Array) -> tuple[Array, Array]:
    def total(view: Array) -> Array:
        return jnp.sum(view * grad, (0, 1, 2), dtype=jnp.float32)

    x, kernel = residuals
    input_grad = _depthwise_forward(grad, jnp.flip(kernel, (0, 1)))
    kernel_grad = jnp.stack([jnp.stack(list(map(total, row))) for row in _shifts(x, kernel.shape[0])])
    return input_grad, kernel_grad.astype(kernel.dtype)


depthwise_conv2d.defvjp(lambda x, kernel: (_depthwise_forward(x, kernel), (x, kernel)), _depthwise_bwd)


def pointwise(x: Array, kernel: Array) -> Array:
    """`[N, H, W, I]` and `[I, O]` to `[N, H, W, O]`: a 1x1 convolution as a matrix product."""
    return jnp.einsum("nhwi,io->nhwo", x, kernel)


def patches3x3(x: Array) -> Array:
    """im2col: `[N, H, W, C]` to `[N, H, W, 9 C]`, neighbours in row order, zero padded.

    With three input channels, a matrix product over these is about twice as fast on a GPU as the convolution.
    """
    return jnp.concatenate([view for row in _shifts(x, 3) for view in row], axis=-1)
