"""The command line: `python -m jaxcnn classify | evaluate | inspect | units | summary | models`, one command a file.

What the user can mend is one line on standard error and exit code 1.
"""

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None) -> None:
    """Runs the command that the arguments name (None: the process's own).

    Raises: SystemExit, with a line for what the user can mend.

    >>> main(["models", "lenet5_*"])  # doctest: +ELLIPSIS
    lenet5_1998 ... 32×32 ...
    """
    import tyro

    from jaxcnn.train import keep_memory

    from ._classify import classify
    from ._evaluate import evaluate
    from ._inspect import inspect
    from ._models import models
    from ._summary import summary
    from ._units import units

    commands = {"classify": classify, "evaluate": evaluate, "inspect": inspect, "units": units}
    commands |= {"summary": summary, "models": models}
    keep_memory()
    name = next(iter(arguments if arguments is not None else sys.argv[1:]), "")
    try:
        tyro.extras.subcommand_cli_from_dict(commands, prog="jaxcnn", args=arguments, description=__doc__)
    except (ValueError, TypeError, OSError, ImportError) as error:
        sys.exit(f"{name}: {error}")
