"""A suppression silences what it names until its end and while its condition holds; what becomes of it is told."""

from dataclasses import replace

import pytest
from healthy import HEALTHY
from hypothesis import given
from hypothesis import strategies as st

from kiqdoctor import probes
from kiqdoctor.clock import Clock
from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.examine import examine
from kiqdoctor.doctor.facts.engine import Fate, Suppressions
from kiqdoctor.doctor.facts.redis import Server
from kiqdoctor.doctor.pack import load
from kiqdoctor.doctor.report import Outcome, Result
from kiqdoctor.doctor.snapshot import Refused, Snapshot
from kiqdoctor.doctor.suppressions import DAY, Suppression, apply
from kiqdoctor.doctor.while_clause import read
from kiqdoctor.examining.decisions import end

NOW = 1_795_500_000.0
CROWDED = HEALTHY.with_(Server({"connected_clients": "95", "rejected_connections": "0"}))
ENTRY = Suppression("RED002", "the plan grows", "team-queues", "2027-01-31", NOW + 60 * DAY, source="kiqdoctor.toml:3")
KINDS = tuple(probe.fact for probe in probes.every())


def laid(entry: Suppression, result: Result, snapshot: Snapshot = CROWDED, now: float = NOW) -> tuple[bool, Fate]:
    """Whether the finding is silenced, and the suppression's fate."""
    [changed], fates = apply([entry], [result], snapshot, now)
    return all(one.suppressed for one in changed.findings), fates.all[0].fate


@pytest.fixture(scope="module")
def crowded() -> Result:
    return diagnose("RED002", CROWDED)


def test_it_silences_what_it_names(crowded: Result) -> None:
    [changed], _ = apply([ENTRY], [crowded], CROWDED, NOW)

    assert changed.outcome is Outcome.FAIL
    assert changed.findings[0].suppressed
    assert changed.findings[0].justification == "the plan grows (team-queues, until 2027-01-31)"


@pytest.mark.parametrize(
    ("change", "fits"),
    [
        ({"subject": "redis"}, True),
        ({"subject": "red*"}, True),
        ({"subject": "queue:*"}, False),
        ({"fingerprint": "RED002:redis:near"}, True),
        ({"fingerprint": "RED002:redis"}, False),
        ({"subject": "redis", "fingerprint": "RED002:redis:near"}, True),
        ({"subject": "queue:a", "fingerprint": "RED002:redis:near"}, False),
        ({"check": "RED003"}, False),
    ],
)
def test_check_subject_and_fingerprint_all_have_to_fit(crowded: Result, change: dict[str, str], fits: bool) -> None:
    assert laid(replace(ENTRY, **change), crowded)[0] is fits  # type: ignore[arg-type]


def test_it_ends_at_its_moment(crowded: Result) -> None:
    assert laid(ENTRY, crowded, now=ENTRY.until - 1) == (True, Fate.HOLDS)
    assert laid(ENTRY, crowded, now=ENTRY.until) == (False, Fate.EXPIRED)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("fleet.members < 3", (True, Fate.HOLDS)),
        ("fleet.members > 3", (False, Fate.REFUTED)),
        ("server.info.nothing > 3", (False, Fate.UNTOLD)),
    ],
)
def test_it_lives_with_its_condition(crowded: Result, condition: str, expected: tuple[bool, Fate]) -> None:
    assert laid(replace(ENTRY, while_=read(condition, KINDS)), crowded) == expected


def test_unused_is_only_what_was_judged() -> None:
    healthy = diagnose("RED002", HEALTHY)
    unknown = diagnose("RED002", HEALTHY.without(Server, Refused("NOPERM")))

    assert laid(ENTRY, healthy)[1] is Fate.UNUSED
    assert laid(ENTRY, unknown)[1] is Fate.UNJUDGED
    assert apply([ENTRY], [], HEALTHY, NOW)[1].all[0].fate is Fate.UNJUDGED


def test_the_first_that_fits_gives_the_reason_and_all_that_fit_are_in_use(crowded: Result) -> None:
    second = replace(ENTRY, reason="another")

    [changed], fates = apply([ENTRY, second], [crowded], CROWDED, NOW)

    assert changed.findings[0].justification.startswith("the plan grows")
    assert [one.fate for one in fates.all] == [Fate.HOLDS, Fate.HOLDS]


def test_the_engine_tells_what_became_of_them_to_the_check_that_asks() -> None:
    chosen = [one for one in load() if one.id in {"RED002", "OBS003"}]
    expired = replace(ENTRY, until=NOW)
    facts = Snapshot({kind: one for kind, one in CROWDED.readings.items() if kind is not Suppressions})

    stale, crowded = examine(chosen, facts, Clock(now=lambda: NOW), suppressions=[expired])

    assert [one.severity for one in stale.findings] == ["medium"]
    assert not crowded.findings[0].suppressed


@pytest.mark.parametrize(
    ("text", "shown", "until"),
    [
        ("2026-12-31", "2026-12-31", 1_798_761_600),
        ("2024-02-29", "2024-02-29", 1_709_251_200),
        ("2026-12-31T18:00:00Z", "2026-12-31T18:00:00Z", 1_798_740_000),
        ("2026-12-31T18:00:00+00:00", "2026-12-31T18:00:00Z", 1_798_740_000),
    ],
)
def test_a_day_holds_to_its_end_in_utc_and_a_moment_to_itself(text: str, shown: str, until: float) -> None:
    assert end(text) == (shown, until)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("2026-12-31T18:00:00", "has no time zone; in UTC it would be 2026-12-31T18:00:00Z"),
        ("2026-12-31T18:00:00+02:00", "is not in UTC; write 2026-12-31T16:00:00Z"),
        ("0001-01-01T00:00:00+01:00", "is not in UTC, and before"),
        ("31.12.2026", "must be an ISO date in UTC"),
        ("2026-02-30", "must be an ISO date in UTC"),
        ("", "must be an ISO date in UTC"),
        (20261231, "must be an ISO date in UTC"),
    ],
)
def test_what_is_no_end(text: object, said: str) -> None:
    with pytest.raises(ValueError, match="UTC") as error:
        end(text)

    assert said in str(error.value)


@given(st.dates())
def test_every_date_ends_a_day_after_it_began(date: object) -> None:
    from datetime import UTC, datetime
    from datetime import date as day

    assert isinstance(date, day)
    began = datetime(date.year, date.month, date.day, tzinfo=UTC).timestamp()
    assert end(date) == (date.isoformat(), began + DAY)
