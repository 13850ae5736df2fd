"""`summarise`: layer, output shape, parameters, multiply-adds and receptive field of any model with taps."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
from flax import nnx
from jax.ad_checkpoint import checkpoint_name

from jaxcnn.geometry import ReceptiveField
from jaxcnn.nn import Frozen

from ._trace import Walk

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True)
class Row:
    """One named activation. `field` is None where no window says it (`resize`); its jump is 0 where a unit sees the whole image.

    `frozen` counts those of its parameters that are not trained (`jaxcnn.nn.Frozen`).
    """

    name: str
    shape: tuple[int, ...]
    parameters: int
    multiply_adds: int
    field: ReceptiveField | None
    frozen: int = dataclasses.field(default=0, kw_only=True)

    @property
    def cells(self) -> tuple[str, str, str, str, str]:
        """The row as text: layer, output, parameters, multiply-adds, receptive field."""
        shape = "×".join(map(str, self.shape[1:]))
        parameters = _with_frozen(self.parameters, self.frozen)
        return self.name, shape, parameters, f"{self.multiply_adds:,}", _describe(self.field)


@dataclass(frozen=True)
class Summary:
    """Rows in the order of computation; multiply-adds are those of the batch that was asked for. `print` shows the table.

    >>> print(Summary((Row("conv1", (1, 28, 28, 6), 156, 117600, ReceptiveField((5, 5), (1, 1), (-2, -2))),)))
    layer   output  parameters  multiply-adds  receptive field
    ──────────────────────────────────────────────────────────
    conv1  28×28×6         156        117,600              5×5
    ──────────────────────────────────────────────────────────
    total                  156        117,600
    """

    rows: tuple[Row, ...]
    columns = ("layer", "output", "parameters", "multiply-adds", "receptive field")

    @property
    def parameters(self) -> int:
        """Learned numbers of the whole model, frozen ones too."""
        return sum(row.parameters for row in self.rows)

    @property
    def frozen(self) -> int:
        """Those that are not trained."""
        return sum(row.frozen for row in self.rows)

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of convolutions and matrix products for the batch."""
        return sum(row.multiply_adds for row in self.rows)

    @property
    def total(self) -> tuple[str, str, str, str, str]:
        """The last line as text."""
        return "total", "", _with_frozen(self.parameters, self.frozen), f"{self.multiply_adds:,}", ""

    def __str__(self) -> str:
        """The table as plain text: columns aligned, the total last."""
        lines = [self.columns, *(row.cells for row in self.rows), self.total]
        widths = [max(map(len, column)) for column in zip(*lines)]
        first, *others = (
            "  ".join([cells[0].ljust(widths[0]), *map(str.rjust, cells[1:], widths[1:])]).rstrip() for cells in lines
        )
        rule = "─" * (sum(widths) + 2 * (len(widths) - 1))
        return "\n".join([first, rule, *others[:-1], rule, others[-1]])

    def table(self) -> "Table":
        """As a table for the terminal (needs rich)."""
        from rich.table import Table

        table = Table(*self.columns[:1], show_footer=False)
        for column in self.columns[1:]:
            table.add_column(column, justify="right")
        for row in self.rows:
            table.add_row(*row.cells)
        table.add_section()
        table.add_row(*self.total, style="bold")
        return table


def summarise(model: nnx.Module, x_shape: Sequence[int], *, dtype=jnp.float32, train: bool = False) -> Summary:
    """Cost and receptive field of every named activation for images of `x_shape = (n, *space, c)`; computes nothing.

    Parameters and multiply-adds are counted where they are first used, up to the next tap; what follows the last tap is a row
    "(rest)". Multiply-adds count taps on the padding too.

    Raises: what the model raises for images of that shape.

    >>> from jaxcnn.models import LeNet5Original
    >>> summary = summarise(LeNet5Original(rngs=nnx.Rngs(0)), (1, 32, 32, 1))
    >>> summary.parameters, [row.parameters for row in summary.rows]
    (60000, [156, 12, 1516, 32, 48120, 10164, 0])
    """
    graphdef, *states = nnx.split(model, nnx.Param, Frozen, ...)

    def forward(parameters, frozen, state, x):
        return nnx.merge(graphdef, parameters, frozen, state, copy=True)(
            x, train=train, tap=lambda name, v: checkpoint_name(v, name)
        )

    x = jax.ShapeDtypeStruct(tuple(x_shape), dtype)
    jaxpr = jax.make_jaxpr(forward)(*states, x).jaxpr
    trained, frozen = (len(jax.tree.leaves(state)) for state in states[:2])
    walk = Walk(space=tuple(x_shape[1:-1]))
    walk.parameters = {var: var.aval.size for var in jaxpr.invars[: trained + frozen]}  # type: ignore[attr-defined]
    walk.frozen = set(jaxpr.invars[trained : trained + frozen])
    walk.fields[jaxpr.invars[-1]] = ReceptiveField.of_pixel(len(walk.space))
    walk.run(jaxpr)
    rest = walk.pending
    rest.parameters += sum(walk.parameters.values())  # parameters that nothing used
    rest.frozen += sum(size for var, size in walk.parameters.items() if var in walk.frozen)
    if rest.parameters or rest.multiply_adds:
        rest.name, rest.shape = "(rest)", jaxpr.outvars[0].aval.shape
        rest.field = walk.fields.get(jaxpr.outvars[0])
        walk.layers.append(rest)
    return Summary(tuple(Row(**vars(layer)) for layer in walk.layers))


def _with_frozen(parameters: int, frozen: int) -> str:
    part = "" if frozen == parameters else f"{frozen:,} "
    return f"{parameters:,} ({part}frozen)" if frozen else f"{parameters:,}"


def _describe(field: ReceptiveField | None) -> str:
    if field is None:
        return "?"
    if 0 in field.jump:
        return "whole image"
    sizes = [sorted({n for _, n in axis}) for axis in field.phases] or [[n] for n in field.size]
    step = f" every {field.step[0]}" if set(field.step) != {1} else ""
    return "×".join(f"{few[0]}–{few[-1]}" if len(few) > 1 else str(few[0]) for few in sizes) + step
