"""The checks of queues, sets and payloads on what each real Sidekiq writes, and what our runtime does."""

import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
import redis as redis_py
from doctoring import Examination, kiqdoctor
from ruby import RubySidekiq, Sidekiq
from servers import RedisServer, eventually

APP: Final = """\
Base = defined?(Sidekiq::Job) ? Sidekiq::Job : Sidekiq::Worker
module ActiveRecord; class RecordNotFound < StandardError; end; end
class FineJob; include Base; def perform(*); end; end
class FailJob; include Base; def perform(*); raise 'boom of ' + 'hunter2'; end; end
class RecordJob; include Base; def perform(id); raise ActiveRecord::RecordNotFound, "no User with id=#{id}"; end; end
class ArityJob; include Base; def perform(a, b); end; end
class DieJob; include Base; sidekiq_options retry: 0; def perform; raise 'dead'; end; end
"""
FAULTS: Final = """\
old = ENV['OLD'].include?('.') ? ENV['OLD'].to_f : ENV['OLD'].to_i
250.times { |n| Sidekiq::Client.push('class' => 'FailJob', 'args' => [n, 'hunter2'], 'retry' => 25) }
3.times { |n| Sidekiq::Client.push('class' => 'RecordJob', 'args' => [n], 'retry' => 25) }
Sidekiq::Client.push('class' => 'ArityJob', 'args' => [1], 'retry' => 25, 'created_at' => old)
Sidekiq::Client.push('class' => 'GoneJob', 'args' => [1], 'retry' => 25)
Sidekiq::Client.push('class' => 'DieJob', 'args' => [], 'retry' => 0)
Sidekiq::Client.push('class' => 'FineJob', 'args' => [], 'at' => (Time.now.to_f + 3600) * 1000)
2.times { Sidekiq::Client.push('class' => 'FineJob', 'args' => ['#<User:0x000055d0c0ffee12>'], 'queue' => 'bulk') }
Sidekiq::Client.push('class' => 'FineJob', 'args' => [{'api_key' => 'hunter2'}], 'queue' => 'bulk')
Sidekiq::Client.push('class' => 'FineJob', 'args' => ['x' * 1_200_000], 'queue' => 'big')
400.times { Sidekiq::Client.push('class' => 'FineJob', 'args' => [7], 'queue' => 'bulk') }
"""
ALL: Final = ("--select", "QUE,SEC002", "--ignore", "QUE001")


@dataclass(frozen=True)
class Installation:
    """A worker of one version on a Redis of its own, and what is examined."""

    version: Sidekiq
    server: RedisServer
    worker: RubySidekiq
    tree: Path
    client: redis_py.Redis

    def check(self, *words: str) -> Examination:
        url = ("--redis", self.server.url, "--format", "json")
        return kiqdoctor("check", str(self.tree), *ALL, *url, *words)

    def faults(self) -> None:
        """All at once; the mark of a deploy lies between an old job's creation and its failure."""
        now = time.time()
        old = now - 3600 if self.version.stamp is float else int((now - 3600) * 1000)
        self.version.run(FAULTS, self.server.url, env={"OLD": str(old)})
        self.client.lpush("queue:default", "{not json")
        day, minute = (time.strftime(form, time.gmtime(now - 120)) for form in ("%Y%m%d", "%Y-%m-%dT%H:%M:00Z"))
        self.client.hset(f"{day}-marks", minute, "a release")
        eventually(lambda: self.client.zcard("retry") == 255 and self.client.zcard("dead") == 2, "all have failed")


@pytest.fixture(scope="module")
def installation(sidekiq: Sidekiq, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    tree = tmp_path_factory.mktemp("tree")
    (tree / "app" / "jobs").mkdir(parents=True)
    (tree / "app" / "jobs" / "all.rb").write_text(APP.replace("include Base", "include Sidekiq::Job"))
    (tree / "Gemfile.lock").write_text(f"GEM\n  specs:\n    sidekiq ({sidekiq.version})\n")
    with RedisServer.start() as server, sidekiq.start(APP, server.url) as worker, server.client() as client:
        yield Installation(sidekiq, server, worker, tree, client)


@pytest.fixture(scope="module")
def broken(installation: Installation) -> Examination:
    installation.version.run("Sidekiq::Client.push('class' => 'FineJob', 'args' => [1])", installation.server.url)
    eventually(lambda: installation.client.llen("queue:default") == 0, "the healthy job was run")
    healthy = installation.check("--for", "1")
    ill = {one["check"] for one in healthy.report["results"] if one["outcome"] in {"fail", "unknown"}}
    assert ill == {"QUE005"}, "it is told by jobs that failed, and none has"
    installation.faults()
    return installation.check()


@pytest.mark.parametrize(
    ("check", "subjects"),
    [
        ("QUE004", {"set:retry": "high"}),
        ("QUE005", {"job:RecordJob": "medium"}),
        ("QUE006", {"job:GoneJob": "high"}),
        ("QUE009", {"set:schedule": "high"}),
        ("QUE010", {"set:dead": "medium"}),
        ("QUE011", {"queue:big": "medium"}),
        ("QUE012", {"job:FineJob": "high"}),
        ("QUE018", {"queue:bulk": "medium"}),
        ("QUE021", {"job:ArityJob": "high"}),
        ("SEC002", {"job:FineJob": "medium"}),
    ],
)
def test_a_fault(broken: Examination, check: str, subjects: dict[str, str]) -> None:
    found = broken.result(check)

    assert {one["subject"]: one["severity"] for one in found["findings"]} == subjects, found["reason"]


def test_no_value_is_told(broken: Examination) -> None:
    assert "hunter2" not in broken.out
    assert "c0ffee" not in broken.out


def test_a_quiet_worker_moves_nothing(installation: Installation, broken: Examination) -> None:
    assert broken.outcome("QUE003") == broken.outcome("QUE008") == "pass"
    installation.worker.signal(signal.SIGTSTP)
    eventually(lambda: installation.client.hget(installation.worker.identity, "quiet") == b"true", "quiet")
    past = "Sidekiq::Client.push('class' => 'FineJob', 'args' => [], 'at' => Time.now.to_f - 300)"
    installation.version.run(past, installation.server.url)
    old = installation.client.lindex("queue:bulk", -1)
    assert isinstance(old, bytes)

    found = installation.check("--for", "1")

    assert found.severities("QUE008") == ["critical"]
    assert found.outcome("QUE003") in {"fail", "unknown"}  # they may have waited for less than a minute
