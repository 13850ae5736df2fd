"""The rival of `benchmarks.visualisation`: feature visualisation as Lucent does it, one channel at a time in eager PyTorch."""

from math import log, pi

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from jaxcnn.interpret import Robust
from jaxcnn.interpret.units._image import COLOURS, spectrum_scale

from .model_torch import network

MEAN, DEVIATION = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])


class Lucent:
    """A network with a hook on one module; `optimise` runs Adam on the spectrum of one image.

    As in Lucent the parameters keep their gradients, which nobody reads.
    """

    def __init__(self, name: str, arrays: dict[str, np.ndarray], module: str, side: int, robust: Robust, threads: int):
        torch.set_num_threads(threads)
        self.model, self.side, self.robust = network(name, arrays).eval(), side, robust
        self.scale = torch.from_numpy(spectrum_scale((side, side)))
        self.colours = torch.tensor(COLOURS, dtype=torch.float32)
        self.features: Tensor | None = None
        self.model.get_submodule(module).register_forward_hook(self._keep)

    def optimise(self, first: np.ndarray | None, channel: int, steps: int) -> float:
        """The activation reached: without transformations from a given start, else with them from a random one."""
        shape = (2, self.side, self.side // 2 + 1, 3)
        begin = 0.01 * torch.randn(shape) if first is None else torch.tensor(first)
        parameters = begin.requires_grad_(True)
        adam = torch.optim.Adam([parameters], lr=0.05)
        for _ in range(steps):
            adam.zero_grad()
            image = self._image(parameters)
            loss = -self._reached(image if first is not None else self._transformed(image), channel)
            loss.backward()
            adam.step()
        with torch.no_grad():
            return float(self._reached(self._image(parameters), channel))

    def liveliest(self, first: np.ndarray) -> int:
        """The channel that the image of these parameters excites most."""
        with torch.no_grad():
            self._reached(self._image(torch.tensor(first)), 0)
        assert self.features is not None
        return int(self.features.mean((0, 2, 3)).argmax())

    def _keep(self, module, inputs, output: Tensor) -> None:
        self.features = output

    def _reached(self, image: Tensor, channel: int) -> Tensor:
        self.model((image - MEAN[:, None, None]) / DEVIATION[:, None, None])  # to its end, as Lucent
        assert self.features is not None
        return self.features[:, channel].mean()

    def _image(self, parameters: Tensor) -> Tensor:
        spectrum = torch.complex(parameters[0], parameters[1]) * self.scale[..., None]
        values = torch.fft.irfft2(spectrum, s=(self.side, self.side), dim=(0, 1), norm="ortho") / 4
        image = torch.sigmoid(values @ self.colours.T)  # (h, w, 3)
        return image.permute(2, 0, 1)[None]

    def _transformed(self, image: Tensor) -> Tensor:
        """Turned, scaled and moved at random around the centre, grey beyond."""
        draw = 2 * torch.rand(4) - 1
        angle = draw[0] * self.robust.degrees * pi / 180
        factor = torch.exp(draw[1] * log(1 + self.robust.scale))
        cosine, sine = torch.cos(angle) / factor, torch.sin(angle) / factor
        moved = 2 * self.robust.jitter * draw[2:]
        theta = torch.stack([torch.stack([cosine, sine, moved[0]]), torch.stack([-sine, cosine, moved[1]])])
        grid = F.affine_grid(theta[None], list(image.shape), align_corners=False)
        return F.grid_sample(image - 0.5, grid, align_corners=False) + 0.5
