"""OBS003: expired, refuted, untold, unused and soon; what holds is evidence."""

from dataclasses import replace

import pytest
from healthy import HEALTHY
from healthy.engine import SUPPRESSED

from kiqdoctor.doctor import Location
from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.engine import Fate, Suppressed, Suppressions, Thresholds, Turned
from kiqdoctor.doctor.report import Outcome, Reported

FAR = replace(SUPPRESSED, days_left=60.0)


def found(*entries: Suppressed, thresholds: Thresholds | None = None) -> tuple[Reported, ...]:
    return diagnose("OBS003", HEALTHY.with_(Suppressions(entries), thresholds or Thresholds())).findings


@pytest.mark.parametrize(
    ("change", "severity", "said"),
    [
        ({"fate": Fate.EXPIRED, "days_left": -3.0}, "medium", "expired on 2027-01-31; its finding counts again"),
        ({"fate": Fate.EXPIRED, "matched": 2}, "medium", "2 findings count again"),
        ({"fate": Fate.EXPIRED, "matched": 0}, "medium", "it would silence nothing now"),
        (
            {"fate": Fate.REFUTED, "condition": "fleet.members < 3", "told": "fleet.members is 4"},
            "medium",
            "rests on `fleet.members < 3`, which no longer holds: fleet.members is 4",
        ),
        (
            {"fate": Fate.UNTOLD, "condition": "fleet.members < 3", "told": "fleet is not known: NOPERM"},
            "low",
            "which cannot be told and so does not apply: fleet is not known: NOPERM",
        ),
        ({"fate": Fate.UNUSED}, "low", "silences nothing"),
        ({"days_left": 14.0}, "info", "ends in 14 days, on 2027-01-31"),
        ({"days_left": 14.0, "fate": Fate.UNJUDGED}, "info", "ends in 14 days"),
    ],
)
def test_each_fate_that_needs_somebody(change: dict[str, object], severity: str, said: str) -> None:
    [one] = found(replace(FAR, **change))  # type: ignore[arg-type]

    assert one.severity == severity
    assert said in one.finding.title
    assert one.finding.subject == "suppression:RED003:redis"


@pytest.mark.parametrize("change", [{}, {"days_left": 14.1}, {"fate": Fate.UNJUDGED}])
def test_its_healthy_twins(change: dict[str, object]) -> None:
    result = diagnose("OBS003", HEALTHY.with_(Suppressions((replace(FAR, **change),))))  # type: ignore[arg-type]

    assert result.outcome is Outcome.PASS
    assert "the plan grows next month (team-queues)" in result.evidence[0].value


def test_soon_may_be_turned() -> None:
    turned = Thresholds((Turned("OBS003", "soon-days", 30, "kiqdoctor.toml:9"),))
    entry = replace(FAR, days_left=20.0)

    assert not found(entry)
    assert found(entry, thresholds=turned)[0].finding.evidence[-1].source == "kiqdoctor.toml:9"


def test_it_points_to_the_line_and_keeps_times_out_of_its_fingerprint() -> None:
    place = Location("kiqdoctor.toml", 3)
    [one] = found(replace(FAR, fate=Fate.EXPIRED, location=place))

    assert one.finding.location == place
    assert one.fingerprint == "OBS003:suppression:RED003:redis:expired"


def test_without_suppressions_there_is_no_question() -> None:
    assert diagnose("OBS003", HEALTHY.with_(Suppressions())).outcome is Outcome.NOT_APPLICABLE
