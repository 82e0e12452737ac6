"""pytest: ``--kiqdoctor`` runs the doctor's static checks over the project as tests, one each.

A finding at or above ``--kiqdoctor-fail-on`` fails its test; a check that could not be judged or does not apply is
skipped with its reason; a last test fails where nothing at all was judged, or a required check was not.
"""

import shlex
from collections.abc import Iterator
from typing import Any, Final

from kiqdoctor.integrations.examining import SEVERITIES, ExaminationError, Found, Judged, counts, examine

COLLECTED: Final = "kiqdoctor"  # the first part of each test's name
WHOLE: Final = "examination"  # the last test
INCOMPLETE: Final = 3  # CONTRACT.md's exit status


def add_options(parser: Any) -> None:
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


def tests() -> object:
    """The plugin that adds the tests; made here, so that this module is imported without pytest too."""
    import pytest

    class Check(pytest.Item):
        """One check's result as a test."""

        def __init__(self, *, judged: Judged, fail_on: str, **keywords: Any) -> None:
            super().__init__(**keywords)
            self.judged, self.fail_on = judged, fail_on

        def runtest(self) -> None:
            """Fail, skip or pass."""
            found = [one for one in self.judged.found if counts(one.severity, self.fail_on)]
            if found:
                pytest.fail("\n".join(line for one in found for line in _lines(one)), pytrace=False)
            if self.judged.outcome in {"unknown", "not-applicable"}:
                pytest.skip(f"{self.judged.outcome}: {self.judged.reason}")

        def reportinfo(self) -> tuple[Any, int | None, str]:
            """Where it counts as being, and its name."""
            return self.path, None, self.nodeid

    class Examination(pytest.Item):
        """The examination as a whole as a test."""

        def __init__(self, *, why: str, **keywords: Any) -> None:
            super().__init__(**keywords)
            self.why = why

        def runtest(self) -> None:
            """Fail where it does not tell how things are."""
            if self.why:
                pytest.fail(self.why, pytrace=False)

        def reportinfo(self) -> tuple[Any, int | None, str]:
            """Where it counts as being, and its name."""
            return self.path, None, self.nodeid

    class Collected(pytest.Collector):
        """All of them; the examination runs when they are collected."""

        def collect(self) -> Iterator[Any]:
            """One test a check in the order of the ids, and one of the whole."""
            option = self.config.getoption
            fail_on: str = option("kiqdoctor_fail_on")
            words = ["--fail-on", fail_on, *shlex.split(option("kiqdoctor_options"))]
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
        @pytest.hookimpl(tryfirst=True)
        def pytest_collection_modifyitems(self, session: Any, items: list[Any]) -> None:
            """Beside whatever else is run, and before -k and -m choose."""
            collected = Collected.from_parent(session, name=COLLECTED, nodeid=COLLECTED)
            items += list(session.genitems(collected))

    return Plugin()


def _lines(found: Found) -> Iterator[str]:
    yield f"{found.severity.upper()} {found.title}" + (f" ({found.where})" if found.where else "")
    yield from (f"  {line}" for line in found.evidence)
    if found.remedy:
        yield f"  -> {found.remedy}"
