"""RED005: near, full, refused, the host's own limit; on plain facts, a written /proc and a real Redis."""

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import redis as redis_py
from doctoring import check
from healthy import HEALTHY
from healthy.redis import SERVER
from servers import RedisServer

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.host import LocalProcesses
from kiqdoctor.doctor.facts.redis import LargestKeys, MemoryCeiling, Server
from kiqdoctor.doctor.probe import AbsenceError, RefusalError
from kiqdoctor.doctor.report import Outcome
from kiqdoctor.doctor.snapshot import Absent, Refused, Snapshot
from kiqdoctor.doctor.tools import Host
from kiqdoctor.probes.redis.memory import memory_ceiling

MIB = 1024 * 1024
ELSEWHERE = Absent("the server is no process that can be seen on this host")


def server(used: int = 9, of: int = 100, *, oom: int = 0, run: str = "a", rss: int = 12) -> Server:
    """INFO of so many MiB used, of a maxmemory; ``oom`` writes were refused since it started."""
    sizes = {"used_memory": used * MIB, "used_memory_rss": rss * MIB, "maxmemory": of * MIB}
    errors = {"total_error_replies": str(oom), **({"errorstat_OOM": f"count={oom}"} if oom else {})}
    return Server({**SERVER.info, **{name: str(size) for name, size in sizes.items()}, **errors, "run_id": run})


def shown(snapshot: Snapshot) -> dict[str, str]:
    return {one.label: one.value for one in diagnose("RED005", snapshot).evidence}


@pytest.mark.parametrize(("used", "severity"), [(80, "high"), (94, "high"), (95, "critical"), (100, "critical")])
def test_near_its_limit(used: int, severity: str) -> None:
    [found] = diagnose("RED005", HEALTHY.with_(server(used))).findings

    assert (found.severity, found.finding.title) == (severity, f"{used}% of Redis' maxmemory are used")


def test_its_twin_has_room() -> None:
    assert diagnose("RED005", HEALTHY.with_(server(79))).outcome is Outcome.PASS


def test_writes_that_are_refused_while_we_look_are_critical() -> None:
    [found] = diagnose("RED005", HEALTHY.over(10, server(oom=4), server(oom=4), server(oom=7))).findings

    assert (found.severity, found.fingerprint) == ("critical", "RED005:redis:oom")
    assert found.finding.title == "Redis refused 3 writes for want of memory"


def test_old_refusals_take_a_second_look() -> None:
    once = diagnose("RED005", HEALTHY.with_(server(oom=4)))
    short = diagnose("RED005", HEALTHY.over(3, server(oom=4), server(oom=4)))

    assert once.reason == (
        "4 writes were refused at some time; whether they still are: it takes 2 readings 10 s apart, not 1"
        " (to settle it: --for 10)"
    )
    assert short.outcome is Outcome.UNKNOWN
    assert diagnose("RED005", HEALTHY.over(10, server(oom=4), server(oom=4))).outcome is Outcome.PASS


def test_a_restart_between_two_readings_hides_no_refusal() -> None:
    restarted = HEALTHY.over(10, server(oom=9), server(oom=9, run="b"))

    assert diagnose("RED005", restarted).findings[0].finding.title == "Redis refused 9 writes for want of memory"


def test_refusals_since_an_earlier_recording_are_news_for_an_hour() -> None:
    assert diagnose("RED005", HEALTHY.with_(server(oom=9)).after(600, server(oom=2))).outcome is Outcome.FAIL
    assert diagnose("RED005", HEALTHY.with_(server(oom=9)).after(86_400, server(oom=2))).outcome is Outcome.UNKNOWN


def test_growth_says_when_it_is_full() -> None:
    assert shown(HEALTHY.over(30, server(10), server(15), server(20)))["growth"] == "+10.0 MiB a minute, full in 8 min"
    assert shown(HEALTHY.over(30, server(20), server(10)))["growth"] == "-20.0 MiB a minute"
    assert "growth" not in shown(HEALTHY)


def test_what_the_host_lets_it_have_is_a_limit_too() -> None:
    small = MemoryCeiling(100 * MIB, "/sys/fs/cgroup/redis/memory.max")
    [found] = diagnose("RED005", HEALTHY.with_(server(9, 0, rss=85), small)).findings

    assert (found.severity, found.finding.title) == ("high", "Redis takes 85% of what its host lets it have")
    assert diagnose("RED005", HEALTHY.with_(server(9, 0, rss=84), small)).outcome is Outcome.PASS


def test_without_a_maxmemory_another_host_is_unknown() -> None:
    unlimited = HEALTHY.with_(server(9, 0)).without(MemoryCeiling, ELSEWHERE)

    assert "maxmemory is 0" in (diagnose("RED005", unlimited).reason or "")
    assert diagnose("RED005", unlimited.with_(server(9, 100))).outcome is Outcome.PASS


def test_a_limit_that_cannot_be_seen_is_unknown() -> None:
    hidden = HEALTHY.without(MemoryCeiling, Refused("its cgroup cannot be seen", "the doctor on its host"))

    assert diagnose("RED005", hidden).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("lacking", ["used_memory", "maxmemory", "used_memory_rss", "total_error_replies"])
def test_a_server_that_does_not_say_it_is_unknown(lacking: str) -> None:
    info = {name: value for name, value in server().info.items() if name != lacking}

    assert diagnose("RED005", HEALTHY.with_(Server(info))).outcome is Outcome.UNKNOWN


def test_it_does_without_the_largest_keys() -> None:
    assert shown(HEALTHY)["queue:default"] == "4 KiB, 1 member"
    assert diagnose("RED005", HEALTHY.without(LargestKeys, Refused("NOPERM", "+memory|usage"))).outcome is Outcome.PASS


class World:
    """A /proc with one Redis in a cgroup, as v1 and v2 write it."""

    def __init__(self, root: Path) -> None:
        self.root, self.started_at = root, time.time() - 500
        self.add(42, "redis-server", namespace_pids="42\t1")
        self.write("proc/meminfo", "MemTotal:        1000 kB\nMemFree: 1 kB\n")
        self.mount("- cgroup2 cgroup2 rw", "/", "cg")

    def write(self, name: str, text: str) -> None:
        file = self.root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def add(self, pid: int, comm: str, *, namespace_pids: str) -> None:
        self.write(f"proc/{pid}/comm", f"{comm}\n")
        self.write(f"proc/{pid}/status", f"Name:\t{comm}\nNSpid:\t{namespace_pids}\n")
        self.write(f"proc/{pid}/cgroup", "0::/system.slice/redis.service\n")

    def mount(self, about: str, root: str, point: str) -> None:
        self.write("proc/self/mountinfo", f"41 31 0:38 {root} {self.root / point} rw,relatime {about}\n")

    def read(self, uptime: int = 500, *pids: int) -> MemoryCeiling:
        local = LocalProcesses("db-1", start_times=dict.fromkeys(pids or (1, 42), self.started_at))
        about = Server({"process_id": "1", "uptime_in_seconds": str(uptime)})
        found: MemoryCeiling = memory_ceiling.read(Host(self.root / "proc"), about, local)
        return found


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_the_smallest_limit_of_all_cgroups_above_it_counts(world: World) -> None:
    world.write("cg/system.slice/redis.service/memory.max", "max\n")
    world.write("cg/system.slice/memory.max", "700000\n")

    assert world.read() == MemoryCeiling(700_000, str(world.root / "cg/system.slice/memory.max"))


def test_a_cgroup_without_a_limit_leaves_the_host_s_memory(world: World) -> None:
    world.write("cg/system.slice/redis.service/memory.max", "max\n")

    assert world.read() == MemoryCeiling(1_024_000, "MemTotal")


def test_a_controller_of_the_first_version_is_read(world: World) -> None:
    world.mount("- cgroup cgroup rw,memory", "/docker/ab", "cg/memory")
    world.write("proc/42/cgroup", "3:cpu:/x\n4:memory:/docker/ab/inner\n")
    world.write("cg/memory/memory.limit_in_bytes", "900000\n")
    world.write("cg/memory/inner/memory.limit_in_bytes", "9223372036854771712\n")

    assert world.read().limit_bytes == 900_000


def test_a_cgroup_outside_of_what_we_see_is_refused(world: World) -> None:
    world.mount("- cgroup2 cgroup2 rw", "/user.slice", "cg")

    with pytest.raises(RefusalError, match=r"cgroup /system\.slice/redis\.service cannot be seen"):
        world.read()


def test_another_process_is_not_the_server(world: World) -> None:
    with pytest.raises(AbsenceError):
        world.read(90)
    world.add(42, "nginx", namespace_pids="42\t1")
    with pytest.raises(AbsenceError):
        world.read()
    world.add(42, "redis-server", namespace_pids="42\t7")
    with pytest.raises(AbsenceError):
        world.read()


def test_where_others_are_hidden_nothing_can_be_told(world: World) -> None:
    veiled = LocalProcesses("db-1", partial="/proc shows this user its own processes only (hidepid)")

    with pytest.raises(RefusalError, match="hidepid"):
        memory_ceiling.read(Host(world.root / "proc"), server(), veiled)


def test_two_that_may_be_the_server_are_told_apart_by_nobody(world: World) -> None:
    world.add(43, "valkey-server", namespace_pids="43\t1")

    with pytest.raises(RefusalError, match="2 processes"):
        world.read(500, 42, 43)


@pytest.fixture
def small() -> Iterator[RedisServer]:
    with RedisServer.start({"maxmemory": "4mb", "maxmemory-policy": "noeviction"}) as server:
        yield server


def fill(client: "redis_py.Redis", share: float) -> None:
    """Push until so much of its memory is used."""
    info = client.info("memory")
    while info["used_memory"] < share * info["maxmemory"]:
        client.lpush("queue:mail", "x" * 20_000)
        info = client.info("memory")
    client.sadd("queues", "mail")


def test_a_real_redis_that_fills_up(small: RedisServer) -> None:
    client = small.client()
    assert check(small.url, "--select", "RED005").outcome("RED005") == "pass"

    fill(client, 0.82)
    near = check(small.url, "--select", "RED005")

    assert near.severities("RED005") == ["high"]
    labels = [one["label"] for one in near.result("RED005")["findings"][0]["evidence"]]
    assert "queue:mail" in labels
    client.close()


def test_a_real_redis_that_refuses_writes(small: RedisServer) -> None:
    client = small.client()
    done = threading.Event()

    def push() -> None:
        while not done.wait(0.05):
            with suppress(redis_py.exceptions.OutOfMemoryError):
                client.lpush("queue:mail", "x" * 1_000_000)

    pushing = threading.Thread(target=push)
    pushing.start()
    try:
        found = check(small.url, "--select", "RED005", "--for", "2").result("RED005")
    finally:
        done.set()
        pushing.join()
        client.close()

    assert [one["severity"] for one in found["findings"]] == ["critical", "critical"]
    assert "writes for want of memory" in found["findings"][1]["title"]
