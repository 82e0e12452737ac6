"""--for and --baseline-run: what is read over time; an earlier recording, of this installation and of no other."""

from pathlib import Path

import pytest
from examining import TARGET, Doctor, Ran, recorded
from healthy import HEALTHY
from healthy.moment import NOW
from healthy.redis import SERVER
from trends import REMEMBERING, SAMPLING, written

from kiqdoctor.doctor.facts.redis import Server
from kiqdoctor.doctor.report import Target
from kiqdoctor.doctor.snapshot import Snapshot

HOUR = 3600.0


def having(**info: str) -> Snapshot:
    return HEALTHY.with_(Server({**SERVER.info, **info}))


@pytest.fixture
def watching(doctor: Doctor) -> Doctor:
    """With checks that judge by change, and the facts of now in a recording of this hour."""
    written({**SAMPLING, **REMEMBERING}, doctor.folder / "pack")
    recorded(having(rejected_connections="9"), doctor.folder / "now.json")
    return doctor


def replay(doctor: Doctor, *words: str) -> Ran:
    return doctor("check", "--replay", "now.json", "--checks", "pack", "--select", "TRD", "--format", "json", *words)


def outcomes(ran: Ran) -> list[tuple[str, str]]:
    return [(one["check"], one["outcome"]) for one in ran.report["results"]]


def test_the_plan_says_what_is_read_again(watching: Doctor) -> None:
    words = ("check", "--live", "--plan", "--checks", "pack", "--select", "TRD001,RED003")

    assert "again and again for 20 s: server_time, queues\n" in watching(*words, "--for", "20").out
    assert "again and again" not in watching(*words).out
    assert "again and again" not in watching("check", "--plan", "--select", "RED003", "--for", "20").out


def test_it_is_the_first_sample_and_what_there_was(watching: Doctor) -> None:
    recorded(having(rejected_connections="2", redis_version="7.0.0"), watching.folder / "before.json", NOW - HOUR)

    ran = replay(watching, "--baseline-run", "before.json")

    assert ran.findings("TRD002")[0]["title"] == "7 refused within 3600 s"
    assert ran.findings("TRD003")[0]["title"] == f"another server since {NOW - HOUR:.0f}"
    assert ran.result("TRD001")["reason"] == "it takes 3 readings 1 s apart, not 2 (to settle it: --for 2)"


def test_its_twin_shows_no_change(watching: Doctor) -> None:
    recorded(having(rejected_connections="9"), watching.folder / "before.json", NOW - HOUR)

    ran = replay(watching, "--baseline-run", "before.json")

    assert outcomes(ran) == [("TRD001", "unknown"), ("TRD002", "pass"), ("TRD003", "pass")]


def test_without_one_nothing_is_remembered(watching: Doctor) -> None:
    assert outcomes(replay(watching)) == [("TRD001", "unknown"), ("TRD002", "unknown"), ("TRD003", "not-applicable")]


def test_the_report_says_so(watching: Doctor) -> None:
    recorded(HEALTHY, watching.folder / "before.json", NOW - HOUR)

    ran = watching("check", "--replay", "now.json", "--baseline-run", "before.json")

    assert "the first sample is an earlier recording's, made 3600 s before" in ran.out


def test_it_is_recorded_with_the_rest(watching: Doctor) -> None:
    recorded(having(rejected_connections="2", redis_version="7.0.0"), watching.folder / "before.json", NOW - HOUR)
    ran = replay(watching, "--baseline-run", "before.json", "--record", "both.json")

    again = watching("check", "--replay", "both.json", "--checks", "pack", "--select", "TRD", "--format", "json")

    assert outcomes(again) == outcomes(ran)
    assert again.findings("TRD002")[0]["title"] == "7 refused within 3600 s"


@pytest.mark.parametrize(
    ("target", "said"),
    [
        (Target("redis://redis-2:6379/0", None, None), "redis://redis-2:6379/0, not of redis://redis-1:6379/0"),
        (Target("redis://redis-1:6379/3", None, None), "redis://redis-1:6379/3, not of redis://redis-1:6379/0"),
        (Target("redis://redis-1:6379/0", "shop", None), "redis://redis-1:6379/0, namespace shop, not of redis://re"),
    ],
)
def test_another_installation_s_is_refused(watching: Doctor, target: Target, said: str) -> None:
    recorded(HEALTHY, watching.folder / "before.json", NOW - HOUR, target)

    ran = replay(watching, "--baseline-run", "before.json")

    assert (ran.status, ran.out) == (2, "")
    assert ran.err.startswith(f"kiqdoctor: before.json: it was recorded of {said}")
    assert len(ran.err.splitlines()) == 1


@pytest.mark.parametrize("target", [Target("redis://redis-1:6379/0", None, "/elsewhere"), Target(None, None, "/app")])
def test_another_checkout_is_the_same_application(watching: Doctor, target: Target) -> None:
    recorded(HEALTHY, watching.folder / "before.json", NOW - HOUR, target)

    assert replay(watching, "--baseline-run", "before.json").err == ""


@pytest.mark.parametrize("at", [NOW, NOW + 1, 9e10])
def test_one_of_the_future_is_refused(watching: Doctor, at: float) -> None:
    recorded(HEALTHY, watching.folder / "before.json", at, TARGET)

    ran = replay(watching, "--baseline-run", "before.json")

    assert ran.status == 2
    assert ran.err == (
        "kiqdoctor: before.json: it was not recorded before this examination began; are both clocks right?\n"
    )


@pytest.mark.parametrize("content", ["", "{}", '{"schema": "kiqdoctor.recording/3"}', "[" * 5000])
def test_what_is_no_recording_is_one_line(watching: Doctor, content: str) -> None:
    watching.write(content, "before.json")

    ran = replay(watching, "--baseline-run", "before.json")

    assert (ran.status, ran.out) == (2, "")
    assert ran.err.startswith("kiqdoctor: before.json: ")
    assert len(ran.err.splitlines()) == 1


def test_a_wrong_one_is_told_before_anything_is_read(watching: Doctor, tmp_path: Path) -> None:
    recorded(HEALTHY, watching.folder / "before.json", NOW - HOUR)

    ran = watching("check", "--redis", f"unix://{tmp_path}/no.sock", "--for", "60", "--baseline-run", "before.json")

    assert (ran.status, ran.out) == (2, "")
    assert "it was recorded of redis://redis-1:6379/0" in ran.err
