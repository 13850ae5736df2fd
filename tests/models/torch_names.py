"""PyTorch's state dicts in our modules, and torchvision's definitions on a PyTorch that has none of its compiled operations."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxcnn.interpret import capture
from jaxcnn.weights._layout import entries


def torchvision_models():
    """`torchvision.models`; skips the test where torch or torchvision is not installed."""
    pytest.importorskip("torch")
    from benchmarks import model_torch

    try:
        return model_torch.torchvision_models()
    except ImportError as error:
        pytest.skip(str(error))


def random_network(build, seed=0):
    """What `build()` makes, with numbers of our own: He's kernels, norms near the identity, every vector random."""
    import torch

    with torch.device("meta"):
        network = build()
    network = network.to_empty(device="cpu")
    random = np.random.default_rng(seed)
    for name, tensor in network.state_dict().items():
        tensor.copy_(torch.from_numpy(np.asarray(_numbers(random, name, tuple(tensor.shape)))))
    return network


def _numbers(random, name, shape):
    noise = random.standard_normal(shape, np.float32)
    if len(shape) in (2, 4):
        return noise * np.float32(np.sqrt(2 / np.prod(shape[1:])))
    if name.endswith("running_var"):
        return 1 + 0.5 * np.abs(noise)
    if name.endswith(("weight", "layer_scale")):
        return 1 + 0.1 * noise
    return 0.1 * noise if shape else np.zeros(())


def load(model, state_dict):
    """Puts a state dict into a model of ours, in the dtype of the dict; the names must be the same on both sides."""
    ours = {entry.torch: entry for entry in entries(model)}
    theirs = {name: v.detach().numpy() for name, v in state_dict.items() if not name.endswith("num_batches_tracked")}
    assert ours.keys() == theirs.keys()
    for name, entry in ours.items():
        value = entry.from_torch(theirs[name])
        assert value.shape == entry.variable.shape, name
        entry.variable.set_value(jnp.asarray(value))
    return model


def gradients(model, weights, *, auxiliary=()):
    """A compiled function of images: logits and input gradients in evaluation, the same in training, parameter gradients,
    running moments.

    The loss is the sum of logits times weights. Where there are auxiliary heads (names of taps) theirs are added in training, and
    the parameter gradients are those of training, else of evaluation. The last two are by PyTorch's names, in its layout.
    """
    graphdef, parameters, state = nnx.split(model, nnx.Param, ...)

    def loss(parameters, x, train):
        network = nnx.merge(graphdef, parameters, state, copy=True)
        y, seen = capture(network, x, train=train)
        extra = sum(jnp.vdot(seen[name], weights) for name in auxiliary) if train else 0.0
        return jnp.vdot(y, weights) + extra, (y, nnx.state(network, nnx.BatchStat))

    @jax.jit
    def both(parameters, x):
        which = [(0, 1), 1] if not auxiliary else [1, (0, 1)]
        grad = [jax.value_and_grad(loss, argnums, has_aux=True) for argnums in which]
        ((_, (logits, _)), first), ((_, (trained, moved)), second) = (
            grad[0](parameters, x, False),
            grad[1](parameters, x, True),
        )
        (dp, dx), dx_train = (first, second) if not auxiliary else ((second[0], first), second[1])
        return (logits, dx), (trained, dx_train), dp, moved

    def by_name(x):
        evaluation, training, dp, moved = both(parameters, x)
        after = nnx.merge(graphdef, dp, state, copy=True)
        nnx.update(after, moved)
        return evaluation, training, _torch_layout(after, nnx.Param), _torch_layout(after, nnx.BatchStat)

    return by_name


def _torch_layout(model, kind):
    found = [entry for entry in entries(model) if isinstance(entry.variable, kind)]
    return {entry.torch: entry.to_torch(np.asarray(entry.variable[...])) for entry in found}


def torch_gradients(network, x, weights, *, auxiliary=False):
    """What `gradients` gives, of PyTorch's network, whose running moments are put back afterwards."""
    before = {name: buffer.clone() for name, buffer in network.named_buffers()}
    evaluation, of_evaluation = _torch_gradients(network.train(False), x, weights)
    training, of_training = _torch_gradients(network.train(True), x, weights)
    moments = {name: buffer.numpy().copy() for name, buffer in network.named_buffers()}
    for name, buffer in network.named_buffers():
        buffer.copy_(before[name])
    return evaluation, training, of_training if auxiliary else of_evaluation, moments


def _torch_gradients(network, x, weights):
    """Logits and input gradient, both channels last, and the parameters' gradients."""
    import torch

    kind = next(network.parameters()).dtype
    weights = torch.tensor(weights, dtype=kind)
    x = torch.tensor(x, dtype=kind).permute(0, 3, 1, 2).requires_grad_()
    outputs = network(x)
    outputs = (outputs,) if isinstance(outputs, torch.Tensor) else [y for y in outputs if y is not None]
    named = dict(network.named_parameters())
    gradients = torch.autograd.grad(sum((y * weights).sum() for y in outputs), (x, *named.values()), allow_unused=True)
    dp = {name: dy.numpy() for name, dy in zip(named, gradients[1:]) if dy is not None}
    return (outputs[0].detach().numpy(), gradients[0].permute(0, 2, 3, 1).numpy()), dp


def relative(ours, theirs):
    """Largest difference, relative to the largest number."""
    ours, theirs = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    return np.abs(ours - theirs).max() / np.abs(theirs).max()
