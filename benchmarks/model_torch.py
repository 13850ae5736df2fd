"""The rival of `benchmarks.models` on PyTorch: torchvision's network of that name, channels last, eager or compiled.

torchvision asks on import for two operations on boxes that a PyTorch without its compiled part does not have; no network
uses them, so they are declared.
"""

import importlib
import sys
import warnings
from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .machine import cores
from .measure import Program

torch.set_num_threads(cores())
BOXES = "(Tensor boxes, Tensor scores, float threshold) -> Tensor"
_declared = torch.library.Library("torchvision", "FRAGMENT")  # what it declares lasts as long as it does


def torchvision_models() -> Any:
    """`torchvision.models`.

    Raises: ImportError where torchvision is not installed, or does not run with this PyTorch.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return importlib.import_module("torchvision.models")
        except RuntimeError:
            _declare_boxes()
        try:
            return importlib.import_module("torchvision.models")
        except RuntimeError as error:
            raise ImportError(f"torchvision does not run with this PyTorch: {error}") from error


def network(name: str, arrays: dict[str, np.ndarray], **options: Any) -> nn.Module:
    """torchvision's network with these arrays, by PyTorch's names and in its layout; nothing in it is random."""
    with torch.device("meta"):
        built = torchvision_models().get_model(name, weights=None, **options)
    built = built.to_empty(device="cpu")
    tensors = {key: torch.tensor(array) for key, array in arrays.items()}
    missing = built.load_state_dict(tensors, strict=False)
    wrong = [
        key for key in (*missing.missing_keys, *missing.unexpected_keys) if not key.endswith("num_batches_tracked")
    ]
    if wrong:
        raise ValueError(f"network: the names of {name} differ: {wrong}")
    for module in built.modules():
        if type(module).__name__ in ("Dropout", "StochasticDepth"):
            module.p = 0.0  # pyright: ignore
        if isinstance(module, nn.BatchNorm2d) and module.num_batches_tracked is not None:
            module.num_batches_tracked.zero_()
    return built.to(memory_format=torch.channels_last)  # pyright: ignore


def forward(model: nn.Module, images: np.ndarray, *, compiled: bool) -> Program:
    """The logits."""
    model, x = model.eval(), _tensor(images)
    with torch.no_grad():
        run, ms = _compiled(model, lambda run: run(x)) if compiled else (model, None)
    return Program(torch.no_grad()(lambda: run(x)), lambda y: [y.numpy()], compile_ms=ms)


def training(
    model: nn.Module, images: np.ndarray, labels: np.ndarray, rate: float, *, first: str, compiled: bool
) -> Program:
    """A step of SGD with Nesterov momentum from where the last one ended; the loss, and the gradient of the parameter `first`."""
    model, x, truth = model.train(), _tensor(images), torch.from_numpy(labels).long()
    run, ms = _compiled(model, lambda run: F.cross_entropy(run(x), truth).backward()) if compiled else (model, None)
    optimiser = torch.optim.SGD(model.parameters(), rate, momentum=0.9, nesterov=True)

    def step() -> Tensor:
        optimiser.zero_grad()
        loss = F.cross_entropy(run(x), truth)
        loss.backward()
        optimiser.step()
        return loss.detach()

    gradient = lambda: model.get_parameter(first).grad
    return Program(step, lambda loss: [loss.numpy()[None], gradient().numpy().copy()], compile_ms=ms)  # pyright: ignore


def _compiled(model: nn.Module, call: Callable[[Callable], object]) -> tuple[Callable[[Tensor], Tensor], float]:
    """The model under `torch.compile`, called once, and the milliseconds of that."""
    run, start = torch.compile(model), perf_counter()
    call(run)
    return run, (perf_counter() - start) * 1e3


def _tensor(images: np.ndarray) -> Tensor:
    return torch.from_numpy(images).permute(0, 3, 1, 2)  # (n, c, h, w), channels last in memory


def _declare_boxes() -> None:
    for name in ("nms", "qnms"):
        if not hasattr(torch.ops.torchvision, name):
            _declared.define(f"{name}{BOXES}")
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[name]
