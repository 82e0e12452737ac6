"""RED003: the arithmetic by version, and that the printed numbers leave it green."""

import re
from dataclasses import replace

import pytest
from healthy import HEALTHY
from healthy.fleet import WORKER

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.deployment import Deployment, WebConfig, WorkerConfig
from kiqdoctor.doctor.facts.fleet import Fleet, Process
from kiqdoctor.doctor.facts.packages import Package, Packages
from kiqdoctor.doctor.facts.redis import ClientLimit, Server
from kiqdoctor.doctor.facts.settings import RedisSetting, RedisSettings
from kiqdoctor.doctor.report import Outcome
from kiqdoctor.doctor.snapshot import Absent, Refused, Snapshot
from kiqdoctor.wire.connections import pools
from kiqdoctor.wire.heartbeat import RELIABLE, RUNTIME

LIVE = HEALTHY.without(Deployment, Absent("--live")).without(Packages, Absent("--live")).without(
    RedisSettings, Absent("--live")
)  # fmt: skip
QUIET = Server({"connected_clients": "1"})


def fleet(*workers: Process) -> Fleet:
    return Fleet(tuple(replace(one, identity=f"h:{n}:aa") for n, one in enumerate(workers)), len(workers))


def live(limit: int, *workers: Process) -> Snapshot:
    return LIVE.with_(fleet(*workers), ClientLimit(limit, "INFO clients"), QUIET)


@pytest.mark.parametrize(
    ("version", "peak"),
    [("", 15), ("7.0.3", 15), ("7.1.0", 15), ("7.1.1", 20), ("7.3.9", 20), ("8.1.7", 20)],
)
def test_what_one_process_opens_by_version(version: str, peak: int) -> None:
    worker = replace(WORKER, version=version, concurrency=10)

    result = diagnose("RED003", live(1000, worker))

    assert result.outcome is Outcome.PASS
    assert [one.value for one in result.evidence if one.label == "workers' peak"] == [str(peak)]


OURS = replace(WORKER, runtime=RUNTIME, version="0.1.0", concurrency=20, queues=("default", "mail"), connections=None)


@pytest.mark.parametrize(
    ("told", "labels", "peak"),
    [(None, (RELIABLE,), 20), (None, (), 35), (17, (RELIABLE,), 17), (5, (RELIABLE,), 5), (100, (), 100)],
)
def test_our_own_runtime_is_taken_at_its_word(told: int | None, labels: tuple[str, ...], peak: int) -> None:
    result = diagnose("RED003", live(1000, replace(OURS, labels=labels, connections=told)))

    assert [one.value for one in result.evidence if one.label == "workers' peak"] == [str(peak)]


def test_files_that_ask_for_our_runtime_are_reckoned_as_it_reckons() -> None:
    files = Deployment(
        (WorkerConfig("Procfile", concurrency=4, processes=1, queues=("default",), language="python"),),
        (WebConfig("puma.rb", 1, 1, 5),),
    )

    result = diagnose("RED003", HEALTHY.with_(files, Fleet()))

    peak = sum(size for _, size in pools(4, 1))
    assert [one.value for one in result.evidence if one.label == "workers' peak"] == [str(peak)]


def test_the_contract_s_own_example() -> None:
    workers = [replace(WORKER, version="", concurrency=10)] * 4

    [finding] = diagnose("RED003", live(50, *workers)).findings

    assert finding.severity == "high"
    assert "Redis accepts 50 clients; this fleet can open 60" in finding.finding.title
    assert "Set concurrency to 6 in each of 4 processes, or raise the limit to 67" in finding.finding.remedy


@pytest.mark.parametrize("version", ["", "7.0.4", "7.3.9"])
@pytest.mark.parametrize("limit", [30, 50, 64, 100])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_obeying_the_printed_number_leaves_it_green(version: str, limit: int, count: int) -> None:
    worker = replace(WORKER, version=version, concurrency=200)

    [finding] = diagnose("RED003", live(limit, *[worker] * count)).findings

    printed = re.search(r"Set concurrency to (\d+)", finding.finding.remedy)
    raised = re.search(r"limit to (\d+)", finding.finding.remedy)
    assert raised is not None
    assert diagnose("RED003", live(int(raised[1]), *[worker] * count)).outcome is Outcome.PASS
    if printed is not None:
        lower = replace(worker, concurrency=int(printed[1]))
        higher = replace(worker, concurrency=int(printed[1]) + 1)
        assert diagnose("RED003", live(limit, *[lower] * count)).outcome is Outcome.PASS
        assert diagnose("RED003", live(limit, *[higher] * count)).outcome is Outcome.FAIL
    else:
        assert "No concurrency is low enough" in finding.finding.remedy


def test_nine_tenths_is_a_warning() -> None:
    workers = [replace(WORKER, version="", concurrency=10)] * 3

    assert diagnose("RED003", live(48, *workers)).findings[0].severity == "medium"
    assert diagnose("RED003", live(44, *workers)).findings[0].severity == "high"
    assert diagnose("RED003", live(52, *workers)).outcome is Outcome.PASS


@pytest.mark.parametrize(("version", "peak"), [("", 30), ("7.0.1", 10), ("7.0.3", 35), ("7.3.9", 35), ("8.1.7", 35)])
def test_a_configured_size_is_the_one_pool_s_up_to_six_and_stands_beside_the_threads_from_seven_on(
    version: str, peak: int
) -> None:
    sized = RedisSettings((RedisSetting("server", "a.rb", 1, pool_size=30),))

    result = diagnose("RED003", live(100, replace(WORKER, version=version)).with_(sized))

    assert [one.value for one in result.evidence if one.label == "workers' peak"] == [str(peak)]


def test_a_size_is_the_same_whatever_the_capsules() -> None:
    """Each capsule keeps one pool of its threads' number: their threads count, and not they themselves."""
    sized = RedisSettings((RedisSetting("server", "a.rb", 1, pool_size=30),))
    capsules = replace(WORKER, version="8.1.7", concurrency=8, capsules=(("default", 5), ("mail", 3)))

    result = diagnose("RED003", live(100, capsules).with_(sized))

    assert [one.value for one in result.evidence if one.label == "workers"] == ["1 x (8 threads + 30)"]


def test_obeying_the_printed_number_beside_a_size_leaves_it_green() -> None:
    sized = RedisSettings((RedisSetting("server", "a.rb", 1, pool_size=30),))
    worker = replace(WORKER, version="8.1.7", concurrency=50)

    [finding] = diagnose("RED003", live(64, worker).with_(sized)).findings

    printed = re.search(r"Set concurrency to (\d+)", finding.finding.remedy)
    assert printed is not None
    obeyed = replace(worker, concurrency=int(printed[1]))
    assert diagnose("RED003", live(64, obeyed).with_(sized)).outcome is Outcome.PASS


def test_the_files_count_where_they_ask_for_more() -> None:
    files = Deployment((WorkerConfig("Procfile", concurrency=20, processes=4),), (WebConfig("puma.rb", 1, 2, 5),))
    snapshot = HEALTHY.with_(files, ClientLimit(100, "INFO clients"))

    [finding] = diagnose("RED003", snapshot).findings

    assert "can open 130" in finding.finding.title  # 4 x (20 + 10) + 2 x 5


def test_a_capsule_s_threads_come_to_the_others() -> None:
    """email-alert-api: 22 threads and two capsules of 2 and of the default were told as if they had none."""
    files = Deployment((WorkerConfig("sidekiq.yml", 1, 22, (("bulk", 2), ("mail", 0)), processes=1),))
    locked = Packages((Package("ruby", "sidekiq", "7.3.9", "Gemfile.lock"),))

    result = diagnose("RED003", HEALTHY.with_(files, locked, Fleet(), ClientLimit(100, "INFO clients")))

    assert [one.value for one in result.evidence if one.label == "workers"] == ["1 x (29 threads + 10)"]


def test_what_is_alive_says_how_many_run_where_a_file_does_not() -> None:
    files = Deployment((WorkerConfig("Procfile", concurrency=5),), (WebConfig("puma.rb", 1, 1, 5),))

    assert diagnose("RED003", HEALTHY.with_(files)).outcome is Outcome.PASS
    assert diagnose("RED003", HEALTHY.with_(files, Fleet())).outcome is Outcome.UNKNOWN


def test_a_plan_is_the_limit_where_no_server_says_one() -> None:
    files = Deployment(
        (WorkerConfig("Procfile", concurrency=5, processes=1),),
        (WebConfig("puma.rb", 1, 1, 5),),
        redis_clients=20,
        redis_plan="heroku-redis:mini in app.json",
    )
    static = HEALTHY.with_(files).without(Fleet, Absent("--static")).without(ClientLimit, Absent("--static"))

    [finding] = diagnose("RED003", static).findings
    assert "Redis accepts 20 clients; this fleet can open 20" in finding.finding.title  # 5 + 10 and 5
    assert diagnose("RED003", static.with_(replace(files, redis_clients=40))).outcome is Outcome.PASS
    assert diagnose("RED003", static.with_(ClientLimit(100, "INFO clients"))).outcome is Outcome.PASS
    assert diagnose("RED003", static.with_(replace(files, redis_clients=None))).outcome is Outcome.UNKNOWN


def test_a_surge_doubles_the_workers() -> None:
    files = Deployment((WorkerConfig("Procfile", concurrency=10, processes=2),), (WebConfig("puma.rb", 1, 1, 5),))
    snapshot = HEALTHY.with_(ClientLimit(60, "INFO clients"))

    assert diagnose("RED003", snapshot.with_(files)).outcome is Outcome.PASS
    assert diagnose("RED003", snapshot.with_(replace(files, surge=True))).outcome is Outcome.FAIL


@pytest.mark.parametrize(("version", "threads"), [("5.1.3", 25), ("6.5.12", 10), ("8.0.1", 5)])
def test_the_default_concurrency_of_the_locked_version(version: str, threads: int) -> None:
    files = Deployment((WorkerConfig("Procfile", processes=1),), (WebConfig("puma.rb", 1, 1, 5),))
    locked = Packages((Package("ruby", "sidekiq", version, "Gemfile.lock"),))

    result = diagnose("RED003", HEALTHY.with_(files, locked, Fleet()))

    assert any(f"({threads} threads" in one.value for one in result.evidence)


def test_unknown_replicas_or_limit() -> None:
    files = Deployment((WorkerConfig("Procfile", concurrency=5),), (WebConfig("puma.rb", 1, 1, 5),))

    assert diagnose("RED003", HEALTHY.with_(files, Fleet())).outcome is Outcome.UNKNOWN
    assert diagnose("RED003", HEALTHY.without(ClientLimit, Refused("hidden"))).outcome is Outcome.UNKNOWN


def test_no_worker_anywhere() -> None:
    nothing = LIVE.with_(Fleet())

    assert diagnose("RED003", nothing).outcome is Outcome.NOT_APPLICABLE
    assert diagnose("RED003", nothing.without(Fleet, Refused("NOPERM"))).outcome is Outcome.UNKNOWN
