"""A contact sheet: what pipelines of augmentation make of pictures."""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from matplotlib.figure import Figure


def contact_sheet(
    key: Array, x: Array, pipelines: Mapping[str, Callable[[Array, Array], Array]], *, columns: int = 8
) -> Figure:
    """A row a pipeline `(key, x) → images`: the first picture as it is, then `columns` draws over the pictures in turn.

    Args:
        x: pictures `(n, h, w, c)` in [0, 1]; grey, or red, green, blue.

    Raises: ValueError for other shapes or no pipeline.

    >>> mirror = lambda key, x: x[:, :, ::-1]
    >>> len(contact_sheet(jax.random.key(0), jnp.zeros((1, 4, 4, 1)), {"mirror": mirror}, columns=3).axes)
    4
    """
    x = jnp.asarray(x)
    if x.ndim != 4 or x.shape[-1] not in (1, 3) or not len(x):
        raise ValueError(f"contact_sheet: x is {x.dtype}{list(x.shape)}; give pictures (n, h, w, 1 or 3)")
    if not pipelines or columns < 1:
        raise ValueError(f"contact_sheet: {len(pipelines)} pipelines in {columns} columns; give one of each at least")
    batch = x[jnp.arange(columns) % len(x)]
    figure = Figure(figsize=(1.1 * (columns + 1), 1.25 * len(pipelines)), layout="constrained")
    axes = figure.subplots(len(pipelines), columns + 1, squeeze=False)
    for number, (row, (name, pipeline)) in enumerate(zip(axes, pipelines.items())):
        drawn = jax.jit(pipeline)(jax.random.fold_in(key, number), batch)
        for axis, picture in zip(row, [np.asarray(x[0], np.float32), *np.asarray(drawn, np.float32)]):
            axis.imshow(np.clip(picture, 0, 1).squeeze(-1) if x.shape[-1] == 1 else np.clip(picture, 0, 1),
                        cmap="gray", vmin=0, vmax=1)  # fmt: skip
            axis.axis("off")
        row[0].set_title(name, fontsize=8, loc="left")
    return figure
