"""Devices as a mesh: "data" shares the images of a batch, "space" their rows."""

import jax
import numpy as np
from jax.sharding import AxisType, Mesh


def device_mesh(*, space: int = 1, devices: int | None = None) -> Mesh:
    """A mesh of the first `devices` devices (all of them by default), `space` of which share the rows of each image.

    Several processes: call `jax.distributed.initialize` in each first; the mesh then holds the devices of all.

    Raises: ValueError if there are not so many devices or `space` does not divide them.

    >>> dict(device_mesh(devices=1).shape)
    {'data': 1, 'space': 1}
    """
    have = jax.devices()
    count = len(have) if devices is None else devices
    if not 1 <= count <= len(have):
        raise ValueError(f"device_mesh: devices={count}; there are {len(have)}")
    if space < 1 or count % space:
        raise ValueError(f"device_mesh: space={space} must divide the {count} devices")
    grid = np.array(have[:count]).reshape(count // space, space)
    return Mesh(grid, ("data", "space"), axis_types=(AxisType.Auto, AxisType.Auto))


def automatic(mesh: Mesh) -> Mesh:
    """The mesh with axes over which the compiler splits, as it must here; those of `jax.make_mesh` are explicit.

    >>> automatic(jax.make_mesh((1,), ("data",))).axis_types == (AxisType.Auto,)
    True
    """
    return Mesh(mesh.devices, mesh.axis_names, axis_types=(AxisType.Auto,) * len(mesh.axis_names))
