"""A process that has imported the application, runs no job, and forks worker processes on its parent's word."""

import gc
import os
import signal
import socket
import stat
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final

from kiqdoctor.runtime.supervising.link import Birth, Link

SELF: Final = Path("/proc/self")
PEERED: Final = frozenset({socket.AF_INET, socket.AF_INET6, socket.AF_UNIX})
STANDARD: Final = frozenset({0, 1, 2})
IGNORED: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGTSTP, signal.SIGTTIN, signal.SIGUSR2)
"""A terminal tells them to all of us, systemd does: our parent sees to our end."""


def forked(birth: Birth) -> Birth:
    """Fork for as long as our parent asks; returns in each child, with what it is to know at its start."""
    end = Link(socket.socket(fileno=birth.fd))
    if found := opened(birth.fd):
        end.say(opened=", ".join(found))
        sys.exit(0)
    before = {number: signal.signal(number, signal.SIG_IGN) for number in IGNORED}
    gc.collect()
    gc.freeze()  # no collection writes to what is shared
    end.say(ready=True)
    while (order := end.taken()) is not None:
        message, number = order
        if _forked(end):
            end.close()
            os.set_inheritable(number, False)
            for handled, handler in before.items():
                signal.signal(handled, handler)
            return Birth(**{**message["fork"], "fd": number})
        os.close(number)
    sys.exit(0)


def opened(ours: int) -> list[str]:
    """What a child could not go on with: other threads, and connections; ``ours`` is the descriptor of the link."""
    found = [f"thread {one.name!r}" for one in threading.enumerate() if one is not threading.main_thread()]
    native = len(list((SELF / "task").iterdir())) - 1 - len(found)
    found += [f"{native} native threads"] if native > 0 else []
    return found + [
        text for one in (SELF / "fd").iterdir() if (number := int(one.name)) != ours and (text := _peer(number))
    ]


def _peer(number: int) -> str:
    """Whom a connection leads to; "" for what is none."""
    with suppress(OSError):  # the folder's own descriptor is closed by now
        if stat.S_ISSOCK(os.fstat(number).st_mode):
            with socket.socket(fileno=os.dup(number)) as kept:
                if kept.family in PEERED:
                    return f"a connection to {kept.getpeername() or 'a socket without a name'}"
    return ""


def _forked(end: Link) -> bool:
    """Twice, so that the child is our parent's, who is told its pid; whether we are that child."""
    read, write = os.pipe()
    if between := os.fork():
        os.close(write)
        pid = os.read(read, 20)
        os.close(read)
        os.waitpid(between, 0)
        end.say(born=int(pid or 0))
        return False
    os.close(read)
    if child := os.fork():
        os.write(write, b"%d" % child)
        os._exit(0)
    os.close(write)
    return True
