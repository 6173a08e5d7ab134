"""Convolutions and their hand-written gradients against XLA's convolution and its autodiff."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from dysr_jax.model import conv

# [N, H, W], then channels in and out. Frames narrower than a kernel are all border.
SHAPES = [((2, 7, 5), 3, 4), ((3, 4, 9), 4, 1), ((1, 1, 2), 1, 2)]

close = functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5)


def dense(x, kernel):
    """The oracle: `lax` computes and differentiates it."""
    return lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))


def depthwise(x, kernel):
    """The oracle: one group a channel."""
    return lax.conv_general_dilated(
        x,
        kernel[:, :, None, :],
        (1, 1),
        "SAME",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=x.shape[-1],
    )


def random(*shapes):
    rng = np.random.default_rng(0)
    return [rng.normal(size=shape).astype(np.float32) for shape in shapes]


@functools.partial(jax.jit, static_argnums=0)
def output_and_gradients(fn, x, kernel, cotangent):
    out, pull = jax.vjp(fn, x, kernel)
    return out, *pull(cotangent)


def assert_same(fn, oracle, x, kernel, cotangent):
    found = output_and_gradients(fn, x, kernel, cotangent)
    expected = output_and_gradients(oracle, x, kernel, cotangent)
    for ours, theirs in zip(found, expected, strict=True):
        assert np.abs(theirs).max() > 0.01
        close(ours, theirs)


@pytest.mark.parametrize("size", [3, 5])
@pytest.mark.parametrize(("frames", "inputs", "outputs"), SHAPES)
def test_conv2d(frames, inputs, outputs, size):
    arrays = random((*frames, inputs), (size, size, inputs, outputs), (*frames, outputs))
    assert_same(conv.conv2d, dense, *arrays)


@pytest.mark.parametrize("size", [3, 5])
@pytest.mark.parametrize(("frames", "channels"), [shape[:2] for shape in SHAPES])
def test_depthwise_conv2d(frames, channels, size):
    arrays = random((*frames, channels), (size, size, channels), (*frames, channels))
    assert_same(conv.depthwise_conv2d, depthwise, *arrays)


def chain(dense_conv, depthwise_conv):
    """A scan whose every step picks one of four convolutions: where the search program calls them."""

    def run(x, kernels, picks):
        def step(carry, pick):
            out = lax.switch(
                pick,
                [
                    lambda y: dense_conv(y, kernels["dense"]),
                    lambda y: dense_conv(y, kernels["dense"][1:4, 1:4]),
                    lambda y: depthwise_conv(y, kernels["depthwise"]),
                    lambda y: depthwise_conv(y, kernels["depthwise"][1:4, 1:4]),
                ],
                carry,
            )
            return jnp.tanh(out), None

        return lax.scan(step, x, picks)[0]

    return jax.jit(lambda x, kernels, picks, ct: _with_gradients(run, x, kernels, picks, ct))


def _with_gradients(run, x, kernels, picks, cotangent):
    out, pull = jax.vjp(lambda x, kernels: run(x, kernels, picks), x, kernels)
    return out, pull(cotangent)


def test_inside_switch_inside_scan():
    x, dense_kernel, depthwise_kernel, cotangent = random((2, 6, 7, 4), (5, 5, 4, 4), (5, 5, 4), (2, 6, 7, 4))
    kernels = {"dense": 0.2 * dense_kernel, "depthwise": 0.2 * depthwise_kernel}
    ours, theirs = chain(conv.conv2d, conv.depthwise_conv2d), chain(dense, depthwise)
    outs = []
    for picks in ([0, 0, 0], [1, 1, 1], [2, 2, 2], [3, 3, 3], [0, 3, 1], [2, 1, 0]):
        picks = np.array(picks, np.int32)
        found, expected = ours(x, kernels, picks, cotangent), theirs(x, kernels, picks, cotangent)
        jax.tree.map(close, found, expected)
        outs.append(np.asarray(found[0]))
    # Had the pick been ignored, the sides would have agreed all the same.
    assert all(not np.allclose(a, b, atol=1e-2) for i, a in enumerate(outs) for b in outs[:i])


@pytest.mark.parametrize("size", [3, 5])
def test_forms_for_other_backends_agree_with_those_for_the_cpu(size):
    """The CPU never runs what a GPU or a TPU does; the functions themselves run anywhere."""
    frames, channels, outputs = (2, 6, 5), 3, 4
    x, grad, kernel = random((*frames, channels), (*frames, outputs), (size, size, channels))
    expected = output_and_gradients(dense, x, np.zeros((size, size, 3, 4), np.float32), grad)[2]
    for form in (conv._kernel_gradient_autodiff, conv._kernel_gradient_nhwc):
        close(form(size, x, grad), expected)
    for form in (conv._depthwise_grouped, conv._depthwise_shifted):
        close(form(x, kernel), depthwise(x, kernel))


@pytest.mark.parametrize(
    ("fn", "kernel_shape"), [(conv.conv2d, (3, 3, 4, 4)), (conv.depthwise_conv2d, (3, 3, 4))]
)
def test_bfloat16_stays_bfloat16_and_close(fn, kernel_shape, strict_dtypes):
    arrays = random((2, 6, 7, 4), kernel_shape, (2, 6, 7, 4))
    halves = [jnp.asarray(array, jnp.bfloat16) for array in arrays]
    found = output_and_gradients(fn, *halves)
    expected = output_and_gradients(fn, *arrays)
    for half, full in zip(found, expected, strict=True):
        assert half.dtype == jnp.bfloat16
        # bfloat16 has 8 bits of mantissa; a sum of 9 to 60 products loses a few more.
        np.testing.assert_allclose(half.astype(jnp.float32), full, atol=0.05 * float(jnp.abs(full).max()))


@pytest.mark.parametrize(("frames", "inputs", "outputs"), SHAPES)
def test_patches_times_a_matrix_are_a_convolution(frames, inputs, outputs):
    x, kernel = random((*frames, inputs), (3, 3, inputs, outputs))
    found = conv.patches3x3(x) @ kernel.reshape(9 * inputs, outputs)
    close(found, dense(x, kernel))


def test_pointwise_is_a_1x1_convolution():
    x, kernel = random((2, 5, 4, 3), (3, 6))
    close(conv.pointwise(x, kernel), dense(x, kernel[None, None]))
