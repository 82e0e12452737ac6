"""When a thread dump is made: at TTIN, while the GIL is stuck, when somebody asks through Redis.

A thread of its own waits on the pipe that C writes each signal's number to, so that a main thread deep in C does not
keep a dump from being made. ``faulthandler`` walks the frames of threads that run meanwhile: on 3.11 and 3.12 that
crashes a busy process at one of the first signals. It is used for the one case that no Python can see, a GIL that is
kept, and only where somebody outside has seen it: the parent, which sends ``STACKS`` to a child that is silent and does
not stand still. A timer of faulthandler's own would ring when a stopped process goes on, while all its threads run:
one of ten crashed.
"""

import faulthandler
import os
import re
import secrets
import select
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

from kiqdoctor.clock import SYSTEM, Clock
from kiqdoctor.runtime import log
from kiqdoctor.runtime.dumping import dump
from kiqdoctor.runtime.dumping.dump import Dump, Jobs, Pools
from kiqdoctor.wire.keys import Keys

if TYPE_CHECKING:
    from redis import Redis

STALL: Final = 10.0  # seconds without the GIL after which that is told
TICKS: Final = 4  # looks within that
ASK_TTL: Final = 60  # seconds that a question and its answer are kept
ASKERS: Final = 20  # that one beat answers
PATIENCE: Final = 15.0  # seconds: a beat comes every 5 s, and may wait 10 s for a slow Redis
POLL: Final = 0.1  # seconds between two looks for the answer
STANDARD_ERROR: Final = 2

_TOKEN: Final = re.compile(rb"[0-9a-f]{32}")
_BY_PYTHON: Final = b"\xff"  # in the pipe, where no signal has such a number
_WAKE: Final = b"\xfe"
_TTIN: Final = bytes([signal.SIGTTIN])


class Watchdog:
    """One thread of a process.

    ``write`` gets each log line; ``stall_s`` 0 looks for no stuck GIL; ``signals`` False leaves TTIN and the wakeup
    fd alone, as must be in somebody else's program. At the signal ``stacks`` every stack goes to ``stderr``, whoever
    keeps the GIL; 0: at none.
    """

    def __init__(
        self,
        *,
        jobs: Jobs,
        pools: Pools,
        write: Callable[[str], None],
        identity: Callable[[], str] = str,
        stall_s: float = STALL,
        stacks: int = 0,
        signals: bool = True,
        on_stall: Callable[[float], None] | None = None,
        stderr: int = STANDARD_ERROR,
        clock: Clock = SYSTEM,
    ) -> None:
        self._jobs, self._pools, self._write, self._identity = jobs, pools, write, identity
        self._stall_s, self._signals, self._on_stall = stall_s, signals, on_stall
        self._clock, self._stderr, self._stacks = clock, stderr, stacks
        self._file: int | None = None
        self._pipe: tuple[int, int] | None = None
        self._ours = False  # the wakeup fd
        self._handler: Any = None  # TTIN's, before ours
        self._told_by_c = self._stopping = False
        self.thread: threading.Thread | None = None

    def start(self) -> None:
        """Take the signal, where this is the main thread, and watch. A wakeup fd of somebody else's stays in place."""
        global _watching  # noqa: PLW0603 - a process has one wakeup fd
        if self._stacks:
            with suppress(OSError):  # standard error is closed: nowhere to write to
                self._file = os.dup(self._stderr)  # its number is kept by C: it must never become a socket's
                faulthandler.register(self._stacks, file=self._file)
        self._open()
        if self._signals and threading.current_thread() is threading.main_thread():
            self._handler = signal.signal(signal.SIGTTIN, self._note)
            self._wake_by_c()
        _watching = self
        self._begin()

    def stop(self) -> None:
        """Give back what was taken, and end the thread."""
        global _watching  # noqa: PLW0603
        if _watching is self:
            _watching = None
        if self._pipe is None:
            return
        released = self._release()
        self._stopping = True
        with suppress(OSError):  # it is full: the thread wakes anyway
            os.write(self._pipe[1], _WAKE)
        if self.thread is not None:
            self.thread.join(self._stall_s or STALL)
        if released and not (self.thread is not None and self.thread.is_alive()):
            self._close()

    def dump(self, reason: str) -> Dump:
        """Every thread now."""
        return dump.here(self._jobs, self._pools, identity=self._identity(), reason=reason, at=self._clock.now())

    def _open(self) -> None:
        read, write = os.pipe()
        os.set_blocking(read, False)
        os.set_blocking(write, False)
        self._pipe = read, write

    def _wake_by_c(self) -> None:
        """Where asyncio or somebody else has the wakeup fd, Python's handler tells us, once the main thread can."""
        assert self._pipe is not None  # noqa: S101 - opened before
        known = signal.set_wakeup_fd(self._pipe[1], warn_on_full_buffer=False)
        self._ours = known == -1
        if not self._ours:
            signal.set_wakeup_fd(known)

    def _note(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - the handler's shape
        if self._pipe is not None:
            with suppress(OSError):
                os.write(self._pipe[1], _BY_PYTHON)

    def _release(self) -> bool:
        """Whether nobody writes to the pipe any more."""
        if self._handler is None:
            return True
        if threading.current_thread() is not threading.main_thread():
            return False
        assert self._pipe is not None  # noqa: S101 - stop has looked
        if self._ours:
            known = signal.set_wakeup_fd(-1)
            if known != self._pipe[1]:
                signal.set_wakeup_fd(known)
        if signal.getsignal(signal.SIGTTIN) == self._note:
            signal.signal(signal.SIGTTIN, self._handler)
        self._handler = None
        return True

    def _close(self) -> None:
        if self._file is not None:
            faulthandler.unregister(self._stacks)
        for number in (*(self._pipe or ()), self._file):
            if number is not None:
                with suppress(OSError):
                    os.close(number)
        self._pipe = self._file = None

    def _begin(self) -> None:
        self.thread = threading.Thread(target=self._run, daemon=True, name="kiq.watchdog")
        self.thread.start()

    def _run(self) -> None:
        assert self._pipe is not None  # noqa: S101 - opened before
        read = self._pipe[0]
        poll = select.poll()
        poll.register(read, select.POLLIN)
        tick_ms = int(self._stall_s / TICKS * 1000) if self._stall_s else None
        while True:
            began = self._clock.monotonic()
            woken = poll.poll(tick_ms)
            waited = self._clock.monotonic() - began
            told = _drained(read)
            if self._stopping:
                return
            if tick_ms is not None and waited >= self._stall_s:
                self._was_stuck(waited if woken else waited - tick_ms / 1000)
            if self._asked(told):
                self._tell("TTIN")

    def _asked(self, told: bytes) -> bool:
        """Python's handler runs after C wrote the number, if it runs at all: one signal is one dump."""
        if _TTIN in told:
            self._told_by_c = _BY_PYTHON not in told[told.rindex(_TTIN) :]
            return True
        if _BY_PYTHON in told:
            known, self._told_by_c = self._told_by_c, False
            return not known
        return False

    def _tell(self, reason: str) -> None:
        try:
            for line in dump.lines(self.dump(reason)):
                self._write(line)
        except Exception as error:  # noqa: BLE001 - whatever is broken, the next dump may succeed
            with suppress(Exception):
                self._write(f"no thread dump: {type(error).__name__}: {error}")

    def _was_stuck(self, seconds: float) -> None:
        """Say so, and whose the numbers are in stacks that were written: faulthandler knows no names."""
        try:
            told = [f"the GIL was stuck for {seconds:.1f} s: C code kept it (its stack is above), or we stood still"]
            told += [
                f"  thread 0x{ident:016x} is TID-{log.thread_id(ident)} class={job.job_class} jid={job.jid}"
                for ident, job in self._jobs().items()
                if job.running_s >= seconds
            ]
            self._write("\n".join(told[: dump.THREADS]))
            if self._on_stall is not None:
                self._on_stall(seconds)
        except Exception as error:  # noqa: BLE001 - to watch on matters more
            with suppress(Exception):
                self._write(f"watchdog: {type(error).__name__}: {error}")

    def in_child(self) -> None:
        """A pipe and a thread of its own; the parent's would tell the parent of the child's signals."""
        for number in self._pipe or ():
            with suppress(OSError):
                os.close(number)
        self._open()
        if self._ours and self._pipe is not None:
            signal.set_wakeup_fd(self._pipe[1], warn_on_full_buffer=False)
        self._begin()


def _drained(number: int) -> bytes:
    told = b""
    with suppress(BlockingIOError):
        while some := os.read(number, 4096):
            told += some
    return told


_watching: Watchdog | None = None


def _after_in_child() -> None:
    if (watchdog := _watching) is not None:
        with suppress(OSError, RuntimeError, ValueError):  # no thread or no descriptor left: the child does without
            watchdog.in_child()


os.register_at_fork(after_in_child=_after_in_child)


def answer(client: "Redis", keys: Keys, identity: str, make_dump: Callable[[], Dump]) -> bool:
    """Whether somebody asked for a dump through Redis, and was answered. One round trip where nobody did.

    Called by the beat, and never by the watchdog's thread, which must not wait for Redis: who asks waits for one beat
    at most, 5 s, and longer only where the beat itself waits for Redis.

    Raises:
        redis.exceptions.RedisError: it could not be reached or refused.
    """
    found: Any = client.rpop(keys.ask(identity), ASKERS)
    tokens = [token for token in dict.fromkeys(found or ()) if _TOKEN.fullmatch(token)]
    if not tokens:
        return False
    raw = dump.encode(make_dump())
    with client.pipeline(transaction=False) as pipe:
        for token in tokens:
            pipe.set(keys.answer(token.decode()), raw, ex=ASK_TTL)
        pipe.execute()
    return True


def ask(client: "Redis", keys: Keys, identity: str, timeout: float = PATIENCE, *, clock: Clock = SYSTEM) -> Dump:
    """The dump of a process anywhere, made at its next beat. ``timeout``: seconds.

    Raises:
        TimeoutError: it did not answer in time; the question is taken back.
        ValueError: the answer is no dump.
        redis.exceptions.RedisError: it could not be reached or refused.
    """
    token = secrets.token_hex(16)
    deadline = clock.monotonic() + timeout
    with client.pipeline(transaction=True) as pipe:
        pipe.lpush(keys.ask(identity), token)
        pipe.expire(keys.ask(identity), ASK_TTL)
        pipe.execute()
    while True:
        raw: Any = client.getdel(keys.answer(token))
        if raw is not None:
            return dump.read(raw)
        if clock.monotonic() >= deadline:
            break
        clock.sleep(POLL)
    client.lrem(keys.ask(identity), 1, token)
    raise TimeoutError(
        f"{identity} did not answer within {timeout:g} s; a process answers at its beat, every 5 s,"
        " unless it is dead, cut off from Redis, or its GIL is stuck"
    )
