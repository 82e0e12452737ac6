"""A healthy host: the fleet's one process."""

from healthy.moment import NOW
from kiqdoctor.doctor.facts.host import (
    Debugging,
    Inheritance,
    KernelLog,
    Libraries,
    LocalProcess,
    LocalProcesses,
    Mapped,
    MemoryGroup,
    MemoryGroups,
    SendQueues,
    Unit,
    Units,
)

LOCAL = LocalProcess(
    pid=4711,
    kind="sidekiq",
    title="sidekiq 7.3.9 shop [0 of 5 busy]",
    version="7.3.9",
    tag="shop",
    busy=0,
    concurrency=5,
    state="S",
    ppid=1,
    parent="systemd",
    started_at=NOW - 3610,
    uid=1000,
    namespace_pids=(4711,),
    cwd="/srv/shop/releases/2",
    release="/srv/shop/releases/2",
    current_release="/srv/shop/releases/2",
    cgroup="/system.slice/shop.service",
    sockets=(("10.0.0.1:5000", "10.0.0.2:6379"),),
    threads=(("processor", 5), ("ruby", 2), ("heartbeat", 1), ("scheduler", 1)),
    thread_count=9,
    ticks=400,
    waited_s=0.5,
    caught=0x180_0100_4A02 | 1 << 20,
    core_bytes=-1,
    settings=(),
)
GROUP = MemoryGroup(4711, "/system.slice/shop.service", 2**31, 2**29, 0, 0)
UNIT = Unit("shop.service", 4711, running=True, restarts=0, result="success", stop_s=90.0, core_bytes=-1)
FACTS = (
    MemoryGroups((GROUP,)),
    Units((UNIT,)),
    KernelLog((), NOW - 99_999),
    Inheritance(),
    SendQueues(),
    Debugging("|/usr/lib/systemd/systemd-coredump %P", 0, privileged=True, tools=("gdb", "py-spy")),
    Libraries(((4711, (Mapped("/usr/lib/libssl.so.3", "1"), Mapped("/usr/lib/libruby-3.1.so.3.1", "2"))),)),
    LocalProcesses(
        "web-1",
        (LOCAL,),
        pids=frozenset({1, 4711}),
        start_times={1: NOW - 9999, 4711: NOW - 3610},
        addresses=("10.0.0.1",),
    ),
)
