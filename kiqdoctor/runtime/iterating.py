"""Jobs that are generators: each value says where to go on, and is kept where Sidekiq keeps its own cursors."""

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final, Protocol

from kiqdoctor.runtime import log, lua
from kiqdoctor.runtime.fetching.work import FencedError, Work
from kiqdoctor.runtime.middleware import Running
from kiqdoctor.wire import codec
from kiqdoctor.wire.iteration import CANCELLED, CURSOR, RUNS, SECONDS
from kiqdoctor.wire.keys import Keys

if TYPE_CHECKING:
    from redis import Redis

SAVE: Final = 5.0  # seconds between two saves while it runs
KEEP: Final = 30 * 24 * 3600  # seconds


class Interruption(Exception):  # noqa: N818 - no error: the job goes on elsewhere
    """The process wants to stop: the cursor is saved, and the job goes back to its queue."""


class Position(Protocol):
    """Where one iterable job goes on: ``value`` is what it yielded last; ``cancelled``: somebody wants it to stop.

    ``kept``: whether it lies somewhere else than here.
    """

    value: Any
    cancelled: bool
    kept: bool

    def load(self) -> None:
        """Where it was."""

    def save(self, since: float) -> None:
        """Where it is."""


class Cursor:
    """A place in the job's ``it-<jid>`` hash, gone with the job's end. ``new``: it is known that there is none."""

    __slots__ = ("_client", "_jid", "_keys", "_runs", "_seconds", "_work", "cancelled", "kept", "value")

    def __init__(self, client: "Redis", keys: Keys, jid: str, work: Work | None = None, *, new: bool = False) -> None:
        self._client, self._keys, self._jid, self._work, self.kept = client, keys, jid, work, not new
        self._runs, self._seconds = 1, 0.0
        self.value: Any = None
        self.cancelled = False

    def load(self) -> None:
        """Where it was."""
        if not self.kept:
            return
        found: Any = self._client.hgetall(self._keys.iteration(self._jid))
        cursor = found.get(CURSOR.encode())
        self._runs = int(found.get(RUNS.encode(), 0)) + 1
        self._seconds = float(found.get(SECONDS.encode(), 0))
        self.value = codec.decode(cursor) if cursor is not None else None
        self.cancelled = CANCELLED.encode() in found

    def save(self, since: float) -> None:
        """Where it is; and whether it was cancelled meanwhile.

        Raises:
            FencedError: another process has the job: its place is that one's to tell.
        """
        ran = round(self._seconds + time.monotonic() - since, 3)
        self.kept = True
        told = {RUNS: self._runs, CURSOR: codec.encode(self.value), SECONDS: ran}
        self.cancelled = self._told(KEEP, *(word for pair in told.items() for word in pair)) == 1

    def _told(self, *words: Any) -> int:
        work = self._work
        held, key = work is not None and work.home.key, self._keys.iteration(self._jid)
        found: Any = self._client.register_script(lua.source("cursor"))(
            keys=[key, work.home.key if work is not None and held else key],
            args=[work.payload if work is not None and held else b"", *words],
        )
        if int(found) < 0:
            raise FencedError("another process runs this job by now")
        return int(found)


def run(steps: Callable[..., Iterator[Any]], cursor: Position, running: Running) -> None:
    """Iterate from the saved cursor to the end.

    Raises:
        Interruption: stopped on the way; the cursor is saved.
        FencedError: another process has it by now; the cursor is as that one left it.
    """
    cursor.load()
    began = time.monotonic()
    iterator = steps(cursor=cursor.value)
    try:
        interrupted = _iterate(iterator, cursor, running, began)
    except FencedError:
        raise
    except BaseException:
        _save_anyway(cursor, began)
        raise
    finally:
        running.kept = cursor.kept
        close = getattr(iterator, "close", None)
        if close is not None:
            close()
    if interrupted:
        raise Interruption


def _iterate(iterator: Iterator[Any], cursor: Position, running: Running, began: float) -> bool:
    """Whether it was interrupted before its end."""
    saved = began
    while not cursor.cancelled:
        try:
            value = next(iterator)
        except StopIteration:
            return False
        codec.strict(value, "the cursor")
        cursor.value = value
        if running.lost:
            raise FencedError("another process runs this job by now")
        stop, now = running.stopping(), time.monotonic()
        if stop or now - saved >= SAVE or running.doubtful:  # in doubt whoever keeps the cursor is asked
            cursor.save(began)
            saved = now
        if stop:
            return True
    return False


def _save_anyway(cursor: Position, since: float) -> None:
    """The job's own error is what counts; a cursor that could not be saved is a little older then."""
    try:
        cursor.save(since)
    except Exception as error:  # noqa: BLE001
        log.warn_seldom(f"a cursor could not be saved: {type(error).__name__}: {error}")
