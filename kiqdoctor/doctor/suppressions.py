"""Findings that are known: a baseline of fingerprints, read, written, and laid over results."""

import json
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Final

from kiqdoctor.doctor.report import Result

SCHEMA: Final = "kiqdoctor.baseline/1"


class BaselineError(Exception):
    """The file is no baseline; one line."""


def read(raw: bytes) -> frozenset[str]:
    """The fingerprints of a baseline.

    Raises:
        BaselineError: not JSON, another schema, or something that is no fingerprint.
    """
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise BaselineError(f"it is not JSON: {' '.join(str(error).split())}") from None
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise BaselineError(f"its schema is not {SCHEMA}; `--write-baseline` writes one")
    found = document.get("fingerprints")
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise BaselineError("`fingerprints` must be a list of strings")
    return frozenset(found)


def write(results: Sequence[Result]) -> bytes:
    """All fingerprints of these results, ordered, one a line."""
    found = sorted({one.fingerprint for result in results for one in result.findings})
    return (json.dumps({"schema": SCHEMA, "fingerprints": found}, indent=2) + "\n").encode()


def suppress(results: Sequence[Result], fingerprints: Collection[str]) -> tuple[Result, ...]:
    """The same results; findings with these fingerprints do not count."""
    return tuple(
        replace(
            result,
            findings=tuple(
                replace(one, suppressed=one.suppressed or one.fingerprint in fingerprints) for one in result.findings
            ),
        )
        for result in results
    )
