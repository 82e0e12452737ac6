"""CFG005: time-outs of clients against the time that their pops wait."""

from dataclasses import replace
from pathlib import Path

import pytest
from healthy import HEALTHY
from healthy.settings import SETTING
from source import looked
from trees import tree

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.packages import Package, Packages
from kiqdoctor.doctor.facts.settings import RedisSettings
from kiqdoctor.doctor.report import Outcome, Result
from kiqdoctor.probes.config.scripts import scripts


def python(root: Path, source: str, version: str = "8.1.0") -> Result:
    found = tree(root, {"shop/a.py": f"import redis\n{source}"})
    locked = Packages((Package("python", "redis", version, "uv.lock"),))
    return diagnose("CFG005", looked(found, HEALTHY.with_(locked)))


@pytest.mark.parametrize(
    ("source", "outcome"),
    [
        ("R = redis.Redis()\ndef f():\n    R.brpop('q', timeout=0)\n", Outcome.FAIL),
        ("R = redis.Redis()\ndef f():\n    R.brpop('q')\n", Outcome.FAIL),
        ("R = redis.Redis(socket_timeout=2)\ndef f():\n    R.blpop('q', 5)\n", Outcome.FAIL),
        ("R = redis.Redis(socket_timeout=2)\ndef f():\n    R.xread({'s': '0'}, block=5000)\n", Outcome.FAIL),
        ("R = redis.Redis(socket_timeout=None)\ndef f():\n    R.brpop('q', timeout=0)\n", Outcome.PASS),
        ("R = redis.Redis(socket_timeout=10)\ndef f():\n    R.brpop('q', timeout=2)\n", Outcome.PASS),
        ("R = redis.Redis()\ndef f():\n    R.brpop('q', timeout=2)\n", Outcome.PASS),
        ("T = 2\nW = 5\nR = redis.Redis(socket_timeout=T)\ndef f():\n    R.brpop('q', timeout=W)\n", Outcome.FAIL),
        ("T = 9\nW = 5\nR = redis.Redis(socket_timeout=T)\ndef f():\n    R.brpop('q', timeout=W)\n", Outcome.PASS),
        ("R = redis.Redis(socket_timeout=2)\ndef f(n):\n    R.brpop('q', timeout=n)\n", Outcome.UNKNOWN),
        ("R = redis.Redis(socket_timeout=None)\ndef f(n):\n    R.brpop('q', timeout=n)\n", Outcome.PASS),
        ("R = redis.Redis(**OPTIONS)\ndef f():\n    R.brpop('q', timeout=0)\n", Outcome.UNKNOWN),
        ("R = redis.Redis()\nS = redis.Redis(socket_timeout=None)\ndef f():\n    R.brpop('q')\n", Outcome.FAIL),
        ("R = redis.Redis()\ndef f():\n    R.get('q')\n", Outcome.PASS),
    ],
)
def test_clients_of_redis_py(tmp_path: Path, source: str, outcome: Outcome) -> None:
    result = python(tmp_path, source)

    assert result.outcome is outcome, (result.reason, result.findings)
    assert {str(one.severity) for one in result.findings} <= {"high"}


def test_older_clients_wait_for_ever(tmp_path: Path) -> None:
    assert python(tmp_path, "R = redis.Redis()\ndef f():\n    R.brpop('q')\n", "7.1.0").outcome is Outcome.PASS


@pytest.mark.parametrize(("seconds", "outcome"), [(0.5, Outcome.FAIL), (1.0, Outcome.PASS), (None, Outcome.PASS)])
def test_ruby_s_network(seconds: float | None, outcome: Outcome) -> None:
    setting = RedisSettings((replace(SETTING, timeout_s=seconds),))

    assert diagnose("CFG005", HEALTHY.with_(setting)).outcome is outcome


@pytest.mark.parametrize(
    ("line", "outcome"),
    [
        ("r.call('BRPOP', 'q', 2)", Outcome.FAIL),
        ("r.call('BRPOP', 'q', wait)", Outcome.UNKNOWN),
        ("r.blocking_call(3, 'BRPOP', 'q', 2)", Outcome.PASS),
        ("r.call('RPOP', 'q')", Outcome.PASS),
    ],
)
def test_a_pop_that_its_client_does_not_know(tmp_path: Path, line: str, outcome: Outcome) -> None:
    found = scripts.read(tree(tmp_path, {"lib/a.rb": f"Sidekiq.redis {{ |r| {line} }}\n"}))

    assert diagnose("CFG005", HEALTHY.with_(found)).outcome is outcome
