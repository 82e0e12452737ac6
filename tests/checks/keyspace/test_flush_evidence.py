"""NSP006: what the counts of commands and the processed counter tell; on plain facts and on a real Redis."""

import time
from pathlib import Path

import pytest
from doctoring import check, kiqdoctor
from healthy import HEALTHY
from healthy.redis import SERVER
from servers import RedisServer
from states import beat, push
from trees import tree

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.fleet import Fleet
from kiqdoctor.doctor.facts.queues import JobCounts
from kiqdoctor.doctor.facts.redis import Connection, Server
from kiqdoctor.doctor.report import Outcome
from kiqdoctor.doctor.snapshot import Absent, Refused, Snapshot
from kiqdoctor.probes.config.scripts import scripts


def told(**fields: str) -> Server:
    return Server({**SERVER.info, **fields})


def fallen(then: int, now: int | None, run: str = "a") -> Snapshot:
    return HEALTHY.with_(JobCounts(now)).after(3600, JobCounts(then), told(run_id=run))


@pytest.mark.parametrize("command", ["flushall", "flushdb"])
def test_a_flush_that_redis_counted(command: str) -> None:
    flushed = HEALTHY.with_(told(**{f"cmdstat_{command}": "calls=2,usec=9"}))

    assert diagnose("NSP006", flushed).findings[0].severity == "medium"
    assert diagnose("NSP006", HEALTHY.with_(told())).outcome is Outcome.PASS


@pytest.mark.parametrize(
    ("url", "severity"),
    [
        ("redis://127.0.0.1:7000/0", "info"),
        ("redis://localhost:6379/9", "info"),
        ("redis://localhost:6379/0", "medium"),
        ("redis://10.0.0.2:7000/0", "medium"),
        ("unix:///run/redis.sock?db=0", "medium"),
    ],
)
def test_what_a_test_suite_flushes_is_information(url: str, severity: str) -> None:
    flushed = HEALTHY.with_(told(cmdstat_flushall="calls=2"), Connection(url))

    assert diagnose("NSP006", flushed.with_(Fleet())).findings[0].severity == severity
    assert diagnose("NSP006", flushed).findings[0].severity == "medium"  # workers are alive: no test suite's alone


def test_a_counter_that_fell_without_a_restart() -> None:
    [found] = diagnose("NSP006", fallen(1200, None)).findings

    assert (found.severity, found.fingerprint) == ("high", "NSP006:redis:counter")
    assert diagnose("NSP006", fallen(1200, 1199)).outcome is Outcome.FAIL
    assert diagnose("NSP006", fallen(1200, 1200)).outcome is Outcome.PASS
    assert diagnose("NSP006", fallen(1200, None, run="b")).outcome is Outcome.PASS


def test_counts_that_are_hidden_are_no_pass() -> None:
    hidden = HEALTHY.with_(Server({name: text for name, text in SERVER.info.items() if "cmdstat" not in name}))

    assert "--baseline-run" in (diagnose("NSP006", hidden).reason or "")
    same = hidden.after(3600, JobCounts(1200), told())
    assert diagnose("NSP006", same).outcome is Outcome.PASS
    assert diagnose("NSP006", HEALTHY.without(Server, Refused("NOPERM", "+info"))).outcome is Outcome.UNKNOWN


def test_a_real_redis_that_somebody_flushes(tmp_path: Path) -> None:
    before = str(tmp_path / "before.json")
    with RedisServer.start() as server, server.client() as client:
        beat(client)
        push(client)
        assert check(server.url, "--select", "NSP006").outcome("NSP006") == "pass"
        assert kiqdoctor("record", before, "--live", "--redis", server.url).status == 0
        time.sleep(0.01)

        client.flushall()
        beat(client, "another:1:0123456789ab")
        client.set("stat:processed", 0)
        once = check(server.url, "--select", "NSP006")
        again = check(server.url, "--select", "NSP006", "--baseline-run", before)

    assert once.severities("NSP006") == ["medium"]
    assert again.severities("NSP006") == ["high", "medium"]


@pytest.mark.parametrize(
    ("files", "severity"),
    [
        ({"bin/deploy": "redis-cli -u $REDIS_URL flushall\n"}, "high"),
        ({"db/seeds.rb": "Sidekiq.redis { |conn| conn.flushdb }\n"}, "high"),
        ({"db/seeds.rb": "if Rails.env.production?\n  REDIS.flushall\nend\n"}, "high"),
        ({"bin/deploy": 'echo "$(redis-cli flushall)"\n'}, "high"),
        ({"bin/deploy": "echo begin; redis-cli flushall\n"}, "high"),
        ({"Procfile": "release: redis-cli FLUSHALL\n"}, "high"),
        ({"bin/clean": "redis-cli -n 3 FLUSHDB\n"}, "medium"),
        ({"bin/review_clean": "redis-cli -n 3 FLUSHDB\n"}, "info"),
        ({"scripts/teardown-worktree.sh": "redis-cli -n 3 FLUSHDB\n"}, "info"),
        ({"lib/tasks/a.rake": "task(:a) { Sidekiq.redis { |c| c.call('FLUSHDB') } }\n"}, "low"),
        ({"shop/admin.py": "def wipe():\n    redis.flushdb()\n"}, "low"),
        ({"shop/admin.py": "from redis import from_url\nstore = from_url('x')\nstore.flushdb()\n"}, "low"),
        ({"shop/admin.py": "import redis\nredis.Redis().execute_command('FLUSHDB')\n"}, "low"),
        ({"fabfile.py": "def ship(c):\n    c.run('redis-cli flushall')\n"}, "high"),
        ({"app.json": '{"scripts": {"postdeploy": "redis-cli -u $R flushall"}}'}, "high"),
        ({"fly.toml": "[deploy]\nrelease_command = 'redis-cli -u $R flushall'\n"}, "high"),
        ({"render.yaml": "services:\n- preDeployCommand: redis-cli -u $R flushall\n"}, "high"),
        ({"k/j.yaml": "kind: Job\nspec:\n  command: [sh, -c, 'redis-cli -h redis FLUSHALL']\n"}, "high"),
    ],
)
def test_what_files_flush(tmp_path: Path, files: dict[str, str], severity: str) -> None:
    found = diagnose("NSP006", HEALTHY.with_(scripts.read(tree(tmp_path, files)))).findings

    assert [str(one.severity) for one in found] == [severity]


@pytest.mark.parametrize(
    "files",
    [
        {"db/seeds.rb": "REDIS.flushdb unless Rails.env.production?\n"},
        {"db/seeds.rb": "if Rails.env.development?\n  REDIS.flushdb\nend\n"},
        {"shop/admin.py": "if settings.TESTING:\n    redis.flushdb()\n"},
        {"bin/deploy": "# redis-cli flushall\nredis-cli unlink queue:a\n"},
        {"bin/deploy": "echo 'never redis-cli flushall'; printf '%s' \"redis-cli flushdb\"\n"},
        {"bin/deploy": "redis-cli ping # not redis-cli flushall\n"},
        {"spec/a_spec.rb": "REDIS.flushall\n"},
        {".github/workflows/ci.yml": "run: redis-cli flushall\n"},
        {"app/a.rb": "log.flushall\n"},
    ],
)
def test_what_files_do_not_flush_in_production(tmp_path: Path, files: dict[str, str]) -> None:
    facts = HEALTHY.with_(scripts.read(tree(tmp_path, files)))

    assert diagnose("NSP006", facts).outcome is Outcome.PASS
    assert diagnose("NSP006", facts.without(Server, Refused("NOPERM", "+info"))).outcome is Outcome.UNKNOWN
    assert diagnose("NSP006", facts.without(Server, Absent("--static"))).outcome is Outcome.PASS
