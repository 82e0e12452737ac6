"""An advisory's condition: three-valued, every word, and every row of the table can be read."""

from dataclasses import replace

import pytest

from kiqdoctor.doctor.condition import ConditionError, covers, holds
from kiqdoctor.doctor.facts.code import (
    Argument,
    BuiltAtLoad,
    Call,
    Calls,
    Code,
    Forks,
    Function,
    Import,
    Imports,
    Named,
    Place,
    Shape,
    SharedUses,
    Write,
    Writes,
)
from kiqdoctor.doctor.facts.deployment import Start, Starts
from kiqdoctor.doctor.facts.packages import Package, Packages
from kiqdoctor.doctor.facts.settings import RedisSetting, RedisSettings
from kiqdoctor.doctor.pack import home
from kiqdoctor.doctor.tools import Pack
from kiqdoctor.doctor.witnesses import Seen
from kiqdoctor.probes.packages.packages import advisories

PACKAGES = Packages((Package("ruby", "sidekiq", "7.0.0", "Gemfile.lock"), Package("ruby", "git", "", "Gemfile.lock")))
JOB, HELPER, BODY = range(3)
CODE = Code(
    (
        Function("a.job", Place("a.py", 1), "python"),
        Function("a.helper", Place("a.py", 5), "python", caller=JOB),
        Function("a", Place("a.py", 1), "python", body=True),
    ),
    reached=2,
    files=1,
)
SPAWN = (Argument("", Shape.TEXT, "spawn"),)
SEEN = Seen(
    PACKAGES,
    CODE,
    Imports((Import(JOB, 1, 1, "netCDF4.Dataset"), Import(BODY, 3, 1, "ssl", statement=True))),
    Calls(
        (
            Call(HELPER, 2, 5, "subprocess.Popen", (Argument("preexec_fn", Shape.NAME, "os.setsid"),)),
            Call(BODY, 4, 1, "gevent.monkey.patch_all"),
            Call(BODY, 1, 1, "os.fork"),
            Call(BODY, 5, 1, "multiprocessing.set_start_method", SPAWN),
            Call(JOB, 6, 1, "boto3.client().put_object"),
        )
    ),
    SharedUses((Named(JOB, 4, 1, "redis.Redis().pubsub"),)),
    Writes((Write(JOB, 6, 1, "a.s.headers.update", "requests.Session"), Write(BODY, 7, 1, "Person.site"))),
    BuiltAtLoad((Named(BODY, 2, 1, "psycopg2.connect"),)),
    Forks(),
    Starts((Start("uwsgi", "uwsgi.ini"),)),
    RedisSettings((RedisSetting("server", "config/initializers/sidekiq.rb", 3, namespace="shop"),)),
)
FORKING = replace(SEEN, forks=Forks((Named(HELPER, 9, 1, "os.fork"),)))


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
        ("keyword(Popen:preexec_fn=os.setsid)", True),
        ("keyword(subprocess.Popen:preexec_fn=print)", False),
        ("keyword(subprocess.Popen:cwd)", False),
        ("keyword(subprocess.run:preexec_fn)", False),
        ("keyword(set_start_method:=spawn, set_start_method:=forkserver)", True),
        ("keyword(set_start_method:=forkserver)", False),
        ("keyword(set_start_method:=spawn)@job", False),
        ("call(boto3.client)", False),
        ("call(boto3)", True),
        ("late(gevent.monkey.patch_all)", True),
        ("late(os.fork)", False),
        ("mutated(requests.Session)@job", True),
        ("mutated(site, headers)", True),
        ("mutated(site)@job", False),
        ("shared(redis.Redis().pubsub, redis.Redis().pipeline)@job", True),
        ("setting(uwsgi)", True),
        ("setting(uwsgi:enable-threads)", False),
        ("setting(sidekiq:namespace)", True),
        ("forks", False),
        ("before_fork(psycopg2)", False),
    ],
)
def test_words(condition: str, truth: bool | None) -> None:
    assert holds(condition, SEEN).truth is truth


@pytest.mark.parametrize(
    ("condition", "truth"),
    [
        ("forks", True),
        ("forks@job", True),
        ("before_fork(psycopg2)", True),
        ("before_fork(psycopg2)@job", False),
        ("before_fork(grpc)", False),
    ],
)
def test_what_a_fork_inherits(condition: str, truth: bool) -> None:
    assert holds(condition, FORKING).truth is truth
    assert holds(condition, replace(SEEN, starts=Starts((Start("x", "Procfile", forks=True),)))).truth is (
        truth and "@job" not in condition
    )


@pytest.mark.parametrize(
    "seen",
    [
        Seen(PACKAGES),
        replace(SEEN, code=Code()),
        replace(SEEN, code=replace(CODE, unparsed=(("b.py", "syntax"),))),
        replace(SEEN, imports=None),
        replace(SEEN, imports=Imports(partial="200000 of 200001 were kept")),
    ],
    ids=["no source", "no files", "unparsed", "not read", "cut"],
)
def test_what_was_not_seen_cannot_be_told(seen: Seen) -> None:
    assert holds("import(numpy)@job", seen).truth is None


def test_a_site_that_was_seen_is_enough_where_others_were_not() -> None:
    seen = replace(SEEN, code=replace(CODE, unparsed=(("b.py", "syntax"),)))

    assert holds("import(netCDF4)@job", seen).truth is True


def test_witnesses_say_where_and_by_which_way() -> None:
    [witness] = holds("keyword(subprocess.Popen:preexec_fn)@job", SEEN).witnesses

    assert (witness.word, witness.name) == ("keyword", "subprocess.Popen(preexec_fn)")
    assert (witness.place, witness.chain) == (Place("a.py", 2, 5), ("a.job", "a.helper"))
    assert holds("not call(os.fork)", SEEN).witnesses == []


@pytest.mark.parametrize("condition", ["", "nonsense", "any any", "(any", "with(", "import(a))", "&"])
def test_what_cannot_be_read(condition: str) -> None:
    with pytest.raises(ConditionError):
        holds(condition, SEEN)


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
        holds(row.condition, SEEN)
        assert row.severity in {"critical", "high", "medium", "low", "info"}
        assert row.confidence in {"h", "m", "l"}
        assert row.what
        assert row.remedy
        assert row.evidence
        assert row.packages
        assert covers(row.range, "1.0") is not None
