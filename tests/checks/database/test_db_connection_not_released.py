"""DBC003: connections of one worker to one database."""

from dataclasses import replace

import pytest
from healthy import HEALTHY
from healthy.host import LOCAL

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.host import LocalProcesses
from kiqdoctor.doctor.facts.packages import Package, Packages
from kiqdoctor.doctor.report import Outcome
from kiqdoctor.doctor.snapshot import Snapshot


def held(count: int, remote: str = "10.0.0.3:5432", **changes: object) -> Snapshot:
    sockets = (*LOCAL.sockets, *((f"10.0.0.1:{n}", remote) for n in range(count)))
    return HEALTHY.with_(LocalProcesses("web-1", (replace(LOCAL, sockets=sockets, **changes),)))  # type: ignore[arg-type]


def test_more_than_threads() -> None:
    [finding] = diagnose("DBC003", held(20)).findings

    assert finding.severity == "low"
    assert "holds 20 connections to PostgreSQL at 10.0.0.3:5432, for 5 threads" in finding.finding.title


def test_one_for_each_thread_is_healthy() -> None:
    assert diagnose("DBC003", held(7)).outcome is Outcome.PASS
    assert diagnose("DBC003", held(20, "10.0.0.3:443")).outcome is Outcome.PASS


def test_each_address_counts_by_itself() -> None:
    sockets = (*LOCAL.sockets, *((f"10.0.0.1:{n}", f"10.0.0.{3 + n % 3}:3306") for n in range(18)))

    assert (
        diagnose("DBC003", HEALTHY.with_(LocalProcesses("web-1", (replace(LOCAL, sockets=sockets),)))).outcome == "pass"
    )


def test_another_user_s_and_another_host_s_are_unknown() -> None:
    assert diagnose("DBC003", held(0, settings=None)).outcome is Outcome.UNKNOWN
    elsewhere = HEALTHY.with_(LocalProcesses("web-9"))
    assert diagnose("DBC003", elsewhere.with_(Packages())).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("name", "outcome"),
    [("redis", Outcome.PASS), ("psycopg2-binary", Outcome.UNKNOWN), ("flask-sqlalchemy", Outcome.UNKNOWN)],
)
def test_where_no_client_of_a_database_is_installed_no_worker_holds_any(name: str, outcome: Outcome) -> None:
    packages = Packages((Package("python", name, "1.0", "uv.lock"),), sources=("uv.lock",))

    assert diagnose("DBC003", HEALTHY.with_(LocalProcesses("web-9"), packages)).outcome is outcome
