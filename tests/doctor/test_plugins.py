"""Plug-ins: a sound one adds checks, probes and formats; a broken one is unknown (crashed) and stops nothing."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from doctoring import Examination, kiqdoctor
from plugging import install

from kiqdoctor.clock import SYSTEM
from kiqdoctor.doctor import plugins
from kiqdoctor.doctor.check import Check
from kiqdoctor.doctor.contain import CrashError, contained
from kiqdoctor.doctor.examine import judge
from kiqdoctor.doctor.judging import MOST_VERDICTS, called
from kiqdoctor.doctor.pack import load
from kiqdoctor.doctor.report import Outcome
from kiqdoctor.doctor.snapshot import Snapshot
from kiqdoctor.doctor.verdict import Evidence, Finding, Location, Severity, Unknown
from kiqdoctor.render.formats import NAMES

FACTS = """
    from dataclasses import dataclass

    @dataclass(frozen=True)
    class Shelf:
        books: int

    @dataclass(frozen=True)
    class Cellar:
        bottles: int

    @dataclass(frozen=True)
    class Attic:
        boxes: int

    @dataclass(frozen=True)
    class Unread:
        letters: int

    @dataclass(frozen=True)
    class Odd:
        key: object
"""
PROBES = """
    import threading
    from library.facts import Attic, Cellar, Odd, Shelf
    from kiqdoctor.doctor.facts.redis import Server
    from kiqdoctor.doctor.probe import Lane, Read, probe
    from kiqdoctor.doctor.tools import Application

    @probe(Read("shelf.txt"), lane=Lane.FILES)
    def shelf(application: Application) -> Shelf:
        return Shelf(int((application.root / "shelf.txt").read_text()))

    @probe(Read("nothing"), lane=Lane.FILES, deadline_s=0.2)
    def cellar(application: Application) -> Cellar:
        threading.Event().wait()

    @probe(Read("nothing"), lane=Lane.FILES)
    def attic(application: Application) -> Attic:
        raise SystemExit(0)

    @probe(Read("INFO"), lane=Lane.REDIS)
    def server(application: Application) -> Server:
        return Server({"maxclients": "1000000"})

    @probe(Read("nothing"), lane=Lane.FILES)
    def odd(application: Application) -> Odd:
        return "no Odd at all"
"""


def checking(number: str, function: str, body: str, *, fact: str = "Shelf", head: str = "") -> str:
    return f"""
    from collections.abc import Iterator
    from library.facts import {fact}
    from kiqdoctor.doctor import Finding, Severity, Verdict, check
    {head}

    @check("{number}", severity=Severity.HIGH)
    def {function}(fact: {fact}) -> Iterator[Verdict]:
        {body}
    """


FULL = """if fact.books > 9:
            yield Finding("shelf", "It is full", "Sell")
        yield from ()"""
CHECKS = {
    "full_shelf": checking("LIB001", "full_shelf", FULL),
    "no_import": checking("LIB002", "no_import", "yield", head="import there_is_no_such_module"),
    "no_python": 'check("LIB003"\n    @check("LIB003", severity=',
    "raises": checking("LIB004", "raises", "raise ZeroDivisionError('by\\nnought')"),
    "leaves": checking("LIB005", "leaves", "raise SystemExit(0)"),
    "garbage": checking("LIB006", "garbage", 'yield "all is well"'),
    "nothing": checking("LIB007", "nothing", "return None"),
    "hanging_probe": checking("LIB008", "hanging_probe", "yield from ()", fact="Cellar"),
    "leaving_probe": checking("LIB009", "leaving_probe", "yield from ()", fact="Attic"),
    "unread": checking("LIB010", "unread", "yield from ()", fact="Unread"),
    "odd_probe": checking("LIB011", "odd_probe", "yield from ()", fact="Odd"),
    "bad_types": checking("LIB012", "bad_types", 'yield Finding("shelf", 7, "Sell", severity="high")'),
    "stolen": checking("RED001", "stolen", "yield from ()"),
    "Loud": checking("loud", "loud", "yield from ()"),
    "helper": "NUMBER = 3",
}
CRASHED = {
    "LIB002": "ModuleNotFoundError",
    "LIB003": "SyntaxError",
    "LIB004": "crashed: ZeroDivisionError: by nought",
    "LIB005": "crashed: SystemExit: 0",
    "LIB006": "it yielded a str, which is no verdict",
    "LIB007": "crashed: TypeError",
    "LIB008": "cellar crashed: it did not finish within 0.2 s",
    "LIB009": "attic crashed: SystemExit: 0",
    "LIB010": "Unread was not read",
    "LIB011": "odd crashed: it read a str, not a Odd",
    "LIB012": "Finding.title is a int, not a str",
}


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One sound check among every kind of broken thing."""
    folder = tmp_path_factory.mktemp("zoo")
    files = {
        "library/__init__.py": "",
        "library/facts.py": FACTS,
        "library/probes.py": PROBES,
        "library/checks/__init__.py": "",
        **{f"library/checks/books/{name}.py": text for name, text in CHECKS.items()},
        "library/formats.py": """
            import sys

            def brief(report):
                return f"{report.exit_status} {len(report.results)}\\n"

            def crash(report):
                raise ValueError("no\\nway")

            def leave(report):
                sys.exit(0)

            def nothing(report):
                return None

            def embellish(report):
                object.__setattr__(report, "exit_status", 0)
                object.__setattr__(report, "results", ())
                return "all is well\\n"
        """,
    }
    formats = dict.fromkeys(("brief", "crash", "leave", "nothing", "embellish"), "")
    install(
        folder,
        "the-library",
        files,
        checks={"library": "library.checks", "away": "there.is.no.package"},
        probes={"library": "library.probes", "away": "library.there_are_no_probes", "empty": "library.formats"},
        renderers={**{name: f"library.formats:{name}" for name in formats}, "away": "library.formats:away"},
    )
    return folder


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An application whose shelf is full."""
    folder = tmp_path_factory.mktemp("shop")
    (folder / "shelf.txt").write_text("10")
    return folder


def examined(zoo: Path, shop: Path, *words: str) -> Examination:
    return kiqdoctor("check", "--static", str(shop), *words, PYTHONPATH=str(zoo))


@pytest.fixture(scope="module")
def report(zoo: Path, shop: Path) -> Examination:
    return examined(zoo, shop, "--format", "json")


def test_a_sound_check_judges_what_its_own_probe_read(report: Examination) -> None:
    assert report.status == 1
    [finding] = report.result("LIB001")["findings"]
    assert finding["title"] == "It is full"
    assert finding["fingerprint"] == "LIB001:shelf"


@pytest.mark.parametrize("number", CRASHED)
def test_what_is_broken_is_unknown_and_says_why(report: Examination, number: str) -> None:
    result = report.result(number)

    assert result["outcome"] == "unknown"
    assert CRASHED[number] in result["reason"]
    assert "\n" not in result["reason"]


def test_what_has_no_id_of_its_own_stands_in_the_report_too(report: Examination) -> None:
    reasons = " | ".join(str(one["reason"]) for one in report.report["results"] if one["check"].startswith("PLG"))

    assert "the id RED001 of stolen is taken by redis-unreachable" in reasons
    assert "its id must be three capitals and three digits, not 'loud'" in reasons
    assert "books/helper.py: it holds no check" in reasons
    assert "ModuleNotFoundError: No module named 'there'" in reasons
    assert "library.formats holds no probe" in reasons
    assert "No module named 'library.there_are_no_probes'" in reasons
    assert "the probe server reads Server, and a fact of that name is read already" in reasons
    assert all("the-library" in reason for reason in reasons.split(" | ") if "probe server" not in reason)


def test_our_own_checks_are_judged_as_ever(report: Examination, shop: Path) -> None:
    alone = kiqdoctor("check", "--static", str(shop), "--format", "json")

    ours = {one["check"]: one["outcome"] for one in alone.report["results"]}
    assert ours.items() <= {one["check"]: one["outcome"] for one in report.report["results"]}.items()


def test_a_required_plug_in_that_crashed_leaves_the_examination_incomplete(zoo: Path, shop: Path) -> None:
    crashing = "LIB008,LIB009,LIB010,LIB011"  # of probes: these alone leave it incomplete
    words = ("--fail-on", "never", "--format", "json", "--ignore", crashing, "--require")

    assert examined(zoo, shop, *words, "LIB004").status == 3
    assert examined(zoo, shop, *words, "plug-ins").status == 3
    assert examined(zoo, shop, *words, "LIB001").status == 0
    assert examined(zoo, shop, "--fail-on", "never", "--format", "json").status == 3


def test_it_is_listed_and_explained(zoo: Path) -> None:
    listed = kiqdoctor("list", PYTHONPATH=str(zoo)).out
    page = kiqdoctor("explain", "LIB002", PYTHONPATH=str(zoo))

    assert "LIB001  full-shelf" in listed
    assert page.status == 0
    assert "from the-library (kiqdoctor.checks library)" in page.out


def test_a_plug_in_s_format_prints_what_it_likes(zoo: Path, shop: Path, tmp_path: Path) -> None:
    file = tmp_path / "brief"

    found = examined(zoo, shop, "--select", "LIB001", "--format", "brief", "--report", f"brief={file}")

    assert (found.status, found.out) == (1, "1 1\n")
    assert file.read_text() == "1 1\n"


@pytest.mark.parametrize("form", ["brief", "crash", "leave", "nothing", "embellish", "away"])
@pytest.mark.parametrize(("check", "status"), [("LIB001", 1), ("LIB004", 3)])
def test_no_format_changes_the_exit_status(zoo: Path, shop: Path, form: str, check: str, status: int) -> None:
    found = examined(zoo, shop, "--select", check, "--format", form)

    assert found.status == status
    if form not in {"brief", "embellish"}:
        [line] = found.err.splitlines()
        assert line.startswith(f"kiqdoctor: the format {form} crashed: ")
        assert check in found.out


def test_an_unknown_format_is_wrong_usage(zoo: Path, shop: Path) -> None:
    assert examined(zoo, shop, "--format", "there-is-none").status == 2
    assert examined(zoo, shop, "--report", "there-is-none=x").status == 2


def test_a_recording_of_a_fact_that_json_does_not_know_is_refused_and_nothing_else(tmp_path: Path, shop: Path) -> None:
    probe = PROBES.replace('return "no Odd at all"', "return Odd(object())")
    files = {"library/__init__.py": "", "library/facts.py": FACTS, "library/probes.py": probe,
             "library/checks/__init__.py": "", "library/checks/books/odd_probe.py": CHECKS["odd_probe"],
             "library/checks/books/full_shelf.py": CHECKS["full_shelf"]}  # fmt: skip
    install(tmp_path, "the-library", files, checks={"a": "library.checks"}, probes={"a": "library.probes"})
    file = tmp_path / "recording"

    live = examined(tmp_path, shop, "--select", "LIB", "--record", str(file), "--format", "json")
    again = kiqdoctor("check", "--replay", str(file), "--select", "LIB", "--format", "json", PYTHONPATH=str(tmp_path))

    assert live.outcome("LIB011") == "pass"
    assert again.outcome("LIB001") == "fail"
    assert "Odd cannot be recorded" in again.result("LIB011")["reason"]


def test_a_folder_of_checks_is_a_plug_in_like_any_other(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("import there_is_no_such_module")

    checks = {one.id: one for one in load([tmp_path])}

    assert checks["PLG001"].category == "plug-ins"
    assert judge(checks["PLG001"], Snapshot(), SYSTEM).outcome is Outcome.UNKNOWN


def test_a_folder_that_is_named_twice_is_one_pack(tmp_path: Path) -> None:
    assert len(load([tmp_path, tmp_path])) == len(load())


def theirs(judging: Any) -> Check:
    return Check("LIB001", "one", "books", Severity.LOW, judging, (), "", origin="the-library")


def test_a_check_that_hangs_is_left_behind() -> None:
    import threading

    never = threading.Event()

    [verdict] = called(theirs(lambda: iter(never.wait, None)), {}, seconds=0.05)
    never.set()

    assert verdict == Unknown(
        "crashed: it did not end within 0.05 s", "report it as a fault of the plug-in the-library"
    )


def test_a_check_without_an_end_is_cut_off() -> None:
    def endless() -> Iterator[Evidence]:
        while True:
            yield Evidence("one", "more")

    [verdict] = called(theirs(endless), {})

    assert isinstance(verdict, Unknown)
    assert verdict.reason == f"crashed: it yielded more than {MOST_VERDICTS} verdicts"


@pytest.mark.parametrize(
    "verdict",
    [
        Finding("a", "b", "c", evidence=["d"]),  # type: ignore[arg-type]
        Finding("a", "b", "c", evidence=("d",)),  # type: ignore[arg-type]
        Finding("a", "b", "c", evidence=(Evidence("d", 1),)),  # type: ignore[arg-type]
        Finding("a", "b", "c", related=(1,)),  # type: ignore[arg-type]
        Finding("a", "b", "c", location=Location("d", "1")),  # type: ignore[arg-type]
        Finding("a", "b", "c", location="d"),  # type: ignore[arg-type]
        Unknown(None),  # type: ignore[arg-type]
        SimpleNamespace(reason="x"),
    ],
)
def test_what_is_no_sound_verdict_is_a_crash(verdict: Any) -> None:
    [found] = called(theirs(lambda: iter([verdict])), {})

    assert isinstance(found, Unknown)
    assert found.reason.startswith("crashed: ")


def test_an_exception_that_cannot_be_put_into_words_is_named() -> None:
    class MuteError(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    def call() -> None:
        raise MuteError

    with pytest.raises(CrashError, match=r"^MuteError$"):
        contained(call, 5)


def test_our_own_formats_are_no_plug_in_s() -> None:
    assert kiqdoctor("check", "--help").out.count("|".join(NAMES)) == 1


def test_that_a_package_declares_a_plug_in_is_told_by_its_folder(tmp_path: Path) -> None:
    install(tmp_path / "with", "some-library", {}, renderers={"brief": "library:brief"})
    install(tmp_path / "without", "other-library", {})
    (tmp_path / "without" / "bare-1.0.dist-info").mkdir()
    (tmp_path / "packed.zip").write_bytes(b"")

    declares = [plugins._declares(tmp_path / name) for name in ("with", "without", "packed.zip", "not there")]

    assert declares == [True, False, True, False]
