"""pytest: ``--kiqdoctor`` runs the doctor's static checks over the project as tests, one each.

A finding at or above ``--kiqdoctor-fail-on`` fails its test; a check that could not be judged or does not apply is
skipped with its reason; a last test fails where nothing at all was judged, or a required check was not.
"""

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from kiqdoctor.integrations.static_checks import (
    SEVERITIES,
    ExaminationError,
    StaticFinding,
    StaticResult,
    counts,
    examine,
)

COLLECTED: Final = "kiqdoctor"  # the first part of each test's name
WHOLE: Final = "examination"  # the last test
INCOMPLETE: Final = 3  # CONTRACT.md's exit status


def add_options(parser: pytest.Parser) -> None:
    """The options, in a group of their own."""
    group = parser.getgroup("kiqdoctor")
    group.addoption("--kiqdoctor", action="store_true", help="run the doctor's static checks over the project as tests")
    group.addoption(
        "--kiqdoctor-fail-on",
        choices=[*SEVERITIES, "never"],
        default="high",
        help="fail at or above this severity (default: high)",
    )
    group.addoption(
        "--kiqdoctor-options", metavar="WORDS", default="", help="further options of `kiqdoctor check`, as one word"
    )


class _Item(pytest.Item):
    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Where it counts as being, and its name."""
        return self.path, None, self.nodeid


class Check(_Item):
    """One check's result as a test."""

    def __init__(self, *, judged: StaticResult, fail_on: str, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.judged, self.fail_on = judged, fail_on

    def runtest(self) -> None:
        """Fail, skip or pass."""
        found = [one for one in self.judged.found if counts(one.severity, self.fail_on)]
        if found:
            pytest.fail("\n".join(line for one in found for line in _lines(one)), pytrace=False)
        if self.judged.outcome in {"unknown", "not-applicable"}:
            pytest.skip(f"{self.judged.outcome}: {self.judged.reason}")


class Examination(_Item):
    """The examination as a whole as a test."""

    def __init__(self, *, why: str, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.why = why

    def runtest(self) -> None:
        """Fail where it does not tell how things are."""
        if self.why:
            pytest.fail(self.why, pytrace=False)


class Collected(pytest.Collector):
    """All of them; the examination runs when they are collected."""

    def collect(self) -> Iterator[pytest.Item]:
        """One test a check in the order of the ids, and one of the whole."""
        fail_on: str = self.config.getoption("kiqdoctor_fail_on")
        words = ["--fail-on", fail_on, *shlex.split(self.config.getoption("kiqdoctor_options"))]
        try:
            results, status = examine(str(self.config.rootpath), words)
        except ExaminationError as error:
            yield Examination.from_parent(self, name=WHOLE, why=str(error))
            return
        for judged in results:
            yield Check.from_parent(self, name=f"{judged.check}-{judged.name}", judged=judged, fail_on=fail_on)
        why = "nothing could be judged, or a required check could not" if status == INCOMPLETE else ""
        yield Examination.from_parent(self, name=WHOLE, why=why)


class Plugin:
    """Adds the tests."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, session: pytest.Session, items: list[pytest.Item]) -> None:
        """Beside whatever else is run, and before -k and -m choose."""
        items += list(session.genitems(Collected.from_parent(session, name=COLLECTED, nodeid=COLLECTED)))


def _lines(found: StaticFinding) -> Iterator[str]:
    yield f"{found.severity.upper()} {found.title}" + (f" ({found.where})" if found.where else "")
    yield from (f"  {line}" for line in found.evidence)
    if found.remedy:
        yield f"  -> {found.remedy}"
