"""Crash reports as Ruby and Python write them, what coredumpctl lists, and a core file of a process that crashed."""

import json
import resource
import shutil
import subprocess
from pathlib import Path

import apart
import pytest

from kiqdoctor.doctor.facts.host import LocalProcesses
from kiqdoctor.doctor.snapshot import Absent
from kiqdoctor.doctor.tools import Application, Host
from kiqdoctor.probes.native.core_file import core_file
from kiqdoctor.probes.native.crashes import crashes, listed, reports

RUBY = b"""\
2026-11-27T00:56:37.123Z pid=471 tid=abc class=Crash jid=0123 INFO: start
/srv/app/jobs.rb:7: [BUG] Segmentation fault at 0x0000000000000000
ruby 3.1.2p20 (2022-04-12 revision 4491bb740a) [x86_64-linux-gnu]

-- C level backtrace information -------------------------------------------
/usr/lib/x86_64-linux-gnu/libruby-3.1.so.3.1(rb_vm_bugreport+0xb4c) [0x7f1]
/lib/x86_64-linux-gnu/libc.so.6(0x7f2) [0x7f3]
/usr/lib/x86_64-linux-gnu/libvips.so.42(vips_image_new+0x12) [0x7f4]
"""
PYTHON = b"""\
Fatal Python error: Segmentation fault

Current thread's C stack trace (most recent call first):
  Binary file "/usr/lib/libpython3.14.so.1.0", at _Py_DumpStack+0x4d [0x7f]
Binary file "/venv/lib/gilhog.cpython-314-x86_64-linux-gnu.so", at +0x1234 [0x7f]
"""


def test_ruby_s_report() -> None:
    [crash] = reports(RUBY, 0.0, "log")

    assert (crash.what, crash.pid, crash.program, crash.exact) == (
        "Segmentation fault at 0x0000000000000000",
        471,
        "ruby",
        True,
    )
    assert crash.library == "/usr/lib/x86_64-linux-gnu/libvips.so.42"
    assert crash.at == 1795740997.0


def test_python_s_report_without_a_time() -> None:
    [crash] = reports(PYTHON, 123.0, "log")

    assert (crash.what, crash.at, crash.exact, crash.pid) == ("Segmentation fault", 123.0, False, None)
    assert crash.library.endswith("gilhog.cpython-314-x86_64-linux-gnu.so")


def test_what_systemd_keeps() -> None:
    entries = [{"time": 1795740997000000, "pid": 9, "sig": 11, "exe": "/usr/bin/ruby3.1"}, {"sig": 15, "time": 1}, 7]

    [crash] = listed(json.dumps(entries).encode())

    assert (crash.what, crash.pid, crash.at) == ("SIGSEGV", 9, 1795740997.0)
    assert not list(listed(b"No coredumps found."))


def test_logs_of_the_application(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    (tmp_path / "log/sidekiq.log").write_bytes(RUBY)
    (tmp_path / "log/link.log").symlink_to("/etc/hostname")
    (tmp_path / "core").write_text("no core file")

    found = crashes.read(Host(), LocalProcesses("web-1"), Application(tmp_path))

    assert [(one.what[:12], one.in_tree, one.owner) for one in found.all] == [("Segmentation", True, None)]
    assert any("link.log" in one for one in found.unread)
    assert not crashes.read(Host(), LocalProcesses("web-1"), Absent("none")).all


@pytest.mark.real
def test_a_core_tells_signal_and_command(tmp_path: Path) -> None:
    if apart.inside():
        pytest.skip("a core names the pid of the outermost namespace; .ci/run runs this file with -n 0")
    pattern = Path("/proc/sys/kernel/core_pattern").read_text().strip()
    if pattern.startswith(("|", "/")):
        pytest.skip(f"core_pattern is {pattern}: cores of this host go elsewhere")
    resource.prlimit(0, resource.RLIMIT_CORE)
    script = tmp_path / "sidekiq"
    shutil.copy("/bin/sh", script)
    words = ["/bin/sh", "-c", f"ulimit -c unlimited; exec {script} -c 'kill -SEGV $$'"]
    done = subprocess.run(words, cwd=tmp_path, check=False, capture_output=True)
    cores = [path for path in tmp_path.iterdir() if path.name.startswith("core")]
    if not cores:
        pytest.skip(f"no core was written here: {done.returncode}")

    found = core_file(cores[0])

    assert found is not None
    assert (found.signal, found.program) == (11, "sidekiq")
    assert found.library.rpartition("/")[2].startswith(("libc", "sidekiq"))
    [crash] = crashes.read(Host(), LocalProcesses("web-1"), Application(tmp_path)).all
    assert (crash.what, crash.pid, crash.in_tree) == ("SIGSEGV", found.pid, True)
