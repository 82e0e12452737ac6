"""RED002: refused, rising, near, history, hidden."""

from healthy import HEALTHY

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.redis import ClientLimit, Connection, Server
from kiqdoctor.doctor.report import Outcome
from kiqdoctor.doctor.snapshot import Refused, Snapshot


def counts(connected: int = 9, rejected: int = 0, run: str = "a") -> Server:
    told = {"connected_clients": str(connected), "rejected_connections": str(rejected), "run_id": run}
    return Server(told)


def over_a_window(first: Server, last: Server) -> Snapshot:
    return HEALTHY.over(10, first, last)


def test_we_were_refused_ourselves() -> None:
    full = Connection("redis://db:6379/0", "limit", "max number of clients reached")

    assert diagnose("RED002", HEALTHY.with_(full)).findings[0].severity == "critical"


def test_others_are_refused_while_we_look() -> None:
    [finding] = diagnose("RED002", over_a_window(counts(rejected=5), counts(rejected=8))).findings

    assert finding.severity == "critical"
    assert "3 clients" in finding.finding.title


def test_a_restart_is_no_rise_and_hides_none() -> None:
    restarted = over_a_window(counts(rejected=5), counts(rejected=0, run="b"))
    full_again = over_a_window(counts(rejected=5), counts(rejected=5, run="b"))

    assert diagnose("RED002", restarted).outcome is Outcome.PASS
    assert diagnose("RED002", full_again).findings[0].finding.title == "Redis refused 5 clients within 10 s"


def test_a_rise_since_an_earlier_recording_is_news_for_an_hour() -> None:
    now = HEALTHY.with_(counts(rejected=9))

    assert diagnose("RED002", now.after(600, counts(rejected=2))).findings[0].severity == "critical"
    assert diagnose("RED002", now.after(86_400, counts(rejected=2))).findings[0].severity == "info"


def test_nine_tenths_taken() -> None:
    assert diagnose("RED002", HEALTHY.with_(counts(90))).findings[0].severity == "high"
    assert diagnose("RED002", HEALTHY.with_(counts(89))).outcome is Outcome.PASS


def test_old_refusals_are_history() -> None:
    assert diagnose("RED002", HEALTHY.with_(counts(rejected=5))).findings[0].severity == "info"
    assert diagnose("RED002", over_a_window(counts(rejected=5), counts(rejected=5))).findings[0].severity == "info"


def test_a_hidden_limit_is_unknown() -> None:
    hidden = HEALTHY.without(ClientLimit, Refused("hidden", "--redis-limit N"))

    result = diagnose("RED002", hidden)

    assert result.outcome is Outcome.UNKNOWN
    assert "--redis-limit" in (result.reason or "")


def test_a_refused_info_is_unknown() -> None:
    assert diagnose("RED002", HEALTHY.without(Server, Refused("NOPERM", "+info"))).outcome is Outcome.UNKNOWN
