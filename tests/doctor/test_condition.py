"""An advisory's condition: three-valued, every word, and every row of the table can be read."""

import pytest

from kiqdoctor.doctor.condition import ConditionError, covers, judge
from kiqdoctor.doctor.facts.code import Source, Use
from kiqdoctor.doctor.facts.packages import Package, Packages
from kiqdoctor.doctor.pack import home
from kiqdoctor.doctor.tools import Pack
from kiqdoctor.probes.packages.packages import advisories

PACKAGES = Packages((Package("ruby", "sidekiq", "7.0.0", "Gemfile.lock"), Package("ruby", "git", "", "Gemfile.lock")))
SOURCE = Source(
    uses=(
        Use("import", "netCDF4.Dataset", "a.py", 1, chain=("f",)),
        Use("call", "os.fork", "a.py", 2),
        Use("keyword", "subprocess.Popen:preexec_fn=...", "a.py", 3, chain=("f",)),
        Use("shared", "redis.Redis().pubsub", "a.py", 4, chain=("f",)),
        Use("setting", "gunicorn:preload_app", "a.py", 5),
    ),
    files=1,
)


@pytest.mark.parametrize(
    ("condition", "truth"),
    [
        ("any", True),
        ("crashed", None),
        ("not any", False),
        ("any and crashed", None),
        ("any or crashed", True),
        ("not any and crashed", False),
        ("(any or crashed) and not (not any)", True),
        ("with(sidekiq<7.1.2)", True),
        ("with(sidekiq>=8)", False),
        ("with(git>=1)", None),
        ("with(rails)", False),
        ("without(rails)", True),
        ("without(sidekiq)", False),
        ("python>=3.14", None),
        ("import(netCDF4)@job", True),
        ("import(netCDF)@job", False),
        ("call(os.fork)", True),
        ("call(os.fork)@job", False),
        ("call(fork)", True),
        ("keyword(subprocess.Popen:preexec_fn)@job", True),
        ("shared(redis.Redis().pubsub, redis.Redis().pipeline)@job", True),
        ("setting(gunicorn:preload_app)", True),
        ("forks", False),
    ],
)
def test_words(condition: str, truth: bool | None) -> None:
    assert judge(condition, PACKAGES, SOURCE).truth is truth


def test_without_source_nothing_of_it_can_be_told() -> None:
    assert judge("import(netCDF4)@job", PACKAGES, None).truth is None
    assert judge("import(x)@job", PACKAGES, Source(files=1, unparsed=(("a.py", "syntax"),))).truth is None
    assert judge("import(netCDF4)@job", PACKAGES, SOURCE).witnesses[0].line == 1


@pytest.mark.parametrize("condition", ["", "nonsense", "any any", "(any", "with(", "import(a))", "&"])
def test_what_cannot_be_read(condition: str) -> None:
    with pytest.raises(ConditionError):
        judge(condition, PACKAGES, SOURCE)


def test_ranges() -> None:
    assert covers("", "1.0") is True
    assert covers(">=1.6.1", "1.6.1") is True
    assert covers(">=1.6.1", "1.6.0") is False
    assert covers("<2", "") is None
    assert covers("<2", "not a version") is None


def test_the_table_is_whole_and_every_condition_can_be_read() -> None:
    rows = advisories.read(Pack(home())).all

    assert {row.id for row in rows} == {f"R{n:02}" for n in range(1, 31)} | {f"P{n:02}" for n in range(1, 78)}
    for row in rows:
        judge(row.condition, PACKAGES, SOURCE)
        assert row.severity in {"critical", "high", "medium", "low", "info"}
        assert row.confidence in {"h", "m", "l"}
        assert row.what
        assert row.remedy
        assert row.evidence
        assert row.packages
        assert covers(row.range, "1.0") is not None
