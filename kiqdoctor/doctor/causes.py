"""Links findings to those that explain them: a check names its causes."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import msgspec

from kiqdoctor.doctor.report import Outcome, Reported, Result
from kiqdoctor.doctor.verdict import Severity
from kiqdoctor.wire.heartbeat import split_identity

OF_THEIR_OWN: Final = frozenset({"queue", "process", "job"})
"""Subjects of which one does not explain another of the same kind: this queue's lack of workers, that queue's wait."""


class _Index(msgspec.Struct, frozen=True):
    """A failed check's findings that may explain others: there may be 10,000, for as many symptoms."""

    exact: dict[str, Reported]
    first: dict[str, Reported]  # by kind of subject, the worst

    def of(self, symptom: Reported) -> Reported | None:
        """The one that explains it: one about the same thing, else the worst that is about another kind of thing."""
        kind, key = _subject(symptom)
        if key in self.exact:
            return self.exact[key]
        others = [one for other, one in self.first.items() if other != kind or kind not in OF_THEIR_OWN]
        return min(others, key=lambda one: one.severity.rank, default=None)


def _index(result: Result) -> _Index:
    """What is merely worth knowing explains nothing."""
    able = [one for one in result.findings if one.severity is not Severity.INFO]
    able.sort(key=lambda one: one.severity.rank)
    exact = {_subject(one)[1]: one for one in reversed(able)}
    return _Index(exact, {_subject(one)[0]: one for one in reversed(able)})


def _subject(one: Reported) -> tuple[str, str]:
    """Its kind, and what is the same for the same thing: of a process its host."""
    kind, _, name = one.finding.subject.partition(":")
    return kind, f"{kind}:{split_identity(name)[0]}" if kind == "process" else one.finding.subject


def link(results: Sequence[Result]) -> tuple[Result, ...]:
    """The same results, each finding with the findings that explain it, and related to those that it explains."""
    failed = {result.check.id: _index(result) for result in results if result.outcome is Outcome.FAIL}
    explained = tuple(_explained(result, failed) for result in results)
    explains: dict[str, dict[str, None]] = {}
    for result in explained:
        for cause in (cause for one in result.findings for cause in one.causes):
            explains.setdefault(cause, {})[result.check.id] = None
    return tuple(_related(result, explains) for result in explained)


def _explained(result: Result, failed: dict[str, _Index]) -> Result:
    above = [failed[cause] for cause in result.check.caused_by if cause in failed]
    causes = [[cause.fingerprint for index in above if (cause := index.of(one))] for one in result.findings]
    linked = (replace(one, causes=tuple(each)) for one, each in zip(result.findings, causes, strict=True))
    return replace(result, findings=tuple(linked))


def _related(result: Result, explains: dict[str, dict[str, None]]) -> Result:
    """Its causes first, then what it explains, then what the check itself names."""
    found = []
    for one in result.findings:
        ids = (*one.because, *explains.get(one.fingerprint, ()), *one.finding.related)
        found.append(replace(one, related=tuple(dict.fromkeys(ids))))
    return replace(result, findings=tuple(found))
