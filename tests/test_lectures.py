"""The worked numbers of the lectures, one test a row of section 1 of the lecture list; ✘ marks a slide that is wrong."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxcnn import functional as F
from jaxcnn import models
from jaxcnn.data import load
from jaxcnn.geometry import Window, chain, conv_counts, dense_counts, pool_counts, separable_counts
from jaxcnn.interpret import summarise

GRID = [
    [3, 0, 1, 2, 7, 4],
    [1, 5, 8, 9, 3, 1],
    [2, 7, 2, 5, 1, 3],
    [0, 1, 3, 1, 7, 8],
    [4, 2, 1, 6, 2, 8],
    [2, 4, 5, 2, 3, 9],
]
POOLED = [[4, 3, 1, 5], [1, 3, 4, 8], [4, 5, 4, 3], [6, 5, 9, 4]]
X_IMAGE = -np.ones((9, 9)) + 2 * np.pad(np.eye(7) + np.eye(7)[::-1] > 0, 1)
BACKSLASH = [[1, -1, -1], [-1, 1, -1], [-1, -1, 1]]
NINTHS = [
    [7, -1, 1, 3, 5, -1, 3],
    [-1, 9, -1, 3, -1, 1, -1],
    [1, -1, 9, -3, 1, -1, 5],
    [3, 3, -3, 5, -3, 3, 3],
    [5, -1, 1, -3, 9, -1, 1],
    [-1, 1, -1, 3, -1, 9, -1],
    [3, -1, 5, 3, 1, -1, 7],
]


def image(grid):
    """A grid as one image with one channel."""
    return jnp.asarray(grid, jnp.float32)[None, :, :, None]


def slide(grid, kernel):
    """The numbers of a slide: `kernel` slid over `grid` without padding."""
    return F.conv2d(image(grid), jnp.asarray(kernel, jnp.float32)[:, :, None, None], padding="valid")[0, :, :, 0]


def ones(*shape):
    return jnp.ones(shape)


def test_l1_1_convolution_of_integers():
    """L1.1: a 6×6 grid and a 3×3 kernel, cross-correlated."""
    grid = [
        [5, 2, 3, 1, 2, 4],
        [2, 4, 1, 0, 3, 1],
        [5, 1, 0, 2, 8, 3],
        [0, 2, 1, 5, 2, 4],
        [2, 7, 0, 0, 2, 1],
        [1, 3, 2, 8, 7, 0],
    ]
    expected = [[3, 6, 11, 10], [12, 7, 19, 11], [14, -4, 5, 27], [11, -5, 17, 0]]
    assert slide(grid, [[1, 2, -1], [0, 1, 2], [-2, 1, 0]]).tolist() == expected


def test_l1_2_convolution_of_bits():
    """L1.2: a 5×5 binary image and an X of ones."""
    grid = [[1, 1, 1, 0, 0], [0, 1, 1, 1, 0], [0, 0, 1, 1, 1], [0, 0, 1, 1, 0], [0, 1, 1, 0, 0]]
    assert slide(grid, [[1, 0, 1], [0, 1, 0], [1, 0, 1]]).tolist() == [[4, 3, 4], [2, 4, 3], [2, 3, 4]]


def check_operator(operator, kernel, expected):
    """An edge operator has this kernel and these responses, slid whole or as a column and a row."""
    assert F.filters.edge_kernel(operator=operator).tolist() == kernel
    assert slide(GRID, kernel).tolist() == expected
    assert F.filters.edge(image(GRID), operator=operator, padding="valid")[0, :, :, 0].tolist() == expected


def test_l1_3_edge_kernel():
    """L1.3: vertical edges."""
    expected = [[-5, -4, 0, 8], [-10, -2, 2, 3], [0, -2, -4, -7], [-3, -2, -3, -16]]
    check_operator("prewitt", [[1, 0, -1]] * 3, expected)


def test_l1_4_sobel():
    """L1.4: Sobel on the same grid."""
    expected = [[-12, -8, 5, 16], [-10, 0, 3, 5], [-3, -2, -8, -14], [0, -6, -4, -18]]
    check_operator("sobel", [[1, 0, -1], [2, 0, -2], [1, 0, -1]], expected)


def test_l1_5_scharr():
    """L1.5: Scharr on the same grid."""
    expected = [[-64, -40, 35, 80], [-30, 8, 13, 23], [-21, -6, -40, -70], [12, -34, -16, -62]]
    check_operator("scharr", [[3, 0, -3], [10, 0, -10], [3, 0, -3]], expected)


def test_l1_6_line_detectors_prefer_their_own_line():
    """L1.6: vertical and oblique line kernels; the absolute value of a vertical-edge response."""
    kernels = [F.filters.line_kernel(90), F.filters.line_kernel(45)]
    assert [k.tolist() for k in kernels] == [[[0, 1, 0]] * 3, [[0, 0, 1], [0, 1, 0], [1, 0, 0]]]
    lines = [np.tile([0, 0, 1, 0, 0], (5, 1)), np.eye(5)[::-1]]
    strongest = np.array([[slide(line, kernel).max() for line in lines] for kernel in kernels])
    np.testing.assert_array_equal(strongest, [[3, 1], [1, 3]])
    stripe = np.tile([0, 1, 1, 0, 0], (3, 1))
    signed, absolute = (F.filters.edge(image(stripe), absolute=a, padding="valid")[0, 0, :, 0] for a in (False, True))
    assert (signed.tolist(), absolute.tolist()) == ([-3, 3, 3], [3, 3, 3])


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("f", [1, 3, 5])
@pytest.mark.parametrize("n", [6, 7, 10])
def test_l1_7_output_size(n, f, stride):
    """L1.7: ⌊(n + 2p − f) / s⌋ + 1; "valid" 6×6 * 3×3 → 4×4; "same" is p = (f − 1) / 2."""
    for p in (0, 1, 2):
        expected = (n + 2 * p - f) // stride + 1
        y = F.conv2d(ones(1, n, n, 1), ones(f, f, 1, 1), stride=stride, padding=p)
        assert y.shape == (1, expected, expected, 1)
    assert Window.resolve(f, (n,), padding="same").padding == (((f - 1) // 2,) * 2,)
    assert F.conv2d(ones(1, 6, 6, 1), ones(3, 3, 1, 1), padding="valid").shape == (1, 4, 4, 1)


def test_l1_8_filters_over_a_volume():
    """L1.8: 6×6×3 * two 3×3×3 filters → 4×4×2; each filter sums over the three channels."""
    x = jnp.arange(108.0).reshape(1, 6, 6, 3)
    kernel = jnp.arange(54.0).reshape(3, 3, 3, 2)
    y = F.conv2d(x, kernel, padding="valid")
    assert y.shape == (1, 4, 4, 2)
    each = sum(slide(x[0, :, :, c], kernel[:, :, c, 1]) for c in range(3))
    np.testing.assert_array_equal(y[0, :, :, 1], each)


def test_l1_9_parameters_of_ten_filters():
    """L1.9: ten filters of 3×3×3 have 280 parameters with biases."""
    assert conv_counts(Window.resolve(3, (6, 6)), (6, 6), 3, 10).parameters == 280


def test_l1_10_max_pooling():
    """L1.10: f = 2, s = 2."""
    assert F.max_pool2d(image(POOLED), 2)[0, :, :, 0].tolist() == [[4, 8], [6, 9]]


def test_l1_11_average_pooling():
    """L1.11 ✘: the slide prints 5.3 where the mean is 5.0."""
    assert F.avg_pool2d(image(POOLED), 2)[0, :, :, 0].tolist() == [[2.75, 4.5], [5.0, 5.0]]


@pytest.mark.parametrize(("n", "f", "s"), [(4, 2, 2), (7, 3, 2), (13, 3, 2), (6, 2, 1), (5, 5, 1)])
def test_l1_12_pooling_size_and_parameters(n, f, s):
    """L1.12: no parameters, ⌊(n − f) / s⌋ + 1 a side, depth unchanged."""
    side, window = (n - f) // s + 1, Window.resolve(f, (n, n), stride=s)
    for pool in (F.max_pool2d, F.avg_pool2d):
        assert pool(ones(2, n, n, 11), f, stride=s).shape == (2, side, side, 11)
    assert pool_counts(window, (n, n), 11).parameters == 0


def test_l0_1_spatially_separable_kernel():
    """L0.1: an outer product separates, 9 → 6 multiplications a pixel; Sobel does; a general kernel does not."""
    kernel = jnp.array([[3.0, 6, 9], [4, 8, 12], [5, 10, 15]])
    column, row, residual = F.separate(kernel)
    np.testing.assert_allclose(column / column[0] * 3, [3, 4, 5], rtol=1e-6)
    np.testing.assert_allclose(row / row[0], [1, 2, 3], rtol=1e-6)
    assert residual < 1e-6
    assert F.separate(jnp.asarray(F.filters.edge_kernel(operator="sobel"), jnp.float32))[2] < 1e-6
    assert (kernel.size, column.size + row.size) == (9, 6)
    # the identity has three equal singular values: a column and a row keep one third of its energy
    np.testing.assert_allclose(F.separate(jnp.eye(3))[2], np.sqrt(2 / 3), rtol=1e-6)


def test_l0_2_depthwise_separable_counts_and_shapes():
    """L0.2: 12×12×3, 5×5 → 8×8×3 → 8×8×1 or 8×8×256; 1,228,800 multiplications against 53,952."""
    x, window, space = ones(1, 12, 12, 3), Window.resolve(5, (12, 12)), (12, 12)
    assert F.depthwise_conv(x, ones(5, 5, 3, 1), padding="valid").shape == (1, 8, 8, 3)
    for c_out in (1, 256):
        y = F.separable_conv(x, ones(5, 5, 3, 1), ones(3, c_out), padding="valid")
        assert y.shape == (1, 8, 8, c_out)
    assert conv_counts(window, space, 3, 256).multiply_adds == 1_228_800
    assert separable_counts(window, space, 3, 256).multiply_adds == 53_952


def test_l2_1_zero_padding_at_stride_2():
    """L2.1: 5×7 input, 3×3 filter, stride 2, zero padding → 3×4."""
    assert F.conv2d(ones(1, 5, 7, 1), ones(3, 3, 1, 1), stride=2, padding="same").shape == (1, 3, 4, 1)
    assert Window.resolve(3, (5, 7), stride=2, padding="same").output_size((5, 7)) == (3, 4)


def test_l2_2_dense_layer_weights():
    """L2.2: 1000 units on 100×100 pixels have 10⁷ weights."""
    assert dense_counts(100 * 100, 1000, bias=False).parameters == 10**7


@pytest.mark.parametrize("stride", [(1, 1), (2, 3), (3, 1)])
@pytest.mark.parametrize("unit", [(0, 0), (1, 2), (2, 1)])
def test_l2_3_a_unit_sees_its_window(unit, stride):
    """L2.3 ✘: unit (i, j) sees rows i·s_h … i·s_h+f_h−1, columns j·s_w …, all maps; the slide swaps s_h and s_w."""
    size, space = (3, 2), (11, 13)
    rows, columns = (range(i * s, i * s + f) for i, s, f in zip(unit, stride, size))
    answer = lambda x: F.conv2d(x, ones(*size, 3, 1), stride=stride, padding="valid")[0, *unit, 0]
    seen = np.argwhere(jax.grad(answer)(ones(1, *space, 3))[0])
    assert seen.tolist() == [[y, x, c] for y in rows for x in columns for c in range(3)]
    field = chain([Window.resolve(size, space, stride=stride)])
    assert field.first(unit) == (rows[0], columns[0])
    assert field.last(unit) == (rows[-1], columns[-1])


def test_l2_4_stacked_3x3_kernels():
    """L2.4 ✘: two 3×3 kernels see 5×5, not 9×9; four see 9×9."""
    layer = Window.resolve(3, (32, 32))
    assert [chain([layer] * count).size for count in (2, 4)] == [(5, 5), (9, 9)]


def test_l3_1_six_filters():
    """L3.1: 32×32×3 with six 5×5×3 filters → 28×28×6; 456 parameters."""
    assert F.conv2d(ones(1, 32, 32, 3), ones(5, 5, 3, 6), padding="valid").shape == (1, 28, 28, 6)
    assert conv_counts(Window.resolve(5, (32, 32)), (32, 32), 3, 6).parameters == 456


def test_l3_2_pooling_variants():
    """L3.2: maximum, average and a fixed weighted average (binomial) of the same 3×3 windows."""
    x = image(GRID)
    binomial = jnp.outer(jnp.array([1.0, 2, 1]), jnp.array([1.0, 2, 1]))[:, :, None, None] / 16
    variants = [F.max_pool2d(x, 3), F.avg_pool2d(x, 3), F.depthwise_conv(x, binomial, stride=3, padding="valid")]
    expected = [[[8, 9], [5, 9]], [[29 / 9, 35 / 9], [22 / 9, 46 / 9]], [[3.75, 3.875], [2.375, 4.75]]]
    np.testing.assert_allclose([v[0, :, :, 0] for v in variants], expected, rtol=1e-6)


def test_l4_1_convolution_flips_and_correlation_does_not():
    """L4.1: (f * g)[n] = Σ f[n − m] g[m], beside cross-correlation."""
    f, g = jnp.array([0.0] * 5 + [1.0] * 5)[None, :, None], jnp.array([-1.0, 1.0])[:, None, None]
    assert F.convolve(f, g)[0, :, 0].tolist() == [0, 0, 0, 0, 0, -1, 0, 0, 0, 0, 1]
    assert F.conv1d(f, g, padding="full")[0, :, 0].tolist() == [0, 0, 0, 0, 0, 1, 0, 0, 0, 0, -1]


def test_l4_2_response_of_the_x():
    """L4.2: mean-normalised response of the 9×9 "X"; the mirrored and the "x" kernel beside it."""
    response = slide(X_IMAGE, np.array(BACKSLASH) / 9)
    np.testing.assert_allclose(response, np.array(NINTHS) / 9, atol=1e-6)
    truncated = np.trunc(np.array(response[0] + 1e-6 * np.sign(response[0])) * 100) / 100
    np.testing.assert_allclose(truncated, [0.77, -0.11, 0.11, 0.33, 0.55, -0.11, 0.33])
    mirrored = slide(X_IMAGE, np.array(BACKSLASH)[:, ::-1])
    np.testing.assert_array_equal(mirrored, np.array(NINTHS)[:, ::-1])
    both = slide(X_IMAGE, [[1, -1, 1], [-1, 1, -1], [1, -1, 1]])
    assert both[0].tolist() == [3, -5, 1, -1, 1, -5, 3]
    assert both[3].tolist() == [-1, 3, -7, 9, -7, 3, -1]


@pytest.mark.parametrize(
    ("stride", "padding", "outputs"),
    [
        ((1, 1), "valid", (7, 7)),
        ((2, 2), "valid", (4, 4)),
        ((3, 3), "valid", (3, 3)),
        ((3, 1), "valid", (3, 7)),
        (1, "same", (9, 9)),
    ],
)
def test_l4_3_strides(stride, padding, outputs):
    """L4.3: strides and padding on the 9×9 image with a 3×3 kernel."""
    assert F.conv2d(image(X_IMAGE), ones(3, 3, 1, 1), stride=stride, padding=padding).shape == (1, *outputs, 1)


def test_l4_4_tensors_of_two_layers():
    """L4.4: (N,9,9,1) → (3,3,1,2) → (N,7,7,2) → (3,3,2,2) → (N,5,5,2)."""
    first = F.conv2d(ones(5, 9, 9, 1), ones(3, 3, 1, 2), padding="valid")
    second = F.conv2d(first, ones(3, 3, 2, 2), padding="valid")
    assert (first.shape, second.shape) == ((5, 7, 7, 2), (5, 5, 5, 2))


def test_l4_5_max_pooling_keeps_the_ragged_edge():
    """L4.5: L4.2's 7×7, 2×2 stride 2 → 4×4 with the ragged edge (ceil mode)."""
    pooled = F.max_pool2d(image(NINTHS), 2, ceil_mode=True)[0, :, :, 0]
    assert pooled.tolist() == [[9, 3, 5, 3], [3, 9, 3, 5], [5, 3, 9, 1], [3, 5, 1, 7]]


def test_l4_6_dense_and_convolutional_weights():
    """L4.6: on 10×10 pixels 32 dense nodes have 3,200 weights, 32 3×3 filters 288 (no biases)."""
    assert dense_counts(10 * 10, 32, bias=False).parameters == 3_200
    assert conv_counts(Window.resolve(3, (10, 10)), (10, 10), 1, 32, bias=False).parameters == 288


def test_l4_7_order_of_the_axes():
    """L4.7: black/white, grey and colour images; CHW ↔ HWC keeps every pixel; order and shape of the tensors."""
    colour = jnp.arange(2 * 5 * 7 * 3).reshape(2, 5, 7, 3)
    first = F.to_channels_first(colour)
    assert (first.shape, first.ndim) == ((2, 3, 5, 7), 4)
    assert first[1, 2, 4, 6] == colour[1, 4, 6, 2]
    np.testing.assert_array_equal(F.to_channels_last(first), colour)
    single = F.to_channels_first(colour[0], batched=False)
    assert single.shape == (3, 5, 7)
    for picture in (colour[..., :1], colour[..., :1] > 20):  # grey, black and white
        np.testing.assert_array_equal(F.to_channels_first(picture)[:, 0], picture[..., 0])


def test_l0_3_parameters_of_any_network():
    """L0.3: the summary table counts any layer of any network."""
    model = models.create("lenet5", rngs=nnx.Rngs(0))
    rows = {row.name: row for row in summarise(model, (1, 28, 28, 1)).rows}
    assert rows["conv1"].parameters == 5 * 5 * 1 * 6 + 6
    assert rows["conv2"].multiply_adds == 10 * 10 * 5 * 5 * 6 * 16
    assert rows["dense1"].shape == (1, 120)
    assert sum(row.parameters for row in rows.values()) == 61_706


def test_l1_13_lenet_of_1998_has_60000_parameters():
    """L1.13: C1 156, S2 12, C3 1,516, S4 32, C5 48,120, F6 10,164."""
    model = models.create("lenet5_1998", rngs=nnx.Rngs(0))
    summary = summarise(model, (1, 32, 32, 1))
    counts = {row.name: row.parameters for row in summary.rows}
    assert counts == {"c1": 156, "s2": 12, "c3": 1516, "s4": 32, "c5": 48_120, "f6": 10_164, "output": 0}
    assert sum(leaf.size for leaf in jax.tree.leaves(nnx.state(model, nnx.Param))) == 60_000


def test_l4_8_classical_features_are_a_baseline():
    """L4.8: HOG and LBP by scikit-image feed a linear classifier, the baseline beside a CNN."""
    feature = pytest.importorskip("skimage.feature")
    linear_model = pytest.importorskip("sklearn.linear_model")
    digits = load("digits")

    def features(images):
        hog = [feature.hog(image, pixels_per_cell=(2, 2), cells_per_block=(2, 2)) for image in images[..., 0]]
        lbp = [np.bincount(feature.local_binary_pattern(image, 8, 1).astype(int).ravel(), minlength=256)
               for image in images[..., 0]]  # fmt: skip
        return np.concatenate([np.array(hog), np.array(lbp) / 64], 1)

    classifier = linear_model.LogisticRegression(max_iter=300)
    classifier.fit(features(digits.train.images[:600]), digits.train.labels[:600])
    accuracy = classifier.score(features(digits.test.images), digits.test.labels)
    assert 0.85 < accuracy < 0.985  # better than chance by far, worse than the CNN of `make train`
