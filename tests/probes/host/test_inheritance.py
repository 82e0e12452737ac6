"""What processes of this host have from others by fork."""

import os
import subprocess
import time
from pathlib import Path

from kiqdoctor.doctor.facts.host import LocalProcess, LocalProcesses
from kiqdoctor.doctor.facts.redis import Clients
from kiqdoctor.doctor.tools import Host
from kiqdoctor.probes.host import inheritance as probed


def test_a_child_that_ended_and_was_not_reaped_hides_nothing() -> None:
    child = subprocess.Popen(["true"])
    deadline = time.monotonic() + 10
    while Path(f"/proc/{child.pid}/stat").read_text("ascii").rpartition(") ")[2][0] != "Z":
        assert time.monotonic() < deadline
        time.sleep(0.01)

    found = probed.inheritance.read(Host(), LocalProcesses("web-1", (LocalProcess(os.getpid(), "sidekiq"),)), Clients())

    assert child.pid not in found.hidden
    child.wait()
