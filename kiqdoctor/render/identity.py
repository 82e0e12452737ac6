"""A finding's fingerprint as other tools take it: a hash of fixed length, and never the same one twice in a report."""

import hashlib
from collections import Counter

from kiqdoctor.doctor.report import Report, Reported, Result


def identified(report: Report) -> list[tuple[Result, Reported, str, int]]:
    """Every finding with its SHA-256 in hex and its number (from 1) among those of the same fingerprint."""
    seen: Counter[str] = Counter()
    found: list[tuple[Result, Reported, str, int]] = []
    for result in report.results:
        for one in result.findings:
            seen[one.fingerprint] += 1
            found.append((result, one, hashed(one.fingerprint), seen[one.fingerprint]))
    return found


def hashed(text: str) -> str:
    """SHA-256 in hex of any text, lone surrogates included."""
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()
