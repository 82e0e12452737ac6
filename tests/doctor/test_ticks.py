"""Times and zones that somebody else wrote."""

import pytest

from kiqdoctor.doctor.facts.beside import PeriodicJob
from kiqdoctor.doctor.ticks import UntoldError, due, missed, shown


@pytest.mark.parametrize("at", [1e13, 9e99, float("inf"), float("nan"), -1e300])
def test_a_time_that_no_calendar_has_is_shown_as_a_number(at: float) -> None:
    assert shown(at) == f"{at:g}"
    assert shown(0.0) == "1970-01-01T00:00:00Z"


@pytest.mark.parametrize("zone", ["Europe/" + "e/" * 1000, "Mars/Base", "x" * 100_000])
def test_a_zone_that_is_none_is_said_to_be_none(zone: str) -> None:
    job = PeriodicJob("nightly", "kiqdoctor", cron="0 3 * * *", zone=zone, last=1.7e9)

    assert due(job, 1.8e9) is None
    with pytest.raises(UntoldError, match="knows no time zone"):
        missed(job, 1.8e9, 60.0)
