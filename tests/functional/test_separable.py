"""Separable convolutions against the dense convolution with the kernel they stand for; `separate` against NumPy's SVD."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxcnn import functional as F
from tests.reference import conv as oracle
from tests.reference.arrays import normal
from tests.reference.padding import resolve

OPTIONS = {
    "default": {},
    "valid": {"padding": "valid"},
    "strided": {"stride": (2, 3), "padding": ((1, 0), (2, 1))},
    "dilated": {"dilation": (2, 1), "padding": "full"},
    "circular": {"padding_mode": "circular", "padding": (1, 2), "stride": 2},
    "replicate": {"padding_mode": "replicate"},
}
NEAR = {"rtol": 0, "atol": 2e-5}  # two float32 sums of at most 60 products of order 1: gamma_60 · 60 · 3 each


def single(*shape, seed=0):
    return normal(*shape, seed=seed).astype(np.float32)


def dense(x, kernel, bias=None, *, padding_mode="zeros", **options):
    """The oracle's convolution for our words."""
    words = resolve(x.shape[1:-1], kernel.shape[:-2], **options)
    return oracle.conv(x, kernel, bias, mode=padding_mode, **words)


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_separable_conv_is_dense_with_the_product_kernel(options):
    x, bias = single(2, 7, 5, 3), single(11)
    depthwise, pointwise = single(3, 2, 3, 2), single(6, 11)
    kernel = np.einsum("hwcm,cmo->hwco", depthwise, pointwise.reshape(3, 2, 11))
    actual = F.separable_conv(x, depthwise, pointwise, bias, **options)
    np.testing.assert_allclose(actual, dense(x, kernel, bias, **options), **NEAR)


@pytest.mark.parametrize(("space", "size"), [((11,), (5,)), ((5, 3, 7), (2, 3, 1))])
def test_separable_conv_of_other_ranks(space, size):
    x, depthwise, pointwise = single(2, *space, 3), single(*size, 3, 2), single(6, 5)
    kernel = np.einsum("...cm,cmo->...co", depthwise, pointwise.reshape(3, 2, 5))
    np.testing.assert_allclose(F.separable_conv(x, depthwise, pointwise), dense(x, kernel), **NEAR)


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_spatially_separable_conv_is_dense_with_the_outer_kernel(options):
    x, column, row, bias = single(2, 7, 5, 3), single(3, 3, 2), single(2, 2, 11), single(11)
    kernel = np.einsum("icm,jmd->ijcd", column, row)
    actual = F.spatially_separable_conv(x, column, row, bias, **options)
    np.testing.assert_allclose(actual, dense(x, kernel, bias, **options), **NEAR)


def test_spatially_separable_conv_groups_keep_channels_apart():
    x, column, row = single(2, 7, 5, 3), single(3, 1, 3), single(2, 1, 3)
    actual = F.spatially_separable_conv(x, column, row, groups=3)
    for c in range(3):
        kernel = np.outer(column[:, 0, c], row[:, 0, c])[:, :, None, None]
        np.testing.assert_allclose(actual[..., [c]], dense(x[..., [c]], kernel), **NEAR)


def bytes_of(dtype, *shapes):
    """Any values of an 8-bit dtype, the extremes among them."""
    random, range_of = np.random.default_rng(4), np.iinfo(dtype)
    return [random.choice([range_of.min, range_of.max, 93, 5], shape).astype(dtype) for shape in shapes]


@pytest.mark.parametrize("dtype", [np.int8, np.uint8])
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_8_bit_integers_are_summed_into_int32_by_both_stages(options, dtype):
    x, depthwise, pointwise, bias = bytes_of(dtype, (2, 7, 5, 3), (3, 2, 3, 2), (6, 11), (11,))
    wide = [v.astype(np.int64) for v in (x, depthwise, pointwise, bias)]
    kernel = np.einsum("hwcm,cmo->hwco", wide[1], wide[2].reshape(3, 2, 11))
    y = F.separable_conv(x, depthwise, pointwise, bias, **options)
    assert y.dtype == jnp.int32
    np.testing.assert_array_equal(y, dense(wide[0], kernel, wide[3], **options))

    column, row = bytes_of(dtype, (3, 3, 2), (2, 2, 11))
    kernel = np.einsum("icm,jmd->ijcd", column.astype(np.int64), row.astype(np.int64))
    y = F.spatially_separable_conv(x, column, row, bias, **options)
    assert y.dtype == jnp.int32
    np.testing.assert_array_equal(y, dense(wide[0], kernel, wide[3], **options))


@pytest.mark.parametrize("which", [1, 2, 3])
def test_8_bit_integers_are_not_mixed_with_wider_ones(which):
    for function, shapes in (
        (F.separable_conv, ((3, 2, 3, 2), (6, 11), (11,))),
        (F.spatially_separable_conv, ((3, 3, 2), (2, 2, 11), (11,))),
    ):
        arrays = bytes_of(np.int8, (2, 7, 5, 3), *shapes)
        arrays[which] = arrays[which].astype(np.int32)
        with pytest.raises(TypeError, match=rf"^{function.__name__}: x is int8\[2,7,5,3\] but \w+ is int32"):
            function(*arrays)


@pytest.mark.parametrize(("kh", "kw"), [(3, 3), (5, 2), (1, 7)])
def test_separate_leaves_what_svd_leaves(kh, kw):
    kernel = single(kh, kw)
    column, row, residual = F.separate(kernel)
    values = np.linalg.svd(kernel.astype(np.float64), compute_uv=False)
    left = np.linalg.norm(values[1:]) / np.linalg.norm(values)
    np.testing.assert_allclose(residual, left, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(kernel - np.outer(column, row)) / np.linalg.norm(kernel), left, atol=1e-6)


@pytest.mark.parametrize("rank", [1, 2, 5, 9])
def test_separate_of_a_layer_makes_a_separable_convolution(rank):
    x, kernel = single(2, 7, 5, 3), single(3, 2, 3, 11)
    column, row, residual = F.separate(kernel, rank=rank)
    assert (column.shape, row.shape) == ((3, 3, rank), (2, rank, 11))
    approximate = np.einsum("icm,jmd->ijcd", column, row)
    left = np.linalg.norm(approximate - kernel) / np.linalg.norm(kernel)
    np.testing.assert_allclose(residual, left, atol=2e-6)
    np.testing.assert_allclose(F.spatially_separable_conv(x, column, row), dense(x, approximate), **NEAR)


def test_separate_is_exact_at_full_rank():
    assert F.separate(single(3, 2, 3, 11), rank=9)[2] < 1e-6


def test_separate_of_zero_is_zero():
    assert [float(jnp.abs(part).max()) for part in F.separate(jnp.zeros((3, 5)))] == [0, 0, 0]


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_separate_keeps_16_bit_dtypes(dtype):
    kernel = jnp.outer(jnp.array([1.0, 2, 1]), jnp.array([1.0, 0, -1])).astype(dtype)
    column, row, residual = F.separate(kernel)
    assert (column.dtype, row.dtype, residual.dtype) == (dtype,) * 3
    np.testing.assert_allclose(np.outer(column, row).astype(float), kernel.astype(float), atol=0.02)
