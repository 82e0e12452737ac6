"""Findings that were known at some day: a file of fingerprints, which may only shrink unless it is told otherwise."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any, Final

from kiqdoctor.doctor.report import Outcome, Reported, Result
from kiqdoctor.records import dataclass

SCHEMA: Final = "kiqdoctor.baseline/1"
KNOWN: Final = "known: the baseline names it"


class BaselineError(Exception):
    """The file is no baseline; one line."""


@dataclass(frozen=True, slots=True)
class Revised:
    """A baseline after an examination: what it holds now, what healed, what was added, what is new and left out."""

    fingerprints: frozenset[str]
    healed: frozenset[str] = frozenset()
    added: frozenset[str] = frozenset()
    left_out: frozenset[str] = frozenset()

    def said(self, file: str) -> str:
        """What was done, in one line."""
        done = f"{len(self.fingerprints)} known, {len(self.added)} added, {len(self.healed)} healed and removed"
        left = f"; {len(self.left_out)} new left out, --allow-grow adds them" if self.left_out else ""
        return f"Baseline {file}: {done}{left}."


def read(raw: bytes) -> frozenset[str]:
    """The fingerprints of a baseline.

    Raises:
        BaselineError: not JSON, another schema, or something that is no fingerprint.
    """
    import json

    try:
        document = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise BaselineError(f"it is not JSON: {' '.join(str(error).split())}") from None
    schema = document.get("schema") if isinstance(document, dict) else None
    if schema != SCHEMA:
        raise BaselineError(
            f"{_of_schema(schema)}; this version reads {SCHEMA}; remove it, and `--write-baseline` writes a new one"
        )
    found: Any = document.get("fingerprints")
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise BaselineError("`fingerprints` must be a list of strings")
    return frozenset(found)


def _of_schema(schema: Any) -> str:
    text = schema if isinstance(schema, str) else ""
    if text.startswith("kiqdoctor.baseline/"):
        return f"its schema is {text}"
    return f"it is no baseline but {text}" if text.startswith("kiqdoctor.") else "it is no baseline"


def write(fingerprints: Collection[str]) -> bytes:
    """These fingerprints, ordered, one a line."""
    import json

    return (json.dumps({"schema": SCHEMA, "fingerprints": sorted(fingerprints)}, indent=2) + "\n").encode()


def revise(old: Collection[str] | None, results: Sequence[Result], *, grow: bool = False) -> Revised:
    """The next baseline: what of the old one still holds; ``grow``, or no old one at all, adds what is new.

    A fingerprint whose check was not judged stays: that nobody looked does not heal. What a suppression silences is
    not added, so that it counts again when the suppression ends.
    """
    known = frozenset(old or ())
    found = {one.fingerprint: one for result in results for one in result.findings}
    judged = {result.check.id for result in results if _judged(result)}
    healed = frozenset(one for one in known - found.keys() if one.partition(":")[0] in judged)
    new = frozenset(one for one, reported in found.items() if one not in known and not reported.suppressed)
    added = new if grow or old is None else frozenset()
    return Revised((known - healed) | added, healed, added, new - added)


def _judged(result: Result) -> bool:
    """Of several Redis one may be unknown where another has findings."""
    partly = bool(result.reason) and any(one.redis for one in result.findings)
    return result.outcome in {Outcome.PASS, Outcome.FAIL} and not partly


def gone(known: Collection[str], results: Sequence[Result]) -> frozenset[str]:
    """What of a baseline has healed."""
    return revise(known, results).healed


def suppress(results: Sequence[Result], known: Collection[str], *, new_only: bool = False) -> tuple[Result, ...]:
    """The same results; findings with these fingerprints do not count, nor are they shown where only new ones are."""
    return tuple(
        replace(result, findings=tuple(_marked(one, known, hidden=new_only) for one in result.findings))
        for result in results
    )


def _marked(one: Reported, known: Collection[str], *, hidden: bool) -> Reported:
    if one.fingerprint not in known:
        return one
    return replace(one, suppressed=True, justification=one.justification or KNOWN, hidden=hidden)
