"""The rival of `benchmarks.train` on PyTorch: the same networks in eager mode, channels last, the set as one tensor.

The names of the modules are those of the NNX networks, so that their weights are taken over by name.
"""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from jaxcnn.data import ImageSet

from .machine import cores
from .train_loops import Weights
from .train_networks import DEPTH, WIDTHS

torch.set_num_threads(cores())


class LeNet5(nn.Module):
    """As `train_networks.FlaxLeNet5`; flattened channels last, which in this layout copies nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 6, 5, padding=2), nn.Conv2d(6, 16, 5)
        self.dense1, self.dense2, self.logits = nn.Linear(400, 120), nn.Linear(120, 84), nn.Linear(84, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = x.permute(0, 2, 3, 1).flatten(1)  # (n, h·w·16)
        return self.logits(F.relu(self.dense2(F.relu(self.dense1(x)))))


class Block(nn.Module):
    """As `train_networks.Block`."""

    def __init__(self, c_in: int, c_out: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(c_in, c_out, 3, stride, 1, bias=False), nn.BatchNorm2d(c_out)
        self.conv2, self.norm2 = nn.Conv2d(c_out, c_out, 3, 1, 1, bias=False), nn.BatchNorm2d(c_out)
        self.changes = stride > 1 or c_in != c_out
        if self.changes:
            self.conv3, self.norm3 = nn.Conv2d(c_in, c_out, 1, stride, bias=False), nn.BatchNorm2d(c_out)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
        return F.relu(y + (self.norm3(self.conv3(x)) if self.changes else x))


class ResNet18(nn.Module):
    """As `train_networks.ResNet18`."""

    def __init__(self, widths: tuple[int, ...] = WIDTHS) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(3, widths[0], 3, 1, 1, bias=False), nn.BatchNorm2d(widths[0])
        inputs = [widths[0], *(w for w in widths for _ in range(DEPTH))]
        strides = [2 if number and not place else 1 for number in range(len(widths)) for place in range(DEPTH)]
        self.blocks = nn.ModuleList(map(Block, inputs, inputs[1:], strides))
        self.logits = nn.Linear(widths[-1], 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norm1(self.conv1(x)))
        for block in self.blocks:
            x = block(x)
        return self.logits(x.mean((2, 3)))


NETWORKS = {"lenet5": LeNet5, "resnet18": ResNet18}


class TorchLoop:
    """Trains by SGD with Nesterov momentum, one eager step after the other; as `train_loops.FlaxLoop`."""

    def __init__(self, name: str, weights: Weights, data: ImageSet, batch: int, rate: float) -> None:
        first = {path: array[0] for path, array in weights.items()}
        self.network = load(NETWORKS[name](), first).to(memory_format=torch.channels_last)  # pyright: ignore
        self.images = torch.from_numpy(data.train.images).permute(0, 3, 1, 2)  # (n, c, h, w), channels last in memory
        self.labels, self.batch = torch.from_numpy(data.train.labels).long(), batch
        mean, deviation = (torch.from_numpy(v)[:, None, None] for v in data.statistics())
        self.prepare = lambda x: (x.float() / 255 - mean) / deviation
        self.optimiser = torch.optim.SGD(self.network.parameters(), rate, momentum=0.9, nesterov=True)

    def run(self, order: np.ndarray | None = None) -> np.ndarray:
        """An epoch in an order of its own, or the batches of `order` `(steps, 1, batch)`; the losses, `(steps, 1)`."""
        drawn = torch.randperm(len(self.labels)) if order is None else torch.tensor(order.ravel())
        batches = drawn[: len(drawn) // self.batch * self.batch].reshape(-1, self.batch)
        return torch.stack([self._step(chosen) for chosen in batches]).numpy()[:, None]

    def _step(self, chosen: Tensor) -> Tensor:
        self.optimiser.zero_grad()
        loss = F.cross_entropy(self.network(self.prepare(self.images[chosen])), self.labels[chosen])
        loss.backward()
        self.optimiser.step()
        return loss.detach()


def load(network: nn.Module, weights: Weights) -> nn.Module:
    """The network with the parameters of an NNX one of the same names: `(*size, c_in, c_out)` becomes `(c_out, c_in, *size)`."""
    named = {}
    for (*path, leaf), array in weights.items():
        moved = np.moveaxis(array, (-1, -2), (0, 1)) if leaf == "kernel" else array
        name = ".".join(map(str, (*path, "weight" if leaf in ("kernel", "scale") else leaf)))
        named[name] = torch.tensor(np.ascontiguousarray(moved))
    found = dict(network.named_parameters())
    if set(found) != set(named):
        raise ValueError(f"load: names differ: {set(found) ^ set(named)}")
    with torch.no_grad():
        for name, parameter in found.items():
            parameter.copy_(named[name])
    return network
