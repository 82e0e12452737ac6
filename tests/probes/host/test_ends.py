"""What the host tells of ends: cgroups that the test writes, the kernel's lines, what systemctl says."""

from math import inf
from pathlib import Path

import pytest

from kiqdoctor.doctor.facts.host import LocalProcess, LocalProcesses, MemoryGroup
from kiqdoctor.doctor.tools import Host
from kiqdoctor.probes.host.cgroups import frozen, groups, mounted, throttled
from kiqdoctor.probes.host.kernel_log import read_log
from kiqdoctor.probes.host.memory_groups import memory_groups
from kiqdoctor.probes.host.units import read_units

FILES = {
    "unified": {
        "memory.max": "max\n", "memory.current": "1000\n", "memory.events": "low 0\nmax 7\noom 2\noom_kill 2\n",
        "cpu.stat": "usage_usec 5\nnr_periods 10\nnr_throttled 4\n", "cgroup.events": "populated 1\nfrozen 1\n",
    },
    "memory": {
        "memory.limit_in_bytes": "9223372036854771712\n", "memory.usage_in_bytes": "1000\n",
        "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n", "memory.failcnt": "7\n",
    },
    "cpu": {"cpu.stat": "nr_periods 10\nnr_throttled 4\n"},
    "freezer": {"freezer.state": "FROZEN\n"},
}  # fmt: skip


class Machine:
    """A /proc with one worker, 42, in the group /shop/worker; 43 is its child and 99 a stranger."""

    def __init__(self, root: Path, controllers: tuple[str, ...]) -> None:
        self.proc, self.root, self.controllers = root / "proc", root / "cgroup", controllers
        lines = []
        for controller in controllers:
            kind, options = ("cgroup2", "rw") if controller == "unified" else ("cgroup", f"rw,{controller}")
            lines.append(f"30 24 0:26 / {self.root / controller} rw - {kind} none {options}\n")
            folder = self.root / controller / "shop/worker"
            folder.mkdir(parents=True)
            for name, text in FILES[controller].items():
                (folder / name).write_text(text)
        (self.proc / "self").mkdir(parents=True)
        (self.proc / "self/mountinfo").write_text("".join(lines))
        own = "".join(f"1:{'' if one == 'unified' else one}:/shop/worker\n" for one in controllers)
        for pid, parent in ((42, 1), (43, 42), (99, 1)):
            (self.proc / str(pid)).mkdir()
            (self.proc / str(pid) / "stat").write_text(f"{pid} (ruby) S {parent} 0\n")
            (self.proc / str(pid) / "cgroup").write_text(own)

    def members(self, *pids: int) -> MemoryGroup:
        for controller in self.controllers:
            procs = self.root / controller / "shop/worker/cgroup.procs"
            procs.write_text("".join(f"{pid}\n" for pid in pids))
        local = LocalProcesses("web-1", (LocalProcess(42, "sidekiq"),))
        [group] = memory_groups.read(Host(self.proc), local).all
        return group  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("controllers", "limit"), [(("unified",), "memory.max"), (("memory",), "memory.limit_in_bytes")]
)
def test_the_limit_may_stand_above_the_group(tmp_path: Path, controllers: tuple[str, ...], limit: str) -> None:
    machine = Machine(tmp_path, controllers)
    assert machine.members(42, 43) == MemoryGroup(42, "/shop/worker", None, 1000, 2, 7)

    (tmp_path / "cgroup" / controllers[0] / "shop" / limit).write_text("5000\n")

    assert machine.members(42).limit_bytes == 5000
    assert not machine.members(42, 99).alone


@pytest.mark.parametrize("controllers", [("unified",), ("cpu", "freezer")])
def test_throttled_and_frozen(tmp_path: Path, controllers: tuple[str, ...]) -> None:
    machine = Machine(tmp_path, controllers)
    own = groups(machine.proc / "42", mounted(machine.proc))

    assert throttled(own) == (4, 10)
    assert frozen(own)


def test_a_group_that_is_not_mounted_here_is_not_seen(tmp_path: Path) -> None:
    machine = Machine(tmp_path, ("unified",))
    (machine.proc / "self/mountinfo").write_text("")

    found = memory_groups.read(Host(machine.proc), LocalProcesses("web-1", (LocalProcess(42, "sidekiq"),)))

    assert (found.all, found.unseen) == ((), (42,))


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (b"ruby[12]: segfault at 0 ip 00 sp 00 error 4 in libfoo.so.1[7f+2] on CPU 0", ("segfault", 12, "libfoo.so.1")),
        (b"processor[9]: segfault at 10 ip 0 sp 1 error 14", ("segfault", 9, "")),
        (b"traps: python3[9] general protection fault ip:7 sp:7 error:0 in m.so[7+1]", ("trap", 9, "m.so")),
        (b"traps: python3[9] trap invalid opcode ip:7 sp:7 error:0 in m.so[7+1]", ("trap", 9, "m.so")),
        (b"Memory cgroup out of memory: Killed process 44 (ruby) total-vm:1kB, UID:0", ("oom-kill", 44, "")),
        (b"Out of memory: Killed process 45 (ruby) total-vm:1kB, UID:0", ("oom-kill", 45, "")),
    ],
)
def test_lines_of_the_kernel(line: bytes, told: tuple[str, int, str]) -> None:
    [event] = read_log([b"6,1,2500000,-;" + line + b"\n SUBSYSTEM=x"], 100.0).events

    assert (event.kind, event.pid, event.library) == told
    assert event.at == 102.5


def test_the_kernel_names_the_group_before_the_kill() -> None:
    group = b"4,1,1,-;oom-kill:constraint=CONSTRAINT_MEMCG,oom_memcg=/a,task_memcg=/a/b,task=ruby,pid=44,uid=0"
    kill = b"3,2,2,-;Memory cgroup out of memory: Killed process 44 (ruby) total-vm:1kB"

    log = read_log([group, kill, b"6,3,3,-;nothing of interest", b"no record", b"6,4," + b"9" * 400 + b",-;x"], 7.0)

    assert [one.group for one in log.events] == ["/a/b"]
    assert log.since == pytest.approx(7.000001)


SHOWN = """\
Id=shop.service
MainPID=0
ExecMainPID=321
ActiveState=failed
NRestarts=5
Result=oom-kill
ExecMainStatus=9
ExecMainStartTimestamp=Fri 2026-11-27 00:56:37 UTC
ExecStart={ path=/usr/bin/bundle ; argv[]=/usr/bin/bundle exec sidekiq -e production ; ignore_errors=no ; }
TimeoutStopUSec=1min 30s
KillMode=mixed
KillSignal=15
LimitCORESoft=infinity

Id=ssh.service
MainPID=7
ExecStart={ path=/usr/sbin/sshd ; argv[]=/usr/sbin/sshd -D ; }

Id=odd.service
MainPID=42
ExecStart={ path=/opt/run ; argv[]=/opt/run ; }
TimeoutStopUSec=infinity
"""


def test_services_of_workers_only() -> None:
    local = LocalProcesses("web-1", (LocalProcess(42, "sidekiq", cgroup="/system.slice/odd.service"),))

    shop, odd = read_units(SHOWN, local).all

    assert (shop.name, shop.pid, shop.running, shop.restarts) == ("shop.service", 321, False, 5)
    assert (shop.result, shop.status, shop.since) == ("oom-kill", 9, 1795740997.0)
    assert (shop.stop_s, shop.kill_mode, shop.kill_signal, shop.core_bytes) == (90.0, "mixed", 15, -1)
    assert (odd.name, odd.pid, odd.running, odd.stop_s) == ("odd.service", 42, True, inf)


NAMESAKE = """\
Id=sidekiq.service
NRestarts=7
ExecStart={ path=/usr/bin/sidekiq ; argv[]=/usr/bin/sidekiq ; }
ControlGroup=

Id=user@1000.service
NRestarts=0
ExecStart={ path=/lib/systemd/systemd ; argv[]=/lib/systemd/systemd --user ; }
ControlGroup=/user.slice/user-1000.slice/user@1000.service
"""


def test_a_user_s_own_service_is_none_of_the_same_name() -> None:
    """`systemctl --user` has units of its own, as capistrano makes them; the system's manager knows nothing of them."""
    group = "/user.slice/user-1000.slice/user@1000.service/app.slice/sidekiq.service"
    local = LocalProcesses("web-1", (LocalProcess(42, "sidekiq", cgroup=group),))

    found = read_units(NAMESAKE, local).all

    assert [one.name for one in found if one.holds(group)] == ["user@1000.service"]


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ('/bin/bash -lc "exec bundle exec sidekiq"', True),  # as systemd quotes from 247 on
        ("/bin/bash -lc exec bundle exec sidekiq -e production", True),
        ("/opt/v/bin/kiqdoctor work app", True),
        ("/usr/bin/sidekiq-web", False),
        ("/opt/notsidekiq", False),
    ],
)
def test_whose_command_is_a_worker_s(command: str, told: bool) -> None:
    text = f"Id=a.service\nExecStart={{ path=/x ; argv[]={command} ; ignore_errors=no ; }}\n"

    assert bool(read_units(text, LocalProcesses("web-1")).all) is told


def test_what_an_older_systemd_does_not_say() -> None:
    """Before 235 nothing counts restarts, and what is not limited is a number."""
    text = (
        "Id=sidekiq.service\nMainPID=42\nResult=success\nExecStart={ path=/usr/bin/sidekiq ; argv[]=sidekiq ; }\n"
        "ExecMainStartTimestamp=n/a\nTimeoutStopUSec=1min 30s\nLimitCORESoft=18446744073709551615\n"
    )

    [unit] = read_units(text, LocalProcesses("web-1")).all

    assert (unit.restarts, unit.since, unit.stop_s, unit.group) == (None, None, 90.0, "")
