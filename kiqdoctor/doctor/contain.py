"""Runs what is not ours: within a time, and whatever it raises is one line."""

import threading
from collections.abc import Callable
from typing import Any


class CrashError(Exception):
    """What was called raised, or did not end in time; one line."""


def contained(call: Callable[[], Any], seconds: float) -> Any:
    """What the call returns; one that does not end in time is left behind in its daemon thread.

    Raises:
        CrashError: it raised, ``SystemExit`` among all that can be raised, or ``seconds`` were not enough.
    """
    returned: list[Any] = []
    raised: list[BaseException] = []

    def run() -> None:
        try:
            returned.append(call())
        except BaseException as error:  # noqa: BLE001 - the seam that nothing of theirs may pass
            raised.append(error)

    thread = threading.Thread(target=run, daemon=True, name="kiq.contained")
    thread.start()
    thread.join(seconds)
    if raised:
        raise CrashError(said(raised[0])) from None
    if not returned:
        raise CrashError(f"it did not end within {seconds:g} s")
    return returned[0]


def said(error: BaseException) -> str:
    """An exception's type and words on one line, even where it cannot put itself into words."""
    if isinstance(error, CrashError):
        return str(error)
    try:
        words = " ".join(str(error).split())
    except Exception:  # noqa: BLE001 - its __str__ is theirs too
        words = ""
    return f"{type(error).__name__}: {words}" if words else type(error).__name__
