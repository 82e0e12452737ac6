"""Parses files in a thread of its own while others look at those before: a parser in C leaves Python to them."""

from collections.abc import Callable, Iterator
from queue import SimpleQueue
from threading import Thread
from typing import TypeVar

from kiqdoctor.probes.tree.file import File

Parsed = TypeVar("Parsed")


def ahead(files: tuple[File, ...], parse: Callable[[File], Parsed]) -> Iterator[tuple[File, Parsed | Exception]]:
    """Each file in order, with what the parser makes of it or what it raises."""
    done: SimpleQueue[Parsed | Exception] = SimpleQueue()

    def run() -> None:
        for file in files:
            done.put(_tried(file, parse))

    Thread(target=run, daemon=True).start()  # who is left behind leaves it behind
    for file in files:
        yield file, done.get()


def _tried(file: File, parse: Callable[[File], Parsed]) -> Parsed | Exception:
    try:
        return parse(file)
    except Exception as error:  # noqa: BLE001 - raised where it is waited for
        return error
