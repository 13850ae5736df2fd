"""Every public function of `functional` and `augment` and every module of `nn`: what the tables of this folder go through.

A row is a function and the shapes of its arguments (`tests/functional/operations.py`); its name begins with its room and what
it calls. A new function enters every table by one row in its room's file.
"""

from tests.augment.operations import AUGMENTATIONS
from tests.functional.operations import OPERATIONS
from tests.nn.operations import MODULES

ROOMS = {"functional": OPERATIONS, "augment": AUGMENTATIONS, "nn": MODULES}
ROWS = {f"{room}.{name}": row for room, rows in ROOMS.items() for name, row in rows.items()}
