"""Standard output and standard error as every command has them: no line of theirs commands a CI system, no fault of
theirs is a traceback.
"""

import errno
import io
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final, TextIO

import click

from kiqdoctor.text import disarmed

LEFT: Final = 128 + signal.SIGPIPE  # the exit status of whom a reader left
_FIRST: Final = 3  # file descriptors that are not ours to give away


class ReaderLeftError(Exception):
    """Who read standard output wants no more of it."""


class Stream(io.TextIOBase):
    """A stream whose lines are disarmed before they are written.

    ``must``: what cannot be written is an error. Of standard error it is none: there is nobody left to tell.
    """

    def __init__(self, to: TextIO | None, *, must: bool) -> None:
        self._to = to
        self._must = must
        self._within = False  # a line that was begun

    def write(self, text: str | bytes) -> int:
        """All of it, at once; bytes, as click's completion of shells writes them, are text too.

        Raises:
            ReaderLeftError: the first time that nobody reads any more; later there is silence.
            click.UsageError: it cannot be written, as where the disk is full.
        """
        said = text.decode("utf-8", "backslashreplace") if isinstance(text, bytes) else text
        self.write_armed(_disarmed(said, within=self._within))
        return len(text)

    def write_armed(self, text: str) -> None:
        """As it is: text that is meant to command a CI system, whose makers have disarmed what came from outside."""
        if self._to is None or not text:  # click writes nothing to see what it has before it
            return
        self._within = not text.endswith("\n")
        try:
            raw = text.encode(self.encoding, "backslashreplace")
            if (buffer := getattr(self._to, "buffer", None)) is not None:
                self._to.flush()
                buffer.write(raw)
                buffer.flush()
            else:
                self._to.write(raw.decode(self.encoding))
                self._to.flush()
        except (OSError, ValueError) as error:  # ValueError: somebody closed it
            self._lost(error)

    def _lost(self, error: Exception) -> None:
        if self._to is not None:
            _drained(self._to)
        self._to = None
        if not self._must:
            return
        if isinstance(error, BrokenPipeError):
            raise ReaderLeftError
        reason = (isinstance(error, OSError) and error.strerror) or str(error)
        raise click.UsageError(f"cannot write to standard output: {reason}") from None

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """UTF-8 whatever the locale says: a report is read elsewhere too."""
        return "utf-8"

    @property
    def errors(self) -> str:  # type: ignore[override]
        """Nothing fails for a letter that the stream cannot spell."""
        return "backslashreplace"

    def writable(self) -> bool:
        """Always; what cannot be written is told when it is tried."""
        return True

    def isatty(self) -> bool:
        """Whether a person reads it."""
        return self._to is not None and self._to.isatty()

    def fileno(self) -> int:
        """The descriptor below it."""
        if self._to is None:
            raise OSError(errno.EBADF, "it was closed")
        return self._to.fileno()


@contextmanager
def guarded() -> Iterator[None]:
    """Both streams guarded, while a command runs."""
    before = sys.stdout, sys.stderr
    out, err = Stream(sys.stdout, must=True), Stream(sys.stderr, must=False)
    sys.stdout, sys.stderr = _as_text(out), _as_text(err)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def write(text: str, *, armed: bool) -> None:
    """To standard output; ``armed`` where it is meant to command a CI system."""
    if armed and isinstance(sys.stdout, Stream):
        sys.stdout.write_armed(text)
    elif sys.stdout is not None:
        sys.stdout.write(text)


def occupied() -> None:
    """Descriptors 0 to 2 stand for something: a socket that we open later must not be taken for standard output."""
    for number in range(_FIRST):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def _as_text(stream: Any) -> TextIO:
    """The type that sys.stdout has: all of it that a command uses is there."""
    text: TextIO = stream
    return text


def _disarmed(text: str, *, within: bool) -> str:
    lines = text.split("\n")
    first = f"\0{lines[0]}" if within else lines[0]  # no line begins here
    return "\n".join(map(disarmed, [first, *lines[1:]])).removeprefix("\0")


def _drained(stream: TextIO) -> None:
    """What still waits in it goes nowhere, or Python would fail once more when it ends."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
        stream.flush()
