"""SEC002: a key in the queue."""

from pathlib import Path

import pytest
import redis as redis_py
from doctoring import check
from healthy import HEALTHY
from jobs import job, sampled
from servers import RedisServer
from states import payload
from trees import tree

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.queues import Argument, Place, Trait
from kiqdoctor.doctor.report import Outcome, Result
from kiqdoctor.probes.config.redis_addresses import redis_addresses
from kiqdoctor.probes.queues.arguments import told

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0." + "a1B2" * 10


@pytest.mark.parametrize(
    ("trait", "severity"), [(Trait.SECRET, "high"), (Trait.NAMED, "medium")], ids=["its form", "its name"]
)
def test_a_job_carries_one(trait: Trait, severity: str) -> None:
    one = job(1, arguments=(Argument("args[0].token", trait, "GitHub token" if trait is Trait.SECRET else ""),))
    [found] = diagnose("SEC002", sampled(Place("queue:a", 1, (one,)))).findings

    assert (found.severity, found.fingerprint) == (severity, "SEC002:job:SendMail")


def test_an_encrypted_argument_is_not_seen() -> None:
    assert diagnose("SEC002", sampled(Place("queue:a", 1, (job(1, encrypted=True),)))).outcome is Outcome.UNKNOWN
    assert told([1, "ghp_" + "a" * 36], encrypted=True) == ()


@pytest.mark.parametrize(
    "value",
    [
        "sk_live_" + "4eC39HqLyjWDarjtT1zdp7dc",
        "AKIA" + "QYLPMN5HHHFPZAM2",
        "ghp_" + "a1B2" * 9,
        "glpat-" + "abcdefghij0123456789",
        "xoxb-" + "123456789012-abcdefghij",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIE",
        JWT,
    ],
)
def test_forms(value: str) -> None:
    [found] = told([{"a": [value]}])

    assert (found.path, found.trait) == ("args[0].a[0]", Trait.SECRET)


@pytest.mark.parametrize(
    "value",
    [
        "sk_test_" + "4eC39HqLyjWDarjtT1zdp7dc",
        "AKIAIOSFODNN7EXAMPLE",
        "b6f0c1de-0000-4000-8000-0123456789ab",
        "d41d8cd98f00b204e9800998ecf8427e",
        "eyJub3QiOiJhIGp3dCJ9",
        "token",
    ],
)
def test_what_is_none(value: str) -> None:
    assert told([value]) == ()


@pytest.mark.parametrize(
    ("name", "value", "count"),
    [
        ("password", "hunter2", 1),
        ("api_key", "abc-123", 1),
        ("accessToken", "abc-123", 1),
        ("ssn", 123456789, 1),
        ("password", None, 0),
        ("password", "", 0),
        ("password", True, 0),
        ("password", "[FILTERED]", 0),
        ("reset_token", "b6f0c1de-0000-4000-8000-0123456789ab", 0),
        ("token_count", 5, 0),
        ("password_digest", "x", 0),
        ("encrypted_password", "x", 0),
        ("key", "value", 0),
        ("cache_key", "value", 0),
    ],
)
def test_names(name: str, value: object, count: int) -> None:
    assert len(told([{name: value}])) == count


def test_on_a_real_redis(redis: "redis_py.Redis", redis_server: RedisServer) -> None:
    redis.sadd("queues", "default")
    redis.lpush("queue:default", payload(args=[{"user_id": 7}]))
    assert check(redis_server.url, "--select", "SEC002").outcome("SEC002") == "pass"

    redis.lpush(
        "queue:default", payload("Sync", args=["ghp_" + "a1B2" * 9]), payload("Login", args=[{"password": "hunter2"}])
    )

    found = check(redis_server.url, "--select", "SEC002")
    assert sorted(found.severities("SEC002")) == ["high", "medium"]
    assert "hunter2" not in found.out
    assert "a1B2a1B2" not in found.out


PASSWORD = "k3Yf0rN0b0dy"
"""What the files below spell out; no report may hold it."""


def of_files(root: Path, files: dict[str, str]) -> Result:
    return diagnose("SEC002", HEALTHY.with_(redis_addresses.read(tree(root, files))))


@pytest.mark.parametrize(
    ("path", "fault", "twin", "severity"),
    [
        (".env", "R=rediss://:PW@r.acme.io:6379/0\n", "R=rediss://:${PW_}@r.acme.io:6379/0\n", "high"),
        (".env", "R=rediss://:PW@r.acme.io/0\n", "R=rediss://:changeme@r.acme.io/0\n", "high"),
        (".env", "R=redis://:PW@10.0.0.3:6379/0\n", "R=redis://:PW@localhost:6379/0\n", "medium"),
        ("config/redis.yml", "production:\n  password: PW\n", "production:\n  password: <%= ENV['P'] %>\n", "medium"),
        ("k/w.yaml", "kind: Secret\ndata:\n  R: redis://u:PW@redis\n", "kind: Secret\ndata:\n  R: cmVk\n", "medium"),
        ("a.rb", "C = Redis.new(password: 'PW')\n", "C = Redis.new(password: ENV['P'])\n", "medium"),
        ("a.rb", "c.redis = { url: u, password: 'PW' }\n", "c.redis = { url: u }\nDB.new(password: 'PW')\n", "medium"),
        ("a.py", "import redis\nr = redis.Redis(password='PW')\n", "import redis\nr = redis.Redis()\n", "medium"),
        ("a.py", "B = 'redis://:PW@redis:6379/0'\n", "B = f'redis://:{P}@redis:6379/0'\n", "medium"),
        (
            "compose.yml",
            "services:\n  w: {command: sidekiq, environment: ['R=redis://:PW@redis']}\n",
            "services:\n  w: {command: sidekiq, environment: ['R=redis://:$P@redis']}\n",
            "medium",
        ),
    ],
)  # fmt: skip
def test_an_address_spells_out_its_password(tmp_path: Path, path: str, fault: str, twin: str, severity: str) -> None:
    ill = of_files(tmp_path / "ill", {path: fault.replace("PW", PASSWORD)})
    well = of_files(tmp_path / "well", {path: twin.replace("PW_", "P").replace("PW", PASSWORD)})

    assert [str(one.severity) for one in ill.findings] == [severity]
    assert PASSWORD not in str(ill)
    assert well.outcome is Outcome.PASS, (well.reason, well.findings)


def test_what_version_control_leaves_out_may_hold_it(tmp_path: Path) -> None:
    files = {"config/live.env": f"R=redis://:{PASSWORD}@redis\n"}

    assert of_files(tmp_path / "ill", files).outcome is Outcome.FAIL
    assert of_files(tmp_path / "well", {**files, ".gitignore": "*.env\n"}).outcome is Outcome.PASS
    assert of_files(tmp_path / "back", {**files, ".gitignore": "*.env\n!*.env\n"}).outcome is Outcome.FAIL


@pytest.mark.parametrize(
    ("line", "severity"),
    [
        ("RAILS_ENV=development", "low"),
        ("export RACK_ENV='test'", "low"),
        ("RAILS_ENV=production", "medium"),
        ("#RAILS_ENV=development", "medium"),
        ("DB_NAME=app_development", "medium"),
    ],
)
def test_an_env_file_may_say_that_it_is_for_development(tmp_path: Path, line: str, severity: str) -> None:
    found = of_files(tmp_path, {"w/.env": f"{line}\nR=redis://:{PASSWORD}@redis\n"}).findings

    assert [str(one.severity) for one in found] == [severity]
