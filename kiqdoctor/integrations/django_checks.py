"""Django's system checks: ``manage.py check`` runs the doctor's static ones over the project.

``"kiqdoctor.integrations.django.KiqdoctorConfig"`` in ``INSTALLED_APPS`` registers them. Settings: ``KIQDOCTOR_CHECK``
(False: none of it), ``KIQDOCTOR_CHECK_PATH`` (default: ``BASE_DIR``, else the current directory),
``KIQDOCTOR_CHECK_OPTIONS`` (further options of ``kiqdoctor check``, a list). A finding's id for
``SILENCED_SYSTEM_CHECKS`` is ``kiqdoctor.`` and the check's.
"""

import os
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from kiqdoctor.integrations.static_checks import ExaminationError, StaticFinding, StaticResult, examine

LEVELS: Final = {"critical": 50, "high": 40, "medium": 30, "low": 20, "info": 20}
"""Django's numbers of CRITICAL, ERROR, WARNING and INFO."""
INCOMPLETE: Final = 3  # CONTRACT.md's exit status
UNJUDGED: Final = "kiqdoctor.failed"
FAILED: Final = 30  # WARNING: nothing was looked at
NOT_JUDGED: Final = 20  # INFO: it fails nothing, and is told all the same


def register() -> None:
    """Have ``manage.py check``, and the commands that check first, run them."""
    import_module("django.core.checks").register(run, "kiqdoctor")


def run(app_configs: Sequence[Any] | None, **_: Any) -> list[Any]:
    """Django's messages about the whole project; none where single applications are checked.

    The development server's child, which starts anew at each saved file, is left in peace.
    """
    settings = import_module("django.conf").settings
    if app_configs is not None or not getattr(settings, "KIQDOCTOR_CHECK", True) or os.environ.get("RUN_MAIN"):
        return []
    message = import_module("django.core.checks").CheckMessage
    root = getattr(settings, "KIQDOCTOR_CHECK_PATH", None) or getattr(settings, "BASE_DIR", None) or Path.cwd()
    try:
        results, status = examine(str(root), [str(word) for word in getattr(settings, "KIQDOCTOR_CHECK_OPTIONS", ())])
    except ExaminationError as error:
        return [message(FAILED, f"kiqdoctor could not examine {root}: {error}", id=UNJUDGED)]
    told = [message(*one[:2], hint=one[2], obj=one[3], id=f"kiqdoctor.{one[4]}") for one in _told(results)]
    if status == INCOMPLETE:
        told.append(message(FAILED, f"kiqdoctor could judge nothing, or not what is required, in {root}", id=UNJUDGED))
    return told


def _told(results: Sequence[StaticResult]) -> Iterator[tuple[int, str, str | None, str | None, str]]:
    """Level, text, hint, object and id of each message."""
    for result in results:
        for found in result.found:
            yield LEVELS[found.severity], _text(found), found.remedy or None, found.where or None, result.check
        if result.outcome == "unknown":
            text = f"{result.name} could not be judged: {result.reason}"
            yield NOT_JUDGED, text, f"kiqdoctor explain {result.check}", None, result.check


def _text(found: StaticFinding) -> str:
    return "\n".join([found.title, *(f"\t{line}" for line in found.evidence[:3])])
