"""A progress bar for `fit`: loss, accuracy, images a second, time left (needs rich)."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from ._fit import EpochRecord


@contextmanager
def progress(epochs: int, console: Console | None = None) -> Iterator:
    """A bar of `epochs` epochs; yields what `fit` calls after each epoch and after each compiled call of it.

    On a terminal the bar moves with every call; elsewhere (a log file) about ten plain lines are printed in all.
    """
    console = console or Console()
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[at]:.4g}/{task.fields[epochs]}"))
    every = max(1, epochs // 10)
    with Progress(*columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("compiling", total=1.0, at=0.0, epochs=epochs)

        def on_epoch(record: EpochRecord) -> None:
            bar.update(task, description=describe(record))
            if not console.is_terminal and (record.epoch % every == 0 or record.epoch == epochs):
                console.print(f"epoch {record.epoch}/{epochs}  {describe(record)}", highlight=False)

        def on_steps(done: int, total: int) -> None:
            bar.update(task, completed=done / total, at=done / total * epochs)

        yield on_epoch, on_steps


def describe(record: EpochRecord) -> str:
    """One line of an epoch, means over the members that have not diverged.

    >>> describe(EpochRecord(1, [0.5, 0.7], [0.9, 0.9], [0.8, 0.9], 2.0, 1437.0))
    'loss 0.6000  train 0.900  test 0.850  1,437 images/s'
    """
    loss, train, test = (np.nanmean(v) for v in (record.loss, record.train_accuracy, record.test_accuracy))
    return f"loss {loss:.4f}  train {train:.3f}  test {test:.3f}  {record.images_per_second:,.0f} images/s"
