"""Calls one check on its facts: what raises, hangs, never ends or is no verdict is ``unknown (crashed)``."""

from collections.abc import Mapping
from itertools import islice
from typing import Any, Final

from kiqdoctor.doctor.check import Check
from kiqdoctor.doctor.contain import CrashError, contained, said
from kiqdoctor.doctor.soundness import flaw
from kiqdoctor.doctor.verdict import Unknown, Verdict

JUDGING: Final = 10.0  # seconds that a plug-in's check may take over facts that are read already
MOST_VERDICTS: Final = 100_000


def called(check: Check, arguments: Mapping[str, Any], seconds: float = JUDGING) -> list[Verdict]:
    """What the check yields, each of it a sound verdict; a plug-in's has so many seconds."""
    try:
        if check.origin:  # not ours: it may hang, or leave
            verdicts: list[Verdict] = contained(lambda: _verdicts(check, arguments), seconds)
            return verdicts
        return _verdicts(check, arguments)
    except CrashError as error:
        why = str(error)
    except Exception as error:  # noqa: BLE001 - the seam where a crash becomes an unknown
        why = said(error)
    whose = f"of the plug-in {check.origin}" if check.origin else "of the check"
    return [Unknown(f"crashed: {why}", f"report it as a fault {whose}")]


def _verdicts(check: Check, arguments: Mapping[str, Any]) -> list[Verdict]:
    verdicts = list(islice(check.judge(**arguments), MOST_VERDICTS + 1))
    if len(verdicts) > MOST_VERDICTS:
        raise CrashError(f"it yielded more than {MOST_VERDICTS} verdicts")
    if wrong := next(filter(None, map(flaw, verdicts)), ""):
        raise CrashError(wrong)
    return verdicts
