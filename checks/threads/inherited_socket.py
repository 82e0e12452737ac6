"""Two processes have the same connection open.

## Why it hurts
A connection that is opened before a fork is one stream that two processes write to and read from: each reads the
other's answers, and nothing raises. 1,746 of 2,000 replies were wrong when it was measured, without one exception.

In the log: values of the wrong type, `Got wrong number of arguments`, `lost synchronization with server`, `packet
sequence number wrong`; mostly nothing.

## How it is found
Formula: fails if one socket's inode is open in at least two processes that lived for YOUNG_S or more, the socket being
connected to this Redis, or held by one of its workers; critical if two of them run the same program, else high

The kernel shows each socket's inode under `/proc/PID/fd`; two processes have the same one only by inheritance.
Sockets of listening ports, which servers hand to their children on purpose, are left out. A process that has executed
another program since inherited a descriptor that it does not know of; a parent that is no worker may only keep it:
both are high.

## When it is wrong
A parent that opened the connection, handed it to one child and never uses it again.

## Confirm by hand
`ls -l /proc/PID/fd | grep socket` of both; `ss -tnp` names every process of a connection.

## How to fix
Connect after the fork: `engine.dispose(close=False)` in the child, gunicorn's `post_fork`, `before_fork` with a
disconnect, `Process.fork` only before Sidekiq connects; or start children by spawn.

Risk: none; each process opens a connection of its own (RED003).

Undo: none is needed.

## Unknown when
Processes of another user are kin of a worker; the live processes are on other hosts; too many descriptors are open.

## Source
redis-py, measured: a checked-out connection that was forked gave wrong replies in both processes; sidekiq#1541,
celery#1564.

- YOUNG_S: a child that is about to execute another program has everything open for some milliseconds.
"""

from collections.abc import Iterator

from kiqdoctor.doctor import Evidence, Finding, Missing, Severity, Unknown, Verdict, check
from kiqdoctor.doctor.counting import counted
from kiqdoctor.doctor.facts.fleet import Fleet
from kiqdoctor.doctor.facts.host import Holder, Inheritance, LocalProcesses, SharedSocket
from kiqdoctor.doctor.facts.redis import Clients, Connection
from kiqdoctor.doctor.ownership import leads_to
from kiqdoctor.doctor.workers_here import ROOT, Here, Present, present

YOUNG_S = 1.0
SHOWN = 8
SERVICES = {"5432": "PostgreSQL", "3306": "MySQL", "27017": "MongoDB", "6379": "Redis", "11211": "memcached"}


@check("THR005", severity=Severity.CRITICAL, caused_by=("THR004",))
def inherited_socket(
    fleet: Fleet,
    inheritance: Inheritance,
    local: LocalProcesses,
    connection: Connection | Missing,
    clients: Clients | Missing,
) -> Iterator[Verdict]:
    seen = present(fleet, local, connection, clients)
    known = {one.address for one in clients.all} if isinstance(clients, Clients) else set()
    workers = {one.worker.pid: one for one in seen.here}
    shared: dict[tuple[tuple[int, ...], str], list[SharedSocket]] = {}
    for socket in inheritance.sockets:
        old = tuple(one for one in socket.holders if one.age_s >= YOUNG_S)
        redis = socket.local in known or (
            isinstance(connection, Connection) and leads_to(socket.remote, connection, local)
        )
        if len(old) > 1 and (redis or any(one.pid in workers for one in old)):
            service = "this Redis" if redis else _service(socket)
            shared.setdefault((tuple(one.pid for one in old), service), []).append(_held_by(socket, old))
    for (_, service), sockets in shared.items():
        yield _finding(service, sockets, workers)
    if not shared:
        yield from _unsettled(seen, inheritance)
    yield seen.evidence
    yield Evidence("connections that several processes have open", str(sum(map(len, shared.values()))), "/proc/*/fd")


def _held_by(socket: SharedSocket, holders: tuple[Holder, ...]) -> SharedSocket:
    """The same, held by these alone."""
    return SharedSocket(socket.local, socket.remote, holders)


def _service(socket: SharedSocket) -> str:
    port = socket.remote.rpartition(":")[2]
    return SERVICES.get(port, f"port {port}")


def _unsettled(seen: Present, inheritance: Inheritance) -> Iterator[Verdict]:
    yield from seen.unseen()
    if inheritance.partial:
        yield Unknown(inheritance.partial, "fewer open descriptors")
    if inheritance.hidden and seen.here:
        pids = ", ".join(map(str, inheritance.hidden[:SHOWN]))
        yield Unknown(f"the descriptors of pid {pids} may not be read, which are kin of workers", ROOT)


def _finding(service: str, sockets: list[SharedSocket], workers: dict[int, Here]) -> Finding:
    old = sockets[0].holders
    owner = next((workers[one.pid] for one in old if one.pid in workers), None)
    pids = ", ".join(str(one.pid) for one in old[:SHOWN])
    what = "the same connection" if len(sockets) == 1 else f"the same {counted(len(sockets), 'connection')}"
    return Finding(
        owner.subject if owner else f"process:{old[0].program.rpartition('/')[2] or old[0].pid}",
        f"{counted(len(old), 'process has', 'processes have')} {what} to {service} open: pid {pids}",
        "Connect after the fork, or close what was inherited in the child before anything uses it.",
        (
            *(Evidence(f"pid {one.pid}", _told(one), f"/proc/{one.pid}/fd/{one.descriptor}") for one in old[:SHOWN]),
            *(Evidence("connection", f"{one.local} to {one.remote}", "/proc/PID/net/tcp") for one in sockets[:SHOWN]),
        ),
        None if _uses(old, workers) else Severity.CRITICAL.milder,
        key=service.replace("this ", "").replace(" ", "-"),
        lasting=owner.lasting if owner else "",
    )


def _uses(old: tuple[Holder, ...], workers: dict[int, Here]) -> bool:
    """Whether two of them run one program, leaving out a parent that is no worker while a single child holds it."""
    pids = {one.pid for one in old}
    parents = {one.parent for one in old} & pids
    children = [one for one in old if one.parent in pids]
    users = [one for one in old if one.pid not in parents or one.pid in workers or len(children) > 1 or not workers]
    programs = [one.program for one in users]
    return any(programs.count(program) > 1 for program in programs)


def _told(one: Holder) -> str:
    return f"{one.program or '?'}, child of {one.parent}, {one.age_s:.0f} s old"
