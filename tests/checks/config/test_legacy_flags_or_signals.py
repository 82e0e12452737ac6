"""CFG002: flags, programs and signals of the past."""

from pathlib import Path

import pytest
from healthy import HEALTHY
from trees import tree

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.config import WorkerSettings
from kiqdoctor.doctor.facts.packages import Package, Packages
from kiqdoctor.doctor.probe import AbsenceError
from kiqdoctor.doctor.report import Outcome, Result
from kiqdoctor.doctor.snapshot import Absent
from kiqdoctor.probes.config.scripts import scripts
from kiqdoctor.probes.config.worker_settings import worker_settings


def judged(root: Path, files: dict[str, str], version: str = "7.3.9") -> Result:
    found = tree(root, files)
    facts = HEALTHY.with_(scripts.read(found), Packages((Package("ruby", "sidekiq", version, "Gemfile.lock"),)))
    try:
        facts = facts.with_(worker_settings.read(found))
    except AbsenceError as error:
        facts = facts.without(WorkerSettings, Absent(str(error)))
    return diagnose("CFG002", facts)


RELOAD = "ExecReload=/bin/kill -%s $MAINPID\n"
HELD = "#!/bin/sh\nbundle exec sidekiq --version\nPID=$(cat tmp/pids/%s.pid)\nkill -%s $PID\n"
PRE_STOP = "services:\n  w:\n    image: a\n    command: sidekiq\n    pre_stop:\n    - command: %s\n"
HOOK = """kind: Deployment
metadata: {name: w}
spec:
  template:
    spec:
      containers:
      - name: w
        command: [bundle, exec, sidekiq]
        lifecycle: {preStop: {exec: {command: [sh, -c, "%s"]}}}
"""


def hook(command: str) -> str:
    return HOOK % command


UNIT = "[Service]\nExecStart=/usr/bin/bundle exec sidekiq\n"


@pytest.mark.parametrize(
    ("fault", "twin"),
    [
        ({"Procfile": "w: sidekiq -d -L log/a.log"}, {"Procfile": "w: sidekiq"}),
        ({"Procfile": "w: sidekiq --pidfile=a.pid"}, {"Procfile": "w: sidekiq --tag P"}),
        ({"Procfile": "w: sidekiq -q high,low"}, {"Procfile": "w: sidekiq -q high,2 -q low"}),
        ({"a.service": UNIT + RELOAD % "USR1"}, {"a.service": UNIT + RELOAD % "TSTP"}),
        ({"bin/stop": "sidekiqctl quiet a.pid\n"}, {"bin/stop": "# sidekiqctl quiet a.pid\n"}),
        ({"config/deploy.rb": "execute 'sidekiqctl stop x'\n"}, {"config/deploy.rb": "execute 'kill -TSTP x'\n"}),
        ({"bin/dump": "pkill -f x\nkill -INFO $(cat sidekiq.pid)\n"}, {"bin/dump": "kill -TTIN $(cat sidekiq.pid)\n"}),
        ({"a.yml": hook("kill -USR1 1")}, {"a.yml": hook("kill -TSTP 1")}),
        ({"a.yml": hook("bundle exec sidekiqctl quiet a.pid")}, {"a.yml": hook("sleep 5")}),
        ({"compose.yml": PRE_STOP % "pkill -USR1 ruby"}, {"compose.yml": PRE_STOP % "pkill -TSTP ruby"}),
        ({"bin/dump": "pkill -INFO -f sidekiq\n"}, {"bin/dump": "pkill -TTIN -f sidekiq\n"}),
        ({"bin/quiet": "killall --signal USR1 sidekiq\n"}, {"bin/quiet": "killall --signal USR1 unicorn\n"}),
        ({"bin/quiet": HELD % ("sidekiq", "USR1")}, {"bin/quiet": HELD % ("sidekiq", "TSTP")}),
        ({"bin/quiet": HELD % ("sidekiq", "USR1")}, {"bin/quiet": HELD % ("puma", "USR1")}),
        (
            {"lib/a.rake": "pid = File.read('sidekiq.pid')\nProcess.kill('USR1', pid.to_i)\n"},
            {"lib/a.rake": "pid = File.read('puma.pid') # no sidekiq.rb\nProcess.kill('TSTP', pid.to_i)\n"},
        ),
        ({"bin/quiet": "kill -s USR1 $(pgrep sidekiq)\n"}, {"bin/quiet": "kill -s USR1 $(cat unicorn.pid)\n"}),
    ],
)  # fmt: skip
def test_fault_and_twin(tmp_path: Path, fault: dict[str, str], twin: dict[str, str]) -> None:
    ill, well = judged(tmp_path / "ill", fault), judged(tmp_path / "well", twin)

    assert {str(one.severity) for one in ill.findings} == {"medium"}
    assert well.outcome is Outcome.PASS, (well.reason, well.findings)


def test_a_binstub_is_called_by_nobody_that_is_seen(tmp_path: Path) -> None:
    stub = {"bin/sidekiqctl": "#!/usr/bin/env ruby\nload Gem.bin_path('sidekiq', 'sidekiqctl')\n"}

    assert [one.severity for one in judged(tmp_path, stub).findings] == ["low"]


def test_older_versions_know_them(tmp_path: Path) -> None:
    files = {"Procfile": "w: sidekiq -d -L log/a.log", "bin/stop": "sidekiqctl quiet a.pid\n"}

    assert judged(tmp_path, files, "5.2.10").outcome is Outcome.PASS
    assert judged(tmp_path, files, "").outcome is Outcome.UNKNOWN
