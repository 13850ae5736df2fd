"""One small network in PyTorch and as a function of ours with the same weights, for oracles."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxcnn import functional as F

SHAPE = (2, 9, 7, 3)  # images: n, h, w, c


class Twins:
    """Convolution, (batch norm), ReLU, max pool, convolution, ReLU, dense; biases and norms on request."""

    def __init__(self, *, seed=0, bias=True, norm=False, activation="ReLU", pool=True):
        import torch

        generator = torch.Generator().manual_seed(seed)
        t = torch.nn
        layers = {
            "conv1": t.Conv2d(3, 5, (3, 2), padding=(1, 0), bias=bias), **({"norm": t.BatchNorm2d(5)} if norm else {}),
            "act1": getattr(t, activation)(), "pool": t.MaxPool2d(2), "conv2": t.Conv2d(5, 4, 2, bias=bias),
            "act2": getattr(t, activation)(), "head": t.Linear(4 * 3 * 2, 6, bias=bias),
        }  # fmt: skip
        if not pool:
            layers = {name: layer for name, layer in layers.items() if name != "pool"} | {
                "head": t.Linear(4 * 8 * 5, 6, bias=bias)
            }
        self.torch, self.pool = _sequence(layers), pool
        self.torch.double().eval()
        with torch.no_grad():
            for parameter in self.torch.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64) / 2)
            for name, buffer in self.torch.named_buffers():
                if buffer.ndim:
                    buffer.copy_(torch.rand(buffer.shape, generator=generator, dtype=torch.float64) + ("var" in name))
        self.activation = {"ReLU": jax.nn.relu, "Tanh": jnp.tanh, "Sigmoid": jax.nn.sigmoid}[activation]
        self.state = {name: value.numpy() for name, value in self.torch.state_dict().items()}

    def __call__(self, x, tap=lambda name, value: value):
        s = self.state
        x = tap("conv1", self._conv(x, "conv1", ((1, 1), (0, 0))))
        if "norm.weight" in s:
            x = F.batch_norm(
                x, *(jnp.asarray(s[f"norm.{n}"]) for n in ("running_mean", "running_var", "weight", "bias"))
            )
        x = tap("act1", self.activation(x))
        x = tap("pool", F.max_pool(x, 2)) if self.pool else x
        x = tap("act2", self.activation(tap("conv2", self._conv(x, "conv2", "valid"))))
        x = jnp.moveaxis(x, -1, 1).reshape(len(x), -1) @ s["head.weight"].T
        return x + s["head.bias"] if "head.bias" in s else x

    def _conv(self, x, name, padding):
        y = F.conv(x, jnp.asarray(np.transpose(self.state[f"{name}.weight"], (2, 3, 1, 0))), padding=padding)
        return y + self.state[f"{name}.bias"] if f"{name}.bias" in self.state else y


def _sequence(layers):
    """The layers one behind the other, flattened before the head without a layer for it, which captum's LRP does not know."""
    import torch

    class Sequence(torch.nn.Module):
        def __init__(self):
            super().__init__()
            for name, layer in layers.items():
                self.add_module(name, layer)

        def forward(self, x):
            for name, layer in self.named_children():
                x = layer(x.flatten(1) if name == "head" else x)
            return x

    return Sequence()


def images(seed=1, shape=SHAPE):
    """Images of float64, channels last, with both signs."""
    return np.random.default_rng(seed).normal(size=shape)


def first(x):
    """To PyTorch: channels first."""
    import torch

    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(x, -1, 1)))


def last(x):
    """From PyTorch: channels last."""
    return np.moveaxis(x.detach().numpy(), 1, -1)
