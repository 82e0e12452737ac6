"""A suppression's condition: what it may say, and what it comes to when facts are there, partial or refused."""

from dataclasses import replace

import pytest
from healthy import HEALTHY
from healthy.fleet import WORKER
from hypothesis import given
from hypothesis import strategies as st

from kiqdoctor import probes
from kiqdoctor.doctor import while_clause
from kiqdoctor.doctor.facts.fleet import Fleet
from kiqdoctor.doctor.facts.redis import Connection, Server
from kiqdoctor.doctor.snapshot import Absent, Refused
from kiqdoctor.doctor.while_clause import WhileClauseError, read

KINDS = (*(probe.fact for probe in probes.every()), Connection)
NO_FLEET = HEALTHY.without(Fleet, Refused("NOPERM", "+smembers"))


@pytest.mark.parametrize(
    ("text", "truth"),
    [
        ("fleet.members < 3", True),
        ("fleet.members >= 3", False),
        ("fleet.live == 1", True),
        ("fleet.ghosts != 0", False),
        ('fleet.processes["web-1:4711:aabbccddeeff"].concurrency == 5', True),
        ('queues.all["default"].size <= 1', True),
        ('queues.sets["retry"].size > 0', False),
        ('queues.all["nowhere"].size > 0', None),
        ("server.info.maxclients == 100", True),
        ("server.info.maxclients >= 500", False),
        ("server.info.redis_version > 7", None),
        ('server.info.redis_version == "7.2.4"', True),
        ("server.info.nothing == 1", None),
        ('server.info.nothing != "x"', None),
        ("client_limit.limit > -1", True),
        ("keyspace.complete", True),
        ("not keyspace.complete", False),
        ('local_processes.hostname == "web-1"', True),
        ("fleet.members < 3 and keyspace.complete", True),
        ("fleet.members > 3 or server.info.nothing > 1", None),
        ("fleet.members < 3 or server.info.nothing > 1", True),
        ("fleet.members > 3 and server.info.nothing > 1", False),
        ("not server.info.nothing > 1", None),
        ("(fleet.members > 3 or fleet.members < 3) and not fleet.members == 0", True),
        ("redis_settings.all > 1", True),
    ],
)  # fmt: skip
def test_it_is_judged_three_valued(text: str, truth: bool | None) -> None:
    told = read(text, KINDS).told(HEALTHY)

    assert told.truth is truth
    assert told.line


@pytest.mark.parametrize("missing", [Refused("NOPERM", "+smembers"), Absent("the live half was not selected")])
def test_a_missing_fact_is_unknown_and_says_why(missing: Refused | Absent) -> None:
    told = read("fleet.members < 3", KINDS).told(HEALTHY.without(Fleet, missing))

    assert told.truth is None
    assert told.line == f"fleet is not known: {missing.reason}"


def test_the_values_that_decide_are_shown() -> None:
    told = read("fleet.members < 3 and keyspace.complete", KINDS).told(HEALTHY)

    assert told.line == "fleet.members is 1; keyspace.complete is true"


def test_a_sample_counts_nothing() -> None:
    sampled = HEALTHY.with_(Fleet((WORKER,), 9000, partial="500 of 9000 members were read"))

    assert read("fleet.members > 8000", KINDS).told(sampled).truth is True
    assert read("fleet.processes == 1", KINDS).told(sampled).truth is None


def test_a_field_that_says_nothing_is_unknown() -> None:
    silent = HEALTHY.with_(Fleet((replace(WORKER, concurrency=None),), 1))

    assert read(f'fleet.processes["{WORKER.identity}"].concurrency < 9', KINDS).told(silent).truth is None


def test_it_knows_which_facts_it_needs() -> None:
    assert read("fleet.members < 3 and not (server.info.x == 1 or fleet.live > 2)", KINDS).kinds == (Fleet, Server)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no condition"),
        ("fleet.members <", "no condition"),
        ("fleet.members = 3", "no condition"),
        ("(" * 300, "no condition"),
        ("x" * 600, "longer than 500 characters"),
        ("flet.members < 3", "no fact is called 'flet'; did you mean 'fleet'?"),
        ("zzz.members < 3", "there are advisories,"),
        ("fleet.member < 3", "fleet has no field 'member'; did you mean 'members'?"),
        ("fleet.members.x < 3", "fleet.members has no fields, and so no 'x'"),
        ("fleet < 3", "fleet is not one value; name a field of it: processes, members"),
        ("fleet.members", "fleet.members is a number, no truth by itself; compare it, as in `fleet.members < 3`"),
        ("keyspace.complete == 1", "write `keyspace.complete` or `not keyspace.complete`"),
        ('fleet.members == "3"', "fleet.members is a number"),
        ("local_processes.hostname == 3", "local_processes.hostname is a text"),
        ('local_processes.hostname < "b"', "texts compare by == and != only"),
        ("1 < fleet.members", "is not a fact's field"),
        ("0 < fleet.members < 3", "one comparison by <"),
        ("fleet.members < 3 < 4", "one comparison by <"),
        ("fleet.members in (1, 2)", "one comparison by <"),
        ("fleet.members < fleet.members", "on the right stands a number or a text in quotes"),
        ("fleet.members < True", "on the right stands a number or a text in quotes"),
        ("fleet.processes[0].busy < 3", "in the brackets stands a name in quotes"),
        ('fleet.partial["x"] == "y"', "fleet.partial has no members with names"),
        ("fleet.members.__class__ == 1", "has no fields"),
        ("fleet.__class__ == 1", "fleet has no field '__class__'"),
        ("open('x').read() == 'y'", "is not a fact's field"),
        ("[fleet for fleet in ()] == 1", "is not a fact's field"),
        ("(lambda: fleet)() == 1", "is not a fact's field"),
    ],
)
def test_what_it_may_not_say(text: str, said: str) -> None:
    with pytest.raises(WhileClauseError) as error:
        read(text, KINDS)

    assert said in str(error.value)
    assert "\n" not in str(error.value)


@given(st.text(max_size=60) | st.text("fletmbrs.<>=()&|not and or\"'[]0123 ", max_size=60))
def test_whatever_is_written_is_a_condition_or_an_error(text: str) -> None:
    try:
        found = read(text, KINDS)
    except WhileClauseError:
        return
    assert found.told(HEALTHY).truth in {True, False, None}
    assert found.told(NO_FLEET).truth in {True, False, None}


def test_every_fact_has_its_spelling() -> None:
    assert len({while_clause.spelt_kind(kind) for kind in KINDS}) == len(set(KINDS))
