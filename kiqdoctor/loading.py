"""Loads modules without a search for garbage among what will live as long as the process."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """While this lasts nothing is collected; a twentieth of a command's start was spent on finding nothing.

    What was made meanwhile is old at once: else the first search after it would go through all of an index.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.freeze()
            gc.unfreeze()
            gc.enable()
