"""NSP001: prefixes in Redis, settings in the source."""

from dataclasses import replace

import pytest
from healthy import HEALTHY
from healthy.keyspace import INSTALLATION
from healthy.settings import SETTING

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.keyspace import Installation, Keyspace
from kiqdoctor.doctor.facts.settings import RedisSetting, RedisSettings
from kiqdoctor.doctor.report import Outcome
from kiqdoctor.doctor.snapshot import Absent, Refused
from kiqdoctor.probes.keyspace.installations import candidates

STRANDED = replace(
    INSTALLATION, prefix="shop", processes=0, live=0, process_queues=(), processed=False, waiting=12,
    queues=(("default", 12),),
)  # fmt: skip


def beside(*others: Installation) -> Keyspace:
    return Keyspace((INSTALLATION, *others), scanned=9, total=9)


def test_jobs_wait_under_a_prefix_that_no_worker_ever_read() -> None:
    [finding] = diagnose("NSP001", HEALTHY.with_(beside(STRANDED))).findings

    assert finding.severity == "critical"
    assert "12 jobs wait under the namespace shop:" in finding.finding.title
    assert "1 live worker reads the unprefixed keys" in finding.finding.title


def test_a_prefix_with_processes_of_its_own_is_healthy() -> None:
    own = replace(STRANDED, processes=1, live=1, process_queues=("default",), processed=True)

    assert diagnose("NSP001", HEALTHY.with_(beside(own))).outcome is Outcome.PASS


def test_a_worker_that_went_away_is_less_certain() -> None:
    assert diagnose("NSP001", HEALTHY.with_(beside(replace(STRANDED, processed=True)))).findings[0].severity == "high"


def test_other_queues_are_probably_another_application() -> None:
    other = replace(STRANDED, queues=(("invoices", 3),))

    assert diagnose("NSP001", HEALTHY.with_(beside(other))).findings[0].severity == "medium"


def test_a_scan_that_ended_early_is_unknown() -> None:
    early = Keyspace((INSTALLATION,), scanned=9, total=99, complete=False)

    assert diagnose("NSP001", HEALTHY.with_(early)).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    "taken",
    [
        b"working:queue:default:web-1:4711:0123456789ab",
        b"working:queue:default:web-1:4711",
        b"shop:working:queue:default:web-1:4711:0123456789ab",
        b"queue:sq|web-1:4711:0123456789ab|default",
        b"shop:queue:backup::web-1::default",
    ],
)
def test_what_a_process_took_is_no_queue_of_a_namespace(taken: bytes) -> None:
    assert candidates([taken]) == []


def test_a_namespace_that_is_called_like_such_a_list_keeps_its_queues() -> None:
    assert [(one.prefix, one.lists) for one in candidates([b"working:queue:default"])] == [("working", ["default"])]


def settings(server: RedisSetting, client: RedisSetting | None = None) -> RedisSettings:
    return RedisSettings((server, client) if client is not None else (server,))


CLIENT = replace(SETTING, role="client", line=9)


@pytest.mark.parametrize(
    "client",
    [replace(CLIENT, namespace="x"), replace(CLIENT, url="ENV[OTHER]"), replace(CLIENT, database="1")],
    ids=["namespace", "url", "database"],
)
def test_the_roles_differ(client: RedisSetting) -> None:
    result = diagnose("NSP001", HEALTHY.with_(settings(SETTING, client)))

    [finding] = result.findings
    assert finding.severity == "critical"
    assert finding.finding.location is not None
    assert (finding.finding.location.path, finding.finding.location.line) == (CLIENT.path, 9)


def test_the_same_for_both_is_healthy() -> None:
    assert diagnose("NSP001", HEALTHY.with_(settings(SETTING, CLIENT))).outcome is Outcome.PASS


def test_only_one_role_is_configured() -> None:
    named = replace(SETTING, url="ENV[QUEUE_URL]")
    assert diagnose("NSP001", HEALTHY.with_(settings(named))).outcome is Outcome.FAIL
    assert diagnose("NSP001", HEALTHY.with_(settings(SETTING))).outcome is Outcome.PASS  # the default's own variable
    bare = replace(SETTING, url=None, pool_size=9)
    assert diagnose("NSP001", HEALTHY.with_(settings(bare))).outcome is Outcome.PASS


def test_what_cannot_be_followed_is_unknown() -> None:
    murky = replace(CLIENT, url=None, unresolved="the url is computed")

    assert diagnose("NSP001", HEALTHY.with_(settings(SETTING, murky))).outcome is Outcome.UNKNOWN


def test_each_half_alone() -> None:
    no_files = HEALTHY.without(RedisSettings, Absent("no application"))
    no_redis = HEALTHY.without(Keyspace, Absent("--static"))

    assert diagnose("NSP001", no_files).outcome is Outcome.PASS
    assert diagnose("NSP001", no_redis).outcome is Outcome.PASS
    assert diagnose("NSP001", no_files.without(Keyspace, Absent("none"))).outcome is Outcome.NOT_APPLICABLE
    assert diagnose("NSP001", no_files.without(Keyspace, Refused("NOPERM"))).outcome is Outcome.UNKNOWN


def test_a_queue_may_be_called_as_a_key_of_a_namespace() -> None:
    found = candidates([b"queue:shop:queue:mail", b"app:queue:x:queue:y", b"queue:x:queues", b"queues"])

    assert {one.prefix: one.lists for one in found} == {"": ["shop:queue:mail", "x:queues"], "app": ["x:queue:y"]}
