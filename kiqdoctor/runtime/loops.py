"""The process's one event loop, for jobs that are ``async def``; made when the first of them runs."""

import asyncio
import os
import selectors
import threading
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from concurrent.futures import CancelledError
from contextlib import suppress
from contextvars import Context, copy_context
from time import monotonic
from typing import Any, Final

from kiqdoctor.runtime import forking

Begun = tuple[Coroutine[Any, Any, Any], Context]
"""A job's body, and the context variables that it runs with."""

MOMENT: Final = 0.0005  # seconds in which a loop that has callbacks to run does not look at files again
FAREWELL: Final = 1.0  # seconds that jobs which are cancelled at the end have for their ``finally``

_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None
_inbox: "_Inbox | None" = None
_ending = threading.Event()
_thread: threading.Thread | None = None


async def within(seconds: float, error: Exception, coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Its result; cancelled after so long, and ``error`` raised."""
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            return await coroutine
    except TimeoutError:
        if limit.expired():
            raise error from None
        raise


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Its result, waited for by the calling thread; the caller's context variables hold there too."""
    run = _Run(coroutine)
    _running().put(run)
    return run.result()


def turn(first: Callable[[], Begun], following: Callable[[], Begun | None]) -> None:
    """Run the first, and what follows each that ends well; waited for by the calling thread, asked for by the loop's.

    Raises:
        BaseException: what one of them raised; nothing followed it.
    """
    turn = _Turn(first, following)
    _running().put(turn)
    turn.wait()


class _Run:
    """A coroutine that a thread waits for; asyncio's own way takes twice as long, in locks and in callbacks."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        self._coroutine, self._context = coroutine, copy_context()
        self._done = threading.Lock()
        self._done.acquire()
        self._task: asyncio.Task[Any]

    def begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """On the loop's thread."""
        self._task = loop.create_task(self._coroutine, context=self._context)
        self._task.add_done_callback(self._end, context=self._context)

    def _end(self, _task: asyncio.Task[Any]) -> None:
        self._done.release()

    def result(self) -> Any:
        """What came of it, waited for."""
        self._done.acquire()  # the loop's thread releases it
        if self._task.cancelled():
            raise CancelledError
        return self._task.result()


class _Turn:
    """Jobs of one thread one after another, each a task of its own; the thread waits until there is no other.

    Two switches between threads for each were most of a short one's cost.
    """

    def __init__(self, first: Callable[[], Begun], following: Callable[[], Begun | None]) -> None:
        self._next: Callable[[], Begun | None] = first
        self._following = following
        self._over = threading.Lock()
        self._over.acquire()
        self._generation = forking.generation
        self.failure: BaseException | None = None

    def begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """On the loop's thread."""
        try:
            begun = self._next()
            if begun is not None:
                self._start(loop, *begun)
                return
        except BaseException as fault:  # noqa: BLE001 - it is the thread's that waits
            self.failure = fault
        self._over.release()

    def _start(self, loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Any], context: Context) -> None:
        """A factory of the application's may run it at once, or within a coroutine that is cancelled before ours."""
        if loop.get_task_factory() is None:
            asyncio.Task(_Telling(coroutine, self, loop), loop=loop, context=context)
        else:
            loop.create_task(coroutine, context=context).add_done_callback(self._told)

    def _told(self, task: asyncio.Task[Any]) -> None:
        self.failure = CancelledError() if task.cancelled() else task.exception()
        self.ended(task.get_loop())

    def ended(self, loop: asyncio.AbstractEventLoop) -> None:
        """The one that began last, well where it left no failure; on the loop's thread."""
        if forking.generation != self._generation:
            return  # a child, which ends with its loop: the job is its parent's
        if self.failure is None:
            self._next = self._following
            self.begin(loop)
        else:
            self._over.release()

    def wait(self) -> None:
        """Until the last has ended.

        Raises:
            BaseException: what a job raised, which was the last.
        """
        self._over.acquire()  # the loop's thread releases it
        if self.failure is not None:
            try:
                raise self.failure
            finally:
                self.failure = None  # no cycle through its traceback


class _Telling(Coroutine[Any, Any, None]):
    """A coroutine that tells its turn of its end within its last step: a task's callback comes a round later.

    What it raised is the turn's; its task has come to its end.
    """

    __slots__ = ("_coroutine", "_loop", "_turn")

    def __init__(self, coroutine: Coroutine[Any, Any, Any], turn: _Turn, loop: asyncio.AbstractEventLoop) -> None:
        self._coroutine, self._turn, self._loop = coroutine, turn, loop

    def __getattr__(self, name: str) -> Any:
        """What debuggers ask a coroutine for: its frame, its code, its name."""
        return getattr(self._coroutine, name)

    def __await__(self) -> Generator[Any, Any, None]:
        """As a task never does."""
        raise NotImplementedError

    def send(self, value: Any) -> Any:
        """Its next step."""
        try:
            return self._coroutine.send(value)
        except StopIteration:
            pass
        except BaseException as found:  # noqa: BLE001 - it is told to whoever waits
            self._failed(found)
        self._turn.ended(self._loop)  # not while an error is handled, which the next one's would have as its context
        raise StopIteration

    def throw(self, *words: Any) -> Any:
        """Its next step begins with an error; also where it has not begun."""
        try:
            return self._coroutine.throw(*words)
        except StopIteration:
            pass
        except BaseException as found:  # noqa: BLE001 - as above
            self._failed(found)
        self._turn.ended(self._loop)
        raise StopIteration

    def close(self) -> None:
        """Nobody waits for it any more."""
        self._coroutine.close()

    def _failed(self, found: BaseException) -> None:
        if issubclass(type(found), asyncio.CancelledError):  # whatever it says of itself
            self._turn.failure = CancelledError()
            found.__traceback__ = None  # its frames have it, as what was thrown
        else:
            self._turn.failure = found


def _new_loop() -> asyncio.AbstractEventLoop:
    """As the application wants it."""
    loop = asyncio.new_event_loop()
    selector = getattr(loop, "_selector", None)
    if isinstance(loop, asyncio.SelectorEventLoop) and isinstance(selector, selectors.BaseSelector):
        selector.select = _sparing(selector.select)  # type: ignore[method-assign, assignment]
    return loop


_Ready = list[tuple[selectors.SelectorKey, int]]


def _sparing(select: Callable[[float | None], _Ready]) -> Callable[[float | None], _Ready]:
    """Looks at files not at each round of a busy loop, but after a moment: the kernel is dearer than a short job."""
    again_at = 0.0  # monotonic

    def sparing(timeout: float | None = None) -> _Ready:
        """At once nothing where something else is to do and files were looked at just now."""
        nonlocal again_at
        if timeout is not None and timeout <= 0:
            now = monotonic()
            if now < again_at:
                return []
            again_at = now + MOMENT
        return select(timeout)

    return sparing


class _Inbox:
    """Coroutines on their way to the loop, which is roused once for all that come before it looks."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: deque[_Run | _Turn] = deque()
        self._roused = False

    def put(self, run: "_Run | _Turn") -> None:
        """First put, then look: whoever empties it says before that it must be roused again."""
        self._waiting.append(run)
        if not self._roused:
            self._roused = True
            self._loop.call_soon_threadsafe(self._begin)

    def _begin(self) -> None:
        self._roused = False
        while self._waiting:
            self._waiting.popleft().begin(self._loop)


def _running() -> _Inbox:
    global _loop, _inbox, _ending, _thread  # noqa: PLW0603 - one for the process
    with _lock:
        if _loop is None or _inbox is None or _loop.is_closed():
            _loop, _ending = _new_loop(), threading.Event()
            _inbox = _Inbox(_loop)
            _thread = threading.Thread(target=_forever, args=(_loop, _ending), daemon=True, name="kiq.loop")
            _thread.start()
        return _inbox


def _forever(loop: asyncio.AbstractEventLoop, ending: threading.Event) -> None:
    """A SystemExit in one job ends ``run_forever`` too; the job has its error then, and the others go on."""
    asyncio.set_event_loop(loop)
    generation = forking.generation
    while not ending.is_set():
        try:
            loop.run_forever()
        except (SystemExit, KeyboardInterrupt):
            continue
        finally:
            if forking.generation != generation:
                os._exit(0)  # closing it would take the parent's out of the selector that both have
    loop.close()


def forget() -> None:
    """In a child after fork: the loop's thread is not here."""
    global _loop, _lock
    if _loop is not None and threading.current_thread() is _thread:
        _loop.stop()  # a coroutine has forked: the child ends with it
    _loop, _lock = None, threading.Lock()


def stop() -> None:
    """No job runs any more that anybody waits for: those that do are cancelled, and may tidy up for a moment."""
    global _loop
    with _lock:
        loop, _loop = _loop, None
        if loop is None:
            return
        ending = _ending
    farewell = asyncio.run_coroutine_threadsafe(_cancel_all(), loop)
    with suppress(TimeoutError):  # a job that holds the loop itself ends with the process
        farewell.result(FAREWELL + 1)
    ending.set()
    with suppress(RuntimeError):  # it has just closed itself
        loop.call_soon_threadsafe(loop.stop)


async def _cancel_all() -> None:
    tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=FAREWELL)


forking.in_child(forget)
