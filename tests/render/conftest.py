"""Reports for the renderers' tests: one of everything, every text in it chosen by the test."""

from collections.abc import Callable

import pytest

from kiqdoctor.doctor.check import Check
from kiqdoctor.doctor.report import (
    Cost,
    Evidence,
    Finding,
    Location,
    Outcome,
    Report,
    Reported,
    Result,
    Severity,
    Target,
)

EVIL = (
    "]]>&\"'<b onload=x>|`*[x](javascript:y) {0} ::error file=a,line=1::owned %0A::set-output name=a::b\n"
    "::stop-commands::x\r\n##vso[task.setvariable variable=a]b"
    "\x1b]52;c;ZXZpbA==\x07\x1b[2J\u202egnp.exe\u2066 \ud800\x00\ufffe\u0085\u2028</script><img src=x onerror=alert(1)>"
    "--><!--<![CDATA[ @root #1 www.evil.example \\| | '\n| a | b |\n# h"
)
PAGE = "Something is ill.\n\n## Why it hurts\nJobs wait.\n\n## How to fix\nMend it.\n\n## Source\nnone"


def check(identity: str, category: str = "test", severity: Severity = Severity.HIGH, *, preview: bool = False) -> Check:
    return Check(identity, "some-check", category, severity, lambda: (), (), PAGE, preview)


@pytest.fixture(scope="session")
def report() -> Callable[..., Report]:
    """One of everything, with this text wherever text from outside can be."""

    def build(
        text: str = EVIL, *, suppressed: bool = False, severity: Severity = Severity.HIGH, status: int = 1
    ) -> Report:
        located = Finding(text, text, text, (Evidence(text, text, text),), location=Location(text, 3, 4))
        bare = Finding(f"queue:{text}", text, "")
        found = tuple(
            Reported(one, severity, f"TST001:{one.subject}", suppressed, ("TST002",), text if suppressed else "")
            for one in (located, bare)
        )
        results = (
            Result(check("TST001"), Outcome.FAIL, None, 1.0, (), found),
            Result(check("TST002"), Outcome.UNKNOWN, text, 1.0),
            Result(check("TST003", "other"), Outcome.NOT_APPLICABLE, text, 1.0),
            Result(check("TST004", "other"), Outcome.PASS, None, 1.0, (Evidence(text, text),)),
        )
        target = Target(text, text, text, text)
        cost = Cost({"INFO": 2}, 10, 4000, "INFO", 0.7)
        return Report("0.1.0", 1_795_500_000.125, 0.2, target, results, status, cost, (text,))

    return build


@pytest.fixture(scope="session", params=["evil", "a megabyte"])
def hostile(request: pytest.FixtureRequest, report: Callable[..., Report]) -> Report:
    return report(EVIL if request.param == "evil" else (EVIL + "A" * 1_000_000))
