"""What sees what: a pixel that is not finite changes the pixels that see it and no others; and sums of derivatives in 16 bits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.core import jaxprs_in_params
from jax.test_util import check_grads

from jaxcnn import augment as A
from jaxcnn.augment._weighted import weighted
from tests.functional.operations import arrays, differentiable

from .operations import AUGMENTATIONS, COMPONENTS

KEY = jax.random.key(1)
X = np.random.default_rng(0).uniform(0.2, 0.8, (3, 9, 8, 3)).astype(np.float32)
LABELS, PARTNER = np.eye(3, dtype=np.float32), np.array([1, 2, 0])
MATRIX = np.eye(2) + 0.1 * np.random.default_rng(5).normal(size=(3, 2, 2))
SHIFT = np.random.default_rng(6).normal(size=(3, 2))

LOCAL = {
    "affine": lambda x: A.affine(x, MATRIX, SHIFT),
    "affine cubic": lambda x: A.affine(x, MATRIX, SHIFT, method="cubic", fill=0.3),
    "rotate": lambda x: A.rotate(x, 17.0),
    "brightness": lambda x: A.brightness(x, 0.7),
    "saturation": lambda x: A.saturation(x, 0.7),
    "greyscale": A.greyscale,
    "colour_jitter": lambda x: A.colour_jitter(x, brightness=0.9, saturation=1.1, order=(2, 0)),
    "sharpness": lambda x: A.sharpness(x, 0.5),
    "blur": lambda x: A.blur(x, np.array([0.0, 1.0, 2.0]), 5),
    "resized_crop": lambda x: A.resized_crop(x, np.array([[1, 1, 6, 7], [0.5, 0, 9, 8], [-3, 2, 20, 5]]), (4, 6)),
    "resized_crop larger": lambda x: A.resized_crop(x, np.array([2, 2, 5, 5]), (9, 9)),
    "random_resized_crop": lambda x: A.random_resized_crop(KEY, x, (5, 4)),
    "erase": lambda x: A.erase(x, np.array([1, 1, 5, 5])),
    "random_erase": lambda x: A.random_erase(KEY, x, probability=0.8),
    "cutout": lambda x: A.cutout(x, np.array([3.0, 3.0]), 3),
    "crop": lambda x: A.crop(x, np.array([-1, 2]), 5),
    "random_crop": lambda x: A.random_crop(KEY, x, 8, padding=2, padding_mode="reflect"),
    "mixup": lambda x: A.mixup(x, LABELS, PARTNER, np.array([1.0, 0.5, 0.3]))[0],
    "cutmix": lambda x: A.cutmix(x, LABELS, PARTNER, np.array([2, 2, 5, 5]))[0],
    "random_flip_left_right": lambda x: A.random_flip_left_right(KEY, x),
    "solarize": lambda x: A.solarize(x, 0.5),
    "invert": A.invert,
    "fancy_pca": lambda x: A.fancy_pca(x, np.full((3, 3), 0.1), COMPONENTS),
    "apply_operation moved": lambda x: A.apply_operation(x, np.array([1, 5, 3]), np.array([0.2, 20.0, 2.0])),
    "apply_operation": lambda x: A.apply_operation(x, np.array([0, 9, 11]), np.array([0.2, 0.8, 0.5])),
    "sometimes": lambda x: A.sometimes(lambda key, x: A.autocontrast(x) * 0 + A.invert(x), probability=0.0)(KEY, x),
}
PIXELS = [(0, 3, 4, 1), (1, 0, 0, 0), (2, 5, 2, 2), (1, 4, 4, 1)]


def sees(function, at):
    """Which outputs change with a pixel, by 0.001 and by 0.1, up and down."""
    x = jnp.asarray(X)
    moved = [function(x.at[at].add(step)) != function(x) for step in (0.001, -0.001, 0.1, -0.1)]
    return np.any(moved, 0)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", LOCAL)
def test_a_pixel_is_seen_where_it_counts_and_nowhere_else(name, value):
    function = jax.jit(LOCAL[name])
    clean = np.asarray(function(X))
    for at in PIXELS:
        y, seen = np.asarray(function(jnp.asarray(X).at[at].set(value))), sees(function, at)
        np.testing.assert_allclose(y[~seen], clean[~seen], rtol=1e-6)
        assert np.isfinite(clean).all()
        assert np.isnan(value) <= np.isnan(y[seen]).all()


@pytest.mark.parametrize("name", LOCAL)
def test_a_missing_pixel_spreads_to_no_derivative_that_does_not_depend_on_it(name):
    function = jax.jit(LOCAL[name])
    gradient = jax.jit(jax.grad(lambda x: (function(x) ** 2).sum()))
    pull = jax.vjp(function, jnp.asarray(X))[1]
    for at in PIXELS:
        seen = sees(function, at)
        weights = [np.random.default_rng(i).normal(size=seen.shape) * seen for i in range(3)]
        may = np.any([pull(jnp.asarray(w, jnp.float32))[0] != 0 for w in weights], 0)
        # a partner of share 0 has the derivative 0 · NaN
        may |= (name == "mixup") & np.isin(np.arange(3), [at[0], PARTNER[at[0]]])[:, None, None, None]
        assert np.isfinite(np.asarray(gradient(jnp.asarray(X).at[at].set(np.nan)))[~may]).all()


@pytest.mark.parametrize("function", [lambda x: A.contrast(x, 0.5), A.autocontrast, A.equalize], ids=["c", "a", "e"])
def test_a_missing_pixel_stays_in_its_image(function):
    x = np.random.default_rng(0).random((2, 20, 20, 2)).astype(np.float32)
    missing = jnp.asarray(x).at[0, 3, 4, 1].set(np.nan)
    y, clean = function(missing), function(x)
    np.testing.assert_array_equal(y[1], clean[1])
    assert np.isnan(y[0, 3, 4, 1])


@pytest.mark.parametrize("name", ["autocontrast", "contrast", "posterize", "sharpness", "equalize", "solarize"])
def test_what_is_not_chosen_brings_no_nan_back(name):
    number, x = A.OPERATIONS.index("translate_x"), jnp.asarray(X).at[0, 3, 4, 1].set(np.nan)
    moved = lambda x, amount: A.apply_operation(x, jnp.array([number] * 3), amount).sum()
    gradients = jax.grad(moved, (0, 1))(x, jnp.full(3, 2.0))
    assert all(np.isfinite(g).all() for g in gradients)
    step = lambda key, x: A.apply_operation(x, jnp.full(3, A.OPERATIONS.index(name)), 1.0)
    never = jax.grad(lambda x: A.sometimes(step, probability=0.0)(KEY, x).sum())(x)
    np.testing.assert_array_equal(never, np.ones_like(X))


def test_weighted_is_the_product_with_its_derivatives():
    with jax.enable_x64(True):
        rng = np.random.default_rng(0)
        w, x = jnp.asarray(rng.normal(size=(2, 3, 5)) * [1, 0, 1, 0, 1]), jnp.asarray(rng.normal(size=(2, 4, 5, 2)))
        product = lambda w, x: jnp.einsum("nab,npbc->npac", w, x)
        check_grads(weighted, (w, x), order=3)
        for axes in ((0, 0), (0, None), (None, 0)):
            args = [v if a is None else jnp.stack([v, 2 * v, -v]) for v, a in zip((w, x), axes)]
            got, expected = (jax.vmap(f, axes)(*args) for f in (weighted, product))
            np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12)


def test_weighted_tells_the_infinities_apart():
    w = jnp.array([[[1.0, 0.0, -2.0], [0.0, 3.0, 0.0], [-1.0, 0.0, 0.0], [1.0, 0.0, 1.0]]])
    x = jnp.array([[[[np.inf], [1.0], [np.inf]]]])
    np.testing.assert_array_equal(weighted(w, x).ravel(), [np.nan, 3, -np.inf, np.inf])


def narrow_sums(jaxpr):
    """Sums within a program whose result is a 16-bit float."""
    for equation in jaxpr.eqns:
        narrow = any(getattr(v.aval, "dtype", None) in (jnp.bfloat16, jnp.float16) for v in equation.outvars)
        if narrow and equation.primitive.name in ("reduce_sum", "scatter-add", "cumsum", "dot_general"):
            yield equation.primitive.name
        for inner in jaxprs_in_params(equation.params):
            yield from narrow_sums(inner)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_nothing_is_summed_in_16_bits(name, dtype):
    function, *specs = AUGMENTATIONS[name]
    args = [v.astype(dtype) if jnp.issubdtype(v.dtype, jnp.floating) else v for v in arrays(specs)]
    numbers = differentiable(specs)

    def total(*moving):
        given = dict(enumerate(args)) | dict(zip(numbers, moving))
        return sum(v.astype(jnp.float32).sum() for v in jax.tree.leaves(function(*given.values())))

    program = jax.make_jaxpr(jax.value_and_grad(total, range(len(numbers))))(*(args[i] for i in numbers))
    assert list(narrow_sums(program.jaxpr)) == []


LARGE = (1, 112, 112, 1)
FILLED = {  # the number of pixels that the fill is in, by hand
    "erase": (lambda x, fill: A.erase(x, np.array([0, 0, 112, 112]), fill=fill), 112 * 112),
    "cutout": (lambda x, fill: A.cutout(x, np.array([50.0, 50.0]), 100, fill=fill), 100 * 100),
    "affine": (lambda x, fill: A.affine(x, jnp.eye(2)[None], jnp.full((1, 2), 500.0), fill=fill), 112 * 112),
    "rotate": (lambda x, fill: A.rotate(x, 0.0, fill=fill), 0),
}


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("name", FILLED)
def test_the_derivative_of_a_fill_counts_its_pixels(name, dtype):
    function, count = FILLED[name]
    total = lambda fill: function(jnp.ones(LARGE, dtype), fill).astype(jnp.float32).sum()
    assert jax.grad(total)(jnp.asarray(0.5, dtype)) == jnp.asarray(count, dtype)


def test_the_derivative_of_a_partner_counts_its_images():
    x, labels = jnp.ones((600, 2, 2, 1), jnp.bfloat16), jnp.ones((600, 1))
    total = lambda x: A.cutmix(x, labels, jnp.zeros(600, int), np.array([0, 0, 1, 1]))[0].astype(jnp.float32).sum()
    assert jax.grad(total)(x)[0, 0, 0, 0] == 600  # summed one by one in bfloat16: 256


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_a_second_eager_call_compiles_nothing(name):
    function, *specs = AUGMENTATIONS[name]
    first, second, events = arrays(specs), arrays(specs, seed=5), []
    second = [jax.random.key(9) if spec == "key" else v for v, spec in zip(second, specs)]
    jax.block_until_ready(function(*first))
    listening = [True]
    note = lambda event, *_, **__: events.append(event) if listening else None
    jax.monitoring.register_event_duration_secs_listener(note)
    jax.block_until_ready(function(*second))
    listening.clear()
    assert events == []
