"""The MobileNets of TensorFlow Lite's files, read from integers, against PyTorch's functions; norms folded into kernels."""

from functools import partial
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from benchmarks.drawn import blank, drawn
from jaxcnn import models, weights
from jaxcnn.interpret import capture
from jaxcnn.models.mobilenet_v1 import PAIRS
from jaxcnn.models.mobilenet_v2 import STAGES, rounded

V1 = partial(models.create, "tflite_mobilenet_v1_025", width=0.125, num_classes=5)
V2 = partial(models.create, "tflite_mobilenet_v2", width=0.5, num_classes=5)
HEAD = "Logits.Conv2d_1c_1x1"


class File:
    """A file of random integers: `shapes` gathers what a layer's kernel is, as (out, h, w, in) or (1, h, w, channels)."""

    def __init__(self, rng):
        self.rng, self.arrays = rng, {}

    def layer(self, name, shape):
        outputs = shape[0] if shape[0] > 1 else shape[3]
        terms = np.prod(shape[1:]) if shape[0] > 1 else np.prod(shape[1:3])
        self.arrays |= {
            f"{name}.q": self.rng.integers(0, 256, shape, np.uint8),
            f"{name}.scale": np.float32(np.sqrt(3 / terms) / 74),  # 74: deviation of 0, …, 255
            f"{name}.zero_point": np.int32(self.rng.integers(120, 137)),
            f"{name}.bias_q": self.rng.integers(-1000, 1000, outputs).astype(np.int32),
            f"{name}.bias_scale": np.float32(1e-3),
        }

    def conv(self, x, name, stride=1, relu6=True):
        """By PyTorch in float64; zeros by TensorFlow's rule, the larger half behind."""
        import torch

        q, scale, zero, bias_q, bias_scale = (
            torch.tensor(self.arrays[f"{name}.{part}"], dtype=torch.float64)
            for part in ("q", "scale", "zero_point", "bias_q", "bias_scale")
        )
        kernel, bias = (
            value.float().double() for value in ((q - zero) * scale, bias_q * bias_scale)
        )  # as they are kept
        depthwise, pads = len(kernel) == 1, []
        kernel = kernel.permute(3, 0, 1, 2) if depthwise else kernel.permute(0, 3, 1, 2)
        for n, k in zip(x.shape[:1:-1], kernel.shape[:1:-1]):  # the last axis first
            total = max((-(-n // stride) - 1) * stride + k - n, 0)
            pads += [total // 2, total - total // 2]
        x, groups = torch.nn.functional.pad(x, pads), len(kernel) if depthwise else 1
        y = torch.nn.functional.conv2d(x, kernel, bias, stride=stride, groups=groups)
        return torch.clamp(y, 0, 6) if relu6 else y


def v1_file(rng, width):
    """The layers of MobileNet v1 in its file, and the network by their names."""
    file, channels = File(rng), [int(32 * width), *(int(features * width) for features, _ in PAIRS)]
    file.layer("Conv2d_0", (channels[0], 3, 3, 3))
    for i, (last, features) in enumerate(pairwise(channels), 1):
        file.layer(f"Conv2d_{i}_depthwise", (1, 3, 3, last))
        file.layer(f"Conv2d_{i}_pointwise", (features, 1, 1, last))
    file.layer(HEAD, (5, 1, 1, channels[-1]))

    def forward(x):
        x = file.conv(x, "Conv2d_0", 2)
        for i, (_, stride) in enumerate(PAIRS, 1):
            x = file.conv(file.conv(x, f"Conv2d_{i}_depthwise", stride), f"Conv2d_{i}_pointwise")
        return file.conv(x.mean((2, 3), keepdim=True), HEAD, relu6=False).flatten(1)

    return file, forward


def v2_file(rng, width):
    """The layers of MobileNet v2 in its file, and the network by their names."""
    file, last = File(rng), rounded(32 * width)
    blocks = []
    file.layer("Conv", (last, 3, 3, 3))
    for expansion, features, count, stride in STAGES:
        for i in range(count):
            name = f"expanded_conv_{len(blocks)}" if blocks else "expanded_conv"
            hidden, out = last * expansion, rounded(features * width)
            if expansion > 1:
                file.layer(f"{name}.expand", (hidden, 1, 1, last))
            file.layer(f"{name}.depthwise", (1, 3, 3, hidden))
            file.layer(f"{name}.project", (out, 1, 1, hidden))
            blocks.append((name, expansion, 1 if i else stride))
            last = out
    file.layer("Conv_1", (1280, 1, 1, last))
    file.layer(HEAD, (5, 1, 1, 1280))

    def forward(x):
        x = file.conv(x, "Conv", 2)
        for number, (name, expansion, stride) in enumerate(blocks):
            y = file.conv(x, f"{name}.expand") if expansion > 1 else x
            y = file.conv(file.conv(y, f"{name}.depthwise", stride), f"{name}.project", relu6=False)
            x = x + y if number in (2, 4, 5, 7, 8, 9, 11, 12, 14, 15) else y
        return file.conv(file.conv(x, "Conv_1").mean((2, 3), keepdim=True), HEAD, relu6=False).flatten(1)

    return file, forward


@pytest.mark.parametrize(("create", "make", "width"), [(V1, v1_file, 0.125), (V2, v2_file, 0.5)])
def test_network_of_a_file_of_integers_is_what_pytorch_computes(create, make, width, tmp_path):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    file, forward = make(rng, width)
    np.savez(tmp_path / "a.npz", **file.arrays)
    found = weights.sizes(lambda **options: create(rngs=nnx.Rngs(0), **options), tmp_path / "a.npz")
    assert found == {"num_classes": 5, "in_features": 3}
    x = rng.uniform(-1, 1, (2, 61, 48, 3))  # odd and even sides, whose zeros differ
    seen = torch.tensor(x.transpose(0, 3, 1, 2), requires_grad=True)
    answer = forward(seen)
    cotangent = rng.normal(size=answer.shape)
    answer.backward(torch.tensor(cotangent))
    expected, gradient = answer.detach().numpy(), seen.grad.numpy().transpose(0, 2, 3, 1)
    graphdef, state = nnx.split(weights.load(blank(create), tmp_path / "a.npz"))
    run = lambda state, x: nnx.merge(graphdef, state)(x, train=False)
    with jax.enable_x64(True):
        exact = jax.tree.map(lambda v: v.astype(jnp.float64) if v.dtype == jnp.float32 else v, state)
        y, back = jax.jit(lambda x, g: (lambda y, f: (y, f(g)[0]))(*jax.vjp(partial(run, exact), x)))(x, cotangent)
    np.testing.assert_allclose(y, expected, rtol=1e-9, atol=1e-9 * np.abs(expected).max())
    np.testing.assert_allclose(back, gradient, rtol=1e-8, atol=1e-9 * np.abs(gradient).max())


def folded_into(norm, kernel):
    """Kernel and bias that do what the convolution without bias and its norm did, in float64."""
    scale, bias, mean, var = (np.asarray(norm[name], np.float64) for name in ("scale", "bias", "mean", "var"))
    factor = scale / np.sqrt(var + 1e-5)
    return np.asarray(kernel, np.float64) * factor, bias - mean * factor


@pytest.mark.parametrize("name", ["mobilenet_v1", "mobilenet_v2"])
def test_folded_network_does_what_the_norms_did(name):
    options = {"width": 0.25, "padding": "same", "num_classes": 5}
    options |= {} if name == "mobilenet_v2" else {"activation": jax.nn.relu6}
    make = partial(models.create, name, **options)
    plain, folded = drawn(make), blank(partial(make, folded=True))
    found = {path: v[...] for path, v in nnx.to_flat_state(nnx.state(plain, nnx.Any(nnx.Param, nnx.BatchStat)))}
    wanted = dict(nnx.to_flat_state(nnx.state(folded, nnx.Param)))
    for path in wanted:
        if "classifier" in path:
            wanted[path][...] = found[path]
        elif path[-1] == "kernel":
            norm = {leaf: found[(*path[:-2], path[-2] + 1, leaf)] for leaf in ("scale", "bias", "mean", "var")}
            kernel, bias = folded_into(norm, found[path])
            wanted[path][...] = jnp.asarray(kernel, jnp.float32)
            wanted[(*path[:-1], "bias")][...] = jnp.asarray(bias, jnp.float32)
    nnx.update(folded, nnx.from_flat_state(wanted.items()))
    x = jnp.asarray(np.random.default_rng(0).uniform(-1, 1, (2, 61, 64, 3)), jnp.float32)
    expected, taken = jax.jit(lambda x: capture(plain, x))(x)
    y, others = jax.jit(lambda x: capture(folded, x))(x)
    assert others.keys() == taken.keys()
    for tap, value in taken.items():
        np.testing.assert_allclose(others[tap], value, rtol=1e-3, atol=1e-4 * float(jnp.abs(value).max()), err_msg=tap)
    np.testing.assert_allclose(y, expected, rtol=1e-3, atol=1e-4 * float(jnp.abs(expected).max()))


@pytest.mark.parametrize(("name", "count"), [("tflite_mobilenet_v1_025", 27), ("tflite_mobilenet_v2", 52)])
def test_convolutions_have_biases_and_no_norms(name, count):
    model = nnx.eval_shape(lambda: models.create(name, rngs=nnx.Rngs(0)))
    convolutions = [module for _, module in nnx.iter_modules(model) if hasattr(module, "options")]
    assert len(convolutions) == count
    assert all(conv.bias is not None for conv in convolutions)
    assert not nnx.to_flat_state(nnx.state(model, nnx.BatchStat))
    assert {conv.options["padding"] for conv in convolutions if max(conv.kernel.shape[:2]) > 1} == {"same"}


def test_names_go_both_ways(tmp_path):
    model = jax.jit(lambda: V1(rngs=nnx.Rngs(0)))()
    weights.save(model, tmp_path / "slim.safetensors", names="tf_slim")
    found = weights.load(blank(V1), tmp_path / "slim.safetensors")
    pairs = zip(nnx.to_flat_state(nnx.state(found, nnx.Param)), nnx.to_flat_state(nnx.state(model, nnx.Param)))
    for (path, one), (_, two) in pairs:
        np.testing.assert_array_equal(one[...], two[...], err_msg=str(path))
