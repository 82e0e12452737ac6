"""Idle connections, which threads have in the order in which they came for one."""

import threading
from collections import deque
from queue import Empty, Full, LifoQueue
from typing import Any, Final

NOTHING: Final = object()


class _Waiter:
    """One thread; its lock is free once it has something."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.lock.acquire()
        self.item: Any = NOTHING


class InTurn(LifoQueue[Any]):
    """What comes back is handed to whoever has waited longest.

    In Python's own queue a thread that puts back a connection and wants one again has it before whoever was woken for
    it: of twenty threads that always ask, one that was to tell a job's end waited for seconds.
    """

    def _init(self, maxsize: int) -> None:
        super()._init(maxsize)
        self._line: deque[_Waiter] = deque()  # empty while anything lies here

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """What was put last, or what is put once it is our turn."""
        with self.mutex:
            if self.queue:
                return self._get()
            if not block:
                raise Empty
            waiter = _Waiter()
            self._line.append(waiter)
        try:
            waiter.lock.acquire(timeout=-1 if timeout is None else timeout)
        except BaseException:
            if (item := self._left(waiter)) is not NOTHING:
                self.put(item)
            raise
        if (item := self._left(waiter)) is NOTHING:
            raise Empty
        return item

    def _left(self, waiter: _Waiter) -> Any:
        """What it was handed; if nothing, it waits no more."""
        with self.mutex:
            if waiter.item is NOTHING:
                self._line.remove(waiter)
            return waiter.item

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:  # noqa: ARG002
        """To whoever waits, or among what lies here; nobody waits for room."""
        with self.mutex:
            if self._line:
                waiter = self._line.popleft()
                waiter.item = item
                waiter.lock.release()
            elif 0 < self.maxsize <= self._qsize():
                raise Full
            else:
                self._put(item)
