"""The doctor's static checks for other tools: run as a process of its own, read back as the JSON report's values.

A process of its own, because the doctor must not be examined by what it examines: what it imports stays out of the
application, and what the application patches stays out of the doctor.
"""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

PATIENCE: Final = 120.0  # seconds for a whole examination
SEVERITIES: Final = ("critical", "high", "medium", "low", "info")


class ExaminationError(Exception):
    """There is no report, in one line."""


@dataclass(frozen=True, slots=True)
class StaticFinding:
    """One finding that counts. ``where`` is ``path:line``, "" where it is in no file."""

    severity: str
    title: str
    remedy: str
    where: str
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StaticResult:
    """One check: ``outcome`` and ``reason`` as CONTRACT.md has them."""

    check: str
    name: str
    outcome: str
    reason: str
    found: tuple[StaticFinding, ...] = ()


def examine(path: str, words: Sequence[str] = ()) -> tuple[tuple[StaticResult, ...], int]:
    """What the static checks make of the application at ``path``, and the exit status.

    This interpreter's environment is the one that is examined, unless ``words`` (further options) name another.

    Raises:
        ExaminationError: wrong options, or no report within the time.
    """
    command = [sys.executable, "-P", "-m", "kiqdoctor", "check", "--static", "--format", "json"]
    named = any(word == "--python" or word.startswith("--python=") for word in words)
    command += [*([] if named else ["--python", sys.prefix]), *words, path]
    try:
        ran = subprocess.run(command, capture_output=True, timeout=PATIENCE, check=False, stdin=subprocess.DEVNULL)
        document = json.loads(ran.stdout)
        return tuple(_judged(one) for one in document["results"]), int(document["summary"]["exit_status"])
    except subprocess.TimeoutExpired:
        raise ExaminationError(f"kiqdoctor check did not end within {PATIENCE:g} s") from None
    except (ValueError, KeyError, TypeError):
        said = ran.stderr.decode("utf-8", "replace").strip().splitlines()
        last = said[-1] if said else f"it ended with status {ran.returncode} and no report"
        raise ExaminationError(last.removeprefix("kiqdoctor: ")) from None


def counts(severity: str, fail_on: str) -> bool:
    """Whether a finding of this severity counts; nothing does for ``never``."""
    return fail_on in SEVERITIES and SEVERITIES.index(severity) <= SEVERITIES.index(fail_on)


def _judged(result: Mapping[str, Any]) -> StaticResult:
    found = tuple(_found(one) for one in result["findings"] if not one["suppressed"])
    return StaticResult(result["check"], result["name"], result["outcome"], result["reason"] or "", found)


def _found(finding: Mapping[str, Any]) -> StaticFinding:
    location = finding["location"]
    where = f"{location['path']}:{location['line']}" if location else ""
    evidence = tuple(f"{one['label']}: {one['value']}" for one in finding["evidence"])
    return StaticFinding(finding["severity"], finding["title"], finding["remedy"], where, evidence)
