"""What a child after fork must not go on with: the threads and connections of its parent."""

import contextlib
import os
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn

_NOT_THE_USER: Final = (str(Path(__file__).parents[1]) + os.sep, contextlib.__file__)

generation = 0
"""How many forks lie between this process and the one that was started: it differs from a parent's."""

_forgetting: list[Callable[[], None]] = []


class ForkedError(RuntimeError):
    """A child after fork went on with what its parent had opened; the text names where that was."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Who opened something: ``what`` it is, ``place`` as ``app.py:12``, and the process by its generation."""

    what: str
    place: str
    generation: int

    @property
    def here(self) -> bool:
        """Whether it was opened in this very process."""
        return self.generation == generation

    def check(self) -> None:
        """Nothing, in the process that opened it.

        Raises:
            ForkedError: this is a child of that process.
        """
        if not self.here:
            raise ForkedError(
                f"{self.what} was opened before fork at {self.place}: its threads and connections are the parent's;"
                " open one in the child, for example in gunicorn's post_fork"
            )


def origin(what: str) -> Origin:
    """For what is opened now, by the caller's caller outside this package."""
    frame = caller()
    place = f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame is not None else "an unknown place"
    return Origin(what, place, generation)


def caller() -> FrameType | None:
    """The innermost frame that is not ours."""
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - inspect.currentframe is the same, with a price
    while frame is not None and frame.f_code.co_filename.startswith(_NOT_THE_USER):
        frame = frame.f_back
    return frame


def in_child(forget: Callable[[], None]) -> None:
    """Call this in every child from now on, before anything else runs there.

    It must wait for no lock: the thread that held it may not be there.
    """
    _forgetting.append(forget)


def end(error: BaseException | None) -> NoReturn:
    """A child that comes back from the job that forked it ends, as a program would: the worker is its parent's."""
    status = 0
    if isinstance(error, SystemExit):
        status = error.code if isinstance(error.code, int) else int(error.code is not None)
    elif error is not None:
        traceback.print_exception(error)
        status = 1
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(status)


def _born() -> None:
    global generation  # noqa: PLW0603 - one for the process
    generation += 1
    for forget in _forgetting:
        forget()


os.register_at_fork(after_in_child=_born)
