"""Several Redis in one report: each is judged on its own, files and host once, and each finding says whose it is."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis as redis_py
from examining import Doctor, Ran
from servers import RedisServer, free_port
from states import beat, payload

from kiqdoctor.render.formats import NAMES

QUEUES = ("--select", "QUE001,RED001,RED003")


@pytest.fixture(scope="module")
def other_server() -> Iterator[RedisServer]:
    with RedisServer.start() as server:
        yield server


@pytest.fixture
def well(redis_server: RedisServer) -> str:
    client = redis_server.client()
    client.flushall()
    push(client)
    beat(client)
    return shown(redis_server)


@pytest.fixture
def ill(other_server: RedisServer) -> str:
    client = other_server.client()
    client.flushall()
    push(client, "mail", 5)
    beat(client)
    return shown(other_server)


def push(client: "redis_py.Redis", queue: str = "default", count: int = 1) -> None:
    """Jobs that wait for an hour."""
    client.sadd("queues", queue)
    client.lpush(f"queue:{queue}", *[payload(queue=queue, enqueued_at=time.time() - 3600) for _ in range(count)])


def shown(server: RedisServer) -> str:
    return f"redis://127.0.0.1:{server.port}/0"


def check(doctor: Doctor, *urls: str, words: tuple[str, ...] = QUEUES) -> Ran:
    return doctor("check", *(word for url in urls for word in ("--redis", url)), "--format", "json", *words)


def test_a_finding_says_of_which_redis_it_is(doctor: Doctor, well: str, ill: str) -> None:
    ran = check(doctor, well, ill)

    [found] = ran.findings("QUE001")
    assert ran.status == 1
    assert found["subject"] == "queue:mail"
    assert found["title"].startswith(f"{ill}: ")
    assert found["evidence"][0] == {"label": "Redis", "value": ill, "source": "--redis"}
    assert found["fingerprint"] == f"QUE001:queue:mail:{ill}"
    assert ran.report["target"]["redis"] == f"{well}, {ill}"


def test_two_that_are_well_pass_with_the_proof_of_each(doctor: Doctor, well: str, other_server: RedisServer) -> None:
    other = other_server.client()
    other.flushall()
    beat(other)

    ran = check(doctor, well, shown(other_server))

    assert ran.status == 0
    [reached] = [one for one in ran.report["results"] if one["check"] == "RED001"]
    assert reached["outcome"] == "pass"
    sources = [one["source"] for one in ran.result("RED003")["evidence"]]
    assert {one.partition(",")[0] for one in sources} == {well, shown(other_server)}


def test_each_fault_of_the_same_name_is_told(doctor: Doctor, ill: str, redis_server: RedisServer) -> None:
    client = redis_server.client()
    client.flushall()
    push(client, "mail", 5)
    beat(client)

    found = check(doctor, shown(redis_server), ill).findings("QUE001")

    assert [one["fingerprint"] for one in found] == [
        f"QUE001:queue:mail:{shown(redis_server)}",
        f"QUE001:queue:mail:{ill}",
    ]


def test_one_that_is_not_there_leaves_the_examination_incomplete(doctor: Doctor, well: str) -> None:
    dead = f"redis://127.0.0.1:{free_port()}/0"

    ran = check(doctor, well, dead)

    assert ran.status == 3
    [unreached] = ran.findings("RED001")
    assert unreached["title"].startswith(f"{dead}: ")
    assert ran.result("QUE001")["outcome"] == "unknown"
    assert ran.result("QUE001")["reason"].startswith(f"{dead}: ")


def test_findings_beside_one_that_is_not_there_count(doctor: Doctor, ill: str) -> None:
    assert check(doctor, f"redis://127.0.0.1:{free_port()}/0", ill).status == 1
    assert check(doctor, f"redis://127.0.0.1:{free_port()}/0", f"redis://127.0.0.1:{free_port()}/0").status == 3


def test_an_unknown_of_one_redis_is_required_too(doctor: Doctor, well: str, ill: str) -> None:
    """What another Redis' findings, which do not count here, cannot hide."""
    dead = f"redis://127.0.0.1:{free_port()}/0"
    words = (*QUEUES, "--fail-on", "never", "--require", "QUE001")

    assert check(doctor, well, ill, words=words).status == 0
    assert check(doctor, ill, dead, words=words).status == 3


def test_every_format_names_the_redis(doctor: Doctor, well: str, ill: str) -> None:
    reports = [word for form in NAMES for word in ("--report", f"{form}={doctor.folder / form}")]

    check(doctor, well, ill, words=(*QUEUES, *reports))

    for form in NAMES:
        text = (doctor.folder / form).read_text("utf-8").replace("\\", "").replace("\u200b", "").replace("&#8203;", "")
        assert ill.removeprefix("redis") in text.replace("%3A", ":"), form


def test_the_application_s_files_are_judged_once(doctor: Doctor, well: str, ill: str) -> None:
    doctor.write(
        "class Job\n  include Sidekiq::Job\n  def perform\n    sleep 1\n  rescue Exception\n  end\nend\n", "app/job.rb"
    )
    words = ("--format", "json", str(doctor.folder))

    alone = {json.dumps(one["findings"]) for one in doctor("check", "--static", *words).report["results"]}
    found = check(doctor, well, ill, words=(str(doctor.folder),)).report["results"]

    located = [one for result in found for one in result["findings"] if one["location"]]
    assert located
    assert all(json.dumps(one)[1:-1] in "".join(alone) for one in located)
    assert len({one["fingerprint"] for one in located}) == len(located)


def test_a_suppression_that_holds_for_one_redis_is_needed(doctor: Doctor, well: str, ill: str) -> None:
    doctor.write(
        '[[suppress]]\ncheck = "QUE001"\nsubject = "queue:mail"\n'
        'reason = "known"\nowner = "ops"\nexpires = "2999-01-01"\n'
    )

    ran = check(doctor, well, ill, words=("--select", "QUE001,RED001,OBS003"))

    assert [one["suppressed"] for one in ran.findings("QUE001")] == [True]
    assert (ran.status, ran.result("OBS003")["outcome"]) == (0, "pass")


def test_a_baseline_knows_the_finding_of_one_redis_only(doctor: Doctor, well: str, ill: str) -> None:
    file = doctor.folder / "known.json"
    known = ("--baseline", str(file))

    check(doctor, well, ill, words=(*QUEUES, "--write-baseline", str(file)))

    assert check(doctor, well, ill, words=(*QUEUES, *known)).status == 0
    assert check(doctor, ill, words=(*QUEUES, *known)).status == 1


@pytest.mark.parametrize("words", [("--record", "file"), ("--web", "http://127.0.0.1:1/")], ids=lambda words: words[0])
def test_what_is_of_one_redis_is_refused_beside_several(doctor: Doctor, words: tuple[str, ...]) -> None:
    ran = check(doctor, "redis://127.0.0.1:1/0", "redis://127.0.0.1:1/1", words=words)

    assert (ran.status, ran.out) == (2, "")
    assert ran.err == f"kiqdoctor: {words[0]} goes with one --redis, and 2 are named\n"


@pytest.mark.parametrize("option", ["--replay", "--baseline-run"])
def test_a_recording_is_of_one_redis(doctor: Doctor, option: str) -> None:
    file = doctor.write("{}", "facts.json")

    ran = check(doctor, "redis://127.0.0.1:1/0", "redis://127.0.0.1:1/1", words=(option, str(file)))

    assert (ran.status, ran.err) == (2, f"kiqdoctor: {option} goes with one --redis, and 2 are named\n")


def test_one_redis_under_two_names_is_refused(doctor: Doctor, well: str) -> None:
    other = well.replace("127.0.0.1", "localhost")

    assert check(doctor, well, well).err == f"kiqdoctor: --redis names {well} twice\n"
    assert check(doctor, well, other).err == f"kiqdoctor: --redis names one Redis twice: {well} and {other}\n"


def test_a_password_is_not_told(doctor: Doctor, well: str) -> None:
    ran = check(doctor, well, f"redis://:hunter2@127.0.0.1:{free_port()}/0")

    assert "hunter2" not in ran.out + ran.err


def test_a_window_is_one_for_all(doctor: Doctor, well: str, ill: str) -> None:
    ran = check(doctor, well, ill, words=("--live", "--for", "2"))

    growth = [one for one in ran.result("RED005")["evidence"] if one["label"] == "growth"]
    assert [one["source"] for one in growth] == [f"{well}, over 2 s", f"{ill}, over 2 s"]
    assert not any(one["outcome"] == "unknown" and "crashed" in one["reason"] for one in ran.report["results"])


def test_the_gate_takes_several(doctor: Doctor, well: str, ill: str, tmp_path: Path) -> None:
    ran = doctor("gate", "--redis", well, "--redis", ill, *QUEUES, "--nagios")

    assert ran.status == 2
    assert f"{ill}: " in ran.out
    assert not any(tmp_path.iterdir())
