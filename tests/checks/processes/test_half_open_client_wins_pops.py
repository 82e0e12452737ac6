"""PRO013: bytes that nobody acknowledges, and bytes that are merely under way."""

from healthy import HEALTHY
from healthy.host import LOCAL
from msgspec.structs import replace as changed

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.host import LocalProcesses, SendQueues, Unsent
from kiqdoctor.doctor.facts.redis import Client, Clients
from kiqdoctor.doctor.report import Outcome
from kiqdoctor.doctor.snapshot import Refused, Snapshot

GONE = Client(9, "10.0.0.66:4000", age_s=900, idle_s=6, command="brpop")
BYTES = Unsent("10.0.0.66:4000", 34)
BASE = HEALTHY.with_(Clients((*HEALTHY.get(Clients).all, GONE)))  # type: ignore[union-attr]


def unsent(*moments: Unsent | None) -> Snapshot:
    return BASE.over(5, *[SendQueues((one,) if one else ()) for one in moments])


def test_bytes_that_stay_are_critical() -> None:
    [finding] = diagnose("PRO013", unsent(BYTES, BYTES)).findings

    assert finding.severity == "critical"
    assert finding.finding.title.startswith("10.0.0.66:4000 is gone and still takes jobs: 34 bytes")
    assert finding.fingerprint == "PRO013:client:10.0.0.66"


def test_what_was_sent_again_and_again_needs_one_reading() -> None:
    assert diagnose("PRO013", unsent(changed(BYTES, retries=4))).findings[0].severity == "high"


def test_bytes_under_way_settle_nothing_yet() -> None:
    found = diagnose("PRO013", unsent(BYTES))

    assert found.outcome is Outcome.UNKNOWN
    assert "--for 5" in (found.reason or "")
    assert diagnose("PRO013", unsent(BYTES, None)).outcome is Outcome.PASS
    assert diagnose("PRO013", unsent(None, BYTES)).outcome is Outcome.UNKNOWN


def test_a_reader_that_is_slow_is_there() -> None:
    much = changed(BYTES, waiting_bytes=200_000)

    assert diagnose("PRO013", unsent(much, much)).outcome is Outcome.PASS


def test_a_busy_one_has_other_bytes_under_way_at_each_look() -> None:
    def judged(idle_s: int, *moments: Unsent) -> Outcome:
        one = Client(9, "10.0.0.66:4000", age_s=900, idle_s=idle_s, command="brpop")
        return diagnose("PRO013", unsent(*moments).with_(Clients((one,)))).outcome

    assert judged(0, BYTES, BYTES) is Outcome.PASS
    assert judged(2, BYTES, BYTES) is Outcome.PASS  # it asked for more meanwhile
    assert judged(4, BYTES, BYTES) is Outcome.FAIL
    assert judged(0, changed(BYTES, retries=4)) is Outcome.PASS


def test_who_does_not_pop_takes_no_jobs() -> None:
    other = unsent(BYTES, BYTES).with_(Clients((Client(9, "10.0.0.66:4000", command="get"),)))

    assert diagnose("PRO013", other).outcome is Outcome.PASS


def test_redis_on_another_host() -> None:
    refused = Refused("Redis runs on another host", "the doctor on Redis' host")

    assert diagnose("PRO013", HEALTHY.without(SendQueues, refused)).outcome is Outcome.PASS
    assert diagnose("PRO013", BASE.without(SendQueues, refused)).outcome is Outcome.UNKNOWN
    nobody = HEALTHY.with_(LocalProcesses("web-1", ())).without(SendQueues, refused)
    assert diagnose("PRO013", nobody).outcome is Outcome.UNKNOWN
    assert LOCAL.sockets[0][0] == "10.0.0.1:5000"
