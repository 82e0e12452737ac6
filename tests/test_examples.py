"""The example applications: the gate passes the sound ones, finds exactly the faults that were put in, and jobs run."""

import json
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest
import redis as redis_py
from doctoring import kiqdoctor
from examining import Doctor, Ran
from servers import RedisServer, eventually

from kiqdoctor.render.formats import NAMES

EXAMPLES: Final = Path(__file__).parent.parent / "docs" / "examples"
EXPECTED: Final = {
    "sound": [],
    "faulty": ["COD005", "COD005", "NSP001", "OBS003", "PKG001", "PKG001", "RED003"],
    "ruby-sound": [],
    "ruby-faulty": ["NSP001", "PKG001", "RED003"],
}
UNSEEN: Final = {"sound": ["NAT001"], "faulty": ["NAT001"], "ruby-sound": [], "ruby-faulty": []}
ORDER: Final = """
from shop import web
environ = {"QUERY_STRING": "number=7&address=a@example.org&total=1200"}
[jid] = web.application(environ, lambda status, headers: print(status))
print(jid.decode())
"""

Gate = Callable[..., Ran]

pytestmark = pytest.mark.skipif(not EXAMPLES.is_dir(), reason="docs/ is not here: an installed wheel's tests")


@pytest.fixture(scope="module")
def static() -> str:
    """Every check that reads files and is no preview; other tests' workers on this host are none of ours."""
    return ",".join(
        one["check"]
        for one in json.loads(kiqdoctor("list", "--format", "json").out)
        if one["static"] and not one["preview"]
    )


@pytest.fixture(scope="module")
def recordings(static: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """What the gate read of each, with a Redis for the client limit."""
    folder = tmp_path_factory.mktemp("recordings")
    for name in EXPECTED:
        words = ("--embedded", "--select", static, "--record", str(folder / name))
        ran = kiqdoctor("gate", str(EXAMPLES / name), *words)
        assert ran.status == (1 if EXPECTED[name] else 0), ran.out + ran.err
    return {name: folder / name for name in EXPECTED}


@pytest.fixture
def gate(static: str, recordings: dict[str, Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Gate:
    doctor = Doctor(tmp_path, capfd)

    def judged(name: str, form: str = "json") -> Ran:
        return doctor(
            "gate", str(EXAMPLES / name), "--replay", str(recordings[name]), "--select", static, "--format", form
        )

    return judged


@pytest.mark.parametrize("name", EXPECTED)
def test_exactly_the_faults_that_were_put_in_are_found(gate: Gate, name: str) -> None:
    results = gate(name).report["results"]

    assert [one["check"] for one in results for _ in one["findings"]] == EXPECTED[name]
    assert [one["check"] for one in results if one["outcome"] == "unknown"] == UNSEEN[name]


@pytest.mark.parametrize("form", NAMES)
@pytest.mark.parametrize("name", EXPECTED)
def test_the_exit_status_is_the_same_in_every_format(gate: Gate, name: str, form: str) -> None:
    ran = gate(name, form)

    last = (ran.out if form == "text" else ran.err).splitlines()[-1]
    assert ran.status == (1 if EXPECTED[name] else 0)
    word = "FAILED" if EXPECTED[name] else "passed" if UNSEEN[name] else "healthy"
    assert last.startswith(f"kiqdoctor gate: {word}: ")
    assert ("0 findings" in last) is not bool(EXPECTED[name])
    assert re.search(r"[1-9]\d* of [1-9]\d* applicable checks judged", last)


@pytest.mark.parametrize("name", [name for name in EXPECTED if EXPECTED[name]])
def test_each_fault_has_its_comment_and_the_finding_points_at_that_file(gate: Gate, name: str) -> None:
    said = {
        (found, str(file.relative_to(EXAMPLES / name)))
        for file in (EXAMPLES / name).rglob("*")
        if file.is_file()
        for found in re.findall(r"FAULT \((\w+)\)", file.read_text())
    }

    assert sorted({check for check, _ in said}) == sorted(set(EXPECTED[name]))
    for result in gate(name).report["results"]:
        for finding in result["findings"]:
            if finding["location"]:
                assert (result["check"], finding["location"]["path"]) in said


def test_the_readme_names_what_is_found() -> None:
    rows = re.findall(r"^\| \[([\w-]+)\]\(.*\| ([^|]+) \|$", (EXAMPLES / "README.md").read_text(), re.MULTILINE)

    assert {name: sorted(set(re.findall(r"[A-Z]{3}\d{3}", text))) for name, text in rows} == {
        name: sorted(set(checks)) for name, checks in EXPECTED.items()
    }


def test_the_sound_application_takes_an_order_and_a_worker_sends_its_invoice(
    redis: "redis_py.Redis", redis_server: RedisServer, tmp_path: Path
) -> None:
    database = tmp_path / "shop.db"
    environ = {
        **os.environ,
        "REDIS_URL": redis_server.url,
        "SHOP_DATABASE": str(database),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, (str(EXAMPLES / "sound"), os.environ.get("PYTHONPATH")))),
    }
    ordered = subprocess.run(
        [sys.executable, "-c", ORDER], env=environ, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True
    )
    assert ordered.stdout.startswith("202 Accepted\n")

    words = ["work", "shop.jobs", "-q", "mail", "-q", "default", "-c", "2", "--redis", redis_server.url]
    with (tmp_path / "log").open("wb") as log:
        worker = subprocess.Popen(
            [sys.executable, "-m", "kiqdoctor", *words], env=environ, cwd=tmp_path, stdout=log, stderr=log
        )
    try:
        with closing(sqlite3.connect(database, timeout=10)) as shop:
            sent = "SELECT count(*) FROM invoices WHERE sent_at IS NOT NULL"
            eventually(lambda: shop.execute(sent).fetchone() == (1,), (tmp_path / "log").read_text())
    finally:
        worker.terminate()
        worker.wait(120)
    assert worker.returncode == 0, (tmp_path / "log").read_text()
    assert int(redis.get("stat:failed") or 0) == 0
