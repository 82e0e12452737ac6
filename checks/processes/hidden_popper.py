"""Somebody takes jobs from the queues and sends no heartbeat.

## Why it hurts
Jobs disappear without a log line: a forgotten worker, another environment's, or one that lost its heartbeat takes
them and runs them elsewhere, with other code, or not at all.

In the log: a jid that a client pushed has no `start` line in the log of any worker that you know.

## How it is found
Formula: P = clients with flag b in a blocking pop of this database, connected for BOOTING seconds or more; T = threads
of its live processes; P > SLACK * T fails, and so do hosts of P > hosts of live processes

CLIENT LIST shows who waits in a blocking pop right now (flag `b`). Too many: more of them than the threads of all
live processes in this database, and 5 % more. Unexplained: they come from more hosts than have live processes.
Proven: the connection belongs to a worker of this host that is registered nowhere. One sample makes it high; two
(--for), or the proof, make it critical. Any other process of this host that is registered nowhere is high where its
command is exactly as long as a worker's pop of one queue, or of all (argv-mem), and unknown where it may be another
pop of some of them, or where it has other connections and may pass on (a proxy, a tunnel) what a live process asks for
that has none of its own here; who pops shorter or longer names is not counted.

## When it is wrong
Other software that pops from lists in the same database: where its keys are found, nothing is concluded; a list whose
name is as long as a queue's cannot be told from it. A worker that started less than 15 seconds ago has not beaten yet.
Behind NAT or a proxy all clients share an address.

## Confirm by hand
`redis-cli client list | grep flags=b`, then look for the address and port on that host with `ss -tnp`.

## How to fix
Find the host and the process, and stop it, or give it the right Redis, database and namespace.

Risk: who is stopped may be in the middle of a job: send TSTP first and wait until it is idle.

Undo: start it again.

## Unknown when
CLIENT LIST is not allowed, or a live process does not say how many threads it has; those too many have a name of
their own (CLIENT SETNAME), beside clients without one; a host's clock is behind, and a worker's record is renewed.

## Source
Sidekiq's issue 3202; a real Sidekiq 6.4.1 shows one blocked connection a thread.

- MOST_QUEUES: names; of more there may be some that were not read, and then no pop is told by its length.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence

from kiqdoctor.doctor import Evidence, Finding, Missing, Severity, Twice, Unknown, Verdict, check
from kiqdoctor.doctor.counting import counted
from kiqdoctor.doctor.facts.engine import Threshold, Thresholds
from kiqdoctor.doctor.facts.fleet import Fleet
from kiqdoctor.doctor.facts.host import Inheritance, LocalProcess, LocalProcesses, Owner
from kiqdoctor.doctor.facts.keyspace import Keyspace
from kiqdoctor.doctor.facts.redis import Client, Clients, Connection
from kiqdoctor.doctor.late_clock import behind
from kiqdoctor.doctor.ownership import is_of
from kiqdoctor.doctor.popping import POPS, exactly, fits, too_short
from kiqdoctor.regex import regex
from kiqdoctor.wire.keys import Keys

SLACK = Threshold(
    name="slack",
    default=1.05,
    unit="times the live processes' threads",
    meaning="More clients than this that wait for jobs are somebody else's.",
    source="ours: a thread that reconnects is counted twice for a moment",
    least=1.0,
)
BOOTING = Threshold(
    name="booting-s",
    default=15,
    unit="s",
    meaning="A client that connected within this time may be a worker that has not beaten yet.",
    source="a worker's first beat comes within one interval of 5 or 10 seconds after its start",
)
MOST_QUEUES = 1_000
SHOWN = 10
OURS = regex(r"kiq|worker", re.IGNORECASE)
LOOPBACK = {"127.0.0.1", "::1", "[::1]", "localhost", ""}
REMEDY = "Find the process behind the address, stop it, or give it the right Redis, database and namespace."


@check("PRO004", severity=Severity.CRITICAL, thresholds=(SLACK, BOOTING))
def hidden_popper(
    fleet: Fleet,
    clients: Clients,
    keyspace: Keyspace,
    local: LocalProcesses | Missing,
    inheritance: Inheritance | Missing,
    connection: Connection | Missing,
    twice: Twice[Clients] | Missing,
    thresholds: Thresholds,
) -> Iterator[Verdict]:
    booting_s = thresholds[BOOTING]
    waiting = _popping(clients, keyspace)
    old = [one for one in waiting if one.age_s >= booting_s]
    popping = _taking(old, keyspace)
    young = len(_taking(waiting, keyspace)) - len(popping)
    proven = [(worker, client) for worker in _unregistered(local, keyspace) for client in _of(worker, old)]
    if proven:
        yield _proven(*proven[0], len(proven))
        return
    late = next(filter(None, (behind(one, fleet, connection, clients) for one in fleet.processes)), "")
    reason = late or _unclear(fleet, keyspace, popping)
    threads = sum(one.threads for one in keyspace.installations)
    most = threads * thresholds[SLACK]
    before = _popping(twice.first, keyspace) if isinstance(twice, Twice) else []
    sure = len(_taking([one for one in before if one.age_s >= booting_s], keyspace)) > most
    severity = Severity.CRITICAL if sure else Severity.CRITICAL.milder
    strangers = _strangers(popping, keyspace, local)
    tied = _tied(popping, keyspace, local, inheritance)
    if (reason := reason or _named(popping, most)) and popping:
        yield Unknown(reason, "clocks that agree" if late else "a database of their own for Sidekiq's keys")
    elif len(popping) > most:
        title = (
            f"{counted(len(popping), 'client waits', 'clients wait')} for"
            f" jobs, but the live processes have {counted(threads, 'thread')}"
        )
        rows = (*_owners(tied), *_rows(popping))
        yield Finding("redis", title, REMEDY, rows, severity, key="more-than-threads")
    elif strangers:
        title = f"Clients on {len(strangers)} more hosts than have live processes wait for jobs"
        yield Finding("redis", title, REMEDY, tuple(_rows(popping)), Severity.CRITICAL.milder, key="more-hosts")
    elif (alone := _alone(tied, keyspace, _roundabout(clients, keyspace, local))) is not None:
        yield alone
    elif young and young + len(popping) > most:
        them = counted(young, "client that waits for jobs is", "clients that wait for jobs are")
        title = f"{them} younger than a beat; with them there are more than threads"
        yield Unknown(title, f"look again in {booting_s:.0f} s")
    elif len(old) > most:
        them = counted(len(old) - len(popping), "client waits", "clients wait")
        yield Unknown(
            f"{them} for lists that may be queues nobody registered: none of the known ones has names so long",
            "CLIENT LIST's argv-mem beside the code of who waits",
        )
    elif isinstance(local, LocalProcesses) and local.partial:
        yield Unknown(local.partial, "root, or a /proc mounted without hidepid")
    else:
        yield Evidence("clients that wait for jobs", f"{len(popping)}, for {threads} threads", "CLIENT LIST")
        if others := len(old) - len(popping):
            yield Evidence("clients that wait for other lists", str(others), "CLIENT LIST, argv-mem")


def _named(popping: Sequence[Client], most: float) -> str:
    """Why those too many may be of other software: they have a name, and others none; "" where they are not."""
    found = [one for one in popping if one.name and not OURS.search(one.name)]
    if not len(popping) - len(found) <= most < len(popping) or len(found) == len(popping):
        return ""
    them = counted(len(found), "client is", "clients are")
    return f"{them} called {found[0].name}, and may wait for other lists: Sidekiq gives its clients no name"


def _popping(clients: Clients, keyspace: Keyspace) -> list[Client]:
    """Blocked in a pop of this database right now, that may be of one of its queues."""
    keys = _queues(keyspace)
    return [
        one
        for one in clients.all
        if one.blocked and one.command in POPS and one.database == keyspace.database and not too_short(one, keys)
    ]


def _taking(popping: Sequence[Client], keyspace: Keyspace) -> list[Client]:
    """Those whose command is as long as one that pops these queues, or does not tell how long it is."""
    keys = _queues(keyspace)
    told = {(one.command, one.argument_bytes): one for one in popping}
    fitting = {kind for kind, one in told.items() if fits(one, keys) is not False}
    return [one for one in popping if (one.command, one.argument_bytes) in fitting]


def _popped(keyspace: Keyspace) -> list[Collection[str]]:
    """What a worker of here would pop: each queue by itself, or all that a fleet's processes take."""
    queues = _queues(keyspace)
    fleets = [{Keys(one.prefix).queue(name) for name in one.process_queues} for one in keyspace.installations]
    return [*([one] for one in queues), *(fleets if queues else [])]


def _queues(keyspace: Keyspace) -> Collection[str]:
    """The lists that hold jobs here; none where there may be more than were read."""
    found = {
        Keys(one.prefix).queue(name)
        for one in keyspace.installations
        for name in (*(queue for queue, _ in one.queues), *one.process_queues)
    }
    return found if len(found) < MOST_QUEUES and keyspace.complete else ()


def _tied(
    popping: Sequence[Client],
    keyspace: Keyspace,
    local: LocalProcesses | Missing,
    inheritance: Inheritance | Missing,
) -> list[tuple[Owner, Client]]:
    """Those whose connection only processes of this host hold that no live record names, nor one of their parents."""
    if not isinstance(local, LocalProcesses) or not isinstance(inheritance, Inheritance):
        return []
    seats = {_seat(identity) for one in keyspace.installations for identity in one.identities}
    clients = {one.address: one for one in popping}
    known = {one.pid for one in local.all if any(_sits(one, local.hostname, *seat) for seat in seats)}
    known |= {int(pid) for host, pid in seats if host == local.hostname and pid.isascii() and pid.isdigit()}
    mine = [one for one in inheritance.owners if one.address in clients]
    asked = {remote.rpartition(":")[2] for one in local.all if one.pid in known for _, remote in one.sockets}
    explained = {
        one.address
        for one in mine
        if asked.intersection(one.ports)
        or {one.pids[0], one.parent} & known
        or {(str(pid)) for pid in one.pids[1:]} & {pid for _, pid in seats}
    }
    return [(one, clients[one.address]) for one in mine if one.address not in explained]


def _roundabout(clients: Clients, keyspace: Keyspace, local: LocalProcesses | Missing) -> str:
    """A live process for which another may ask here, as a proxy or a tunnel does; "" where each has connections."""
    workers = local.all if isinstance(local, LocalProcesses) else ()
    direct = [one for one in workers if any(is_of(client, one) for client in clients.all)]
    name = local.hostname if isinstance(local, LocalProcesses) else ""
    apart = [
        identity
        for one in keyspace.installations
        for identity in one.identities
        if not any(_sits(worker, name, *_seat(identity)) for worker in direct)
    ]
    others = {_host(one, local) for one in clients.all if not one.address.startswith("/")} - {"this host"}
    return apart[0] if len({_seat(identity)[0] for identity in apart}) > len(others) else ""


def _unclear(fleet: Fleet, keyspace: Keyspace, popping: Sequence[Client]) -> str:
    """Why counting settles nothing; "" where it does."""
    others = [one.owner for one in keyspace.foreign if one.database == keyspace.database]
    if others:
        return f"{', '.join(others)} keeps data in the same database and may be what waits there"
    if silent := [one.identity for one in fleet.live if one.concurrency is None]:
        return f"{silent[0]} does not say how many threads it has"
    if fleet.partial or not keyspace.complete:
        return fleet.partial or f"{keyspace.scanned} of {keyspace.total} keys were looked at"
    return (
        "" if keyspace.installations or not popping else "no Sidekiq data lies here, and somebody waits for other lists"
    )


def _host(client: Client, local: LocalProcesses | Missing) -> str:
    """An address without its port; all of this host's addresses are one."""
    host = client.host
    here = {*local.addresses, *LOOPBACK} if isinstance(local, LocalProcesses) else LOOPBACK
    return "this host" if host in here or host.startswith("127.") else host


def _strangers(popping: Sequence[Client], keyspace: Keyspace, local: LocalProcesses | Missing) -> list[str]:
    """Hosts of blocked clients beyond as many as there are hosts with live processes."""
    known = {_seat(identity)[0] for one in keyspace.installations for identity in one.identities}
    hosts = sorted({_host(client, local) for client in popping if not client.address.startswith("/")})
    return hosts[len(known) :]


def _unregistered(local: LocalProcesses | Missing, keyspace: Keyspace) -> list[LocalProcess]:
    """Workers of this host that no live record names."""
    if not isinstance(local, LocalProcesses):
        return []
    seats = [_seat(identity) for one in keyspace.installations for identity in one.identities]
    workers = [one for one in local.all if one.kind in {"sidekiq", "kiqdoctor"} and not one.stopping]
    strangers = [one for one in workers if not any(_sits(one, local.hostname, *seat) for seat in seats)]
    known = {one.pid for one in workers} - {one.pid for one in strangers}
    return [one for one in strangers if one.ppid not in known]  # a child that a known one forked takes no jobs


def _seat(identity: str) -> tuple[str, str]:
    """Host and pid of HOST:PID:NONCE; whoever writes to Redis may have named a process anything."""
    host, *rest = identity.rsplit(":", 2)
    return host, rest[0] if rest else ""


def _sits(worker: LocalProcess, hostname: str, host: str, pid: str) -> bool:
    """Whether a live identity is this process: inside a container it knows another host name and pid."""
    inner = [str(number) for number in worker.namespace_pids[1:]]
    return (host == hostname and pid == str(worker.pid)) or pid in inner


def _of(worker: LocalProcess, popping: Sequence[Client]) -> list[Client]:
    return [client for client in popping if is_of(client, worker)]


def _proven(worker: LocalProcess, client: Client, count: int) -> Finding:
    evidence = (
        Evidence("connection", f"{client.address}, waiting in {client.command}", "CLIENT LIST"),
        Evidence("process", f"pid {worker.pid}: {worker.title}", "/proc"),
        Evidence("its Redis", ", ".join(worker.redis) or "not in its environment", "/proc environ"),
    )
    title = f"pid {worker.pid} of this host takes jobs on {count} connections and is registered nowhere"
    return Finding(
        "redis", title, f"Stop pid {worker.pid}, or find out why it does not beat.", evidence, key="unregistered"
    )


def _alone(tied: Sequence[tuple[Owner, Client]], keyspace: Keyspace, asker: str) -> Finding | Unknown | None:
    """Of a process that is registered nowhere, where its pop may be of these queues, and not that of ``asker``."""
    fit = [one for one in tied if exactly(one[1], _popped(keyspace))]
    sure = [one for one in fit if not (asker and (one[0].ports or one[0].others))]
    if fit and not sure:
        pid = f"pid {fit[0][0].pids[0]}"
        told = f"{pid} of this host waits in a pop of these queues, and may pass it on for {asker}"
        return Unknown(f"{told}, of which no connection is seen", f"a look at what {pid} is")
    if sure:
        return _stranger(sure)
    if doubtful := [owner.pids[0] for owner, client in tied if fits(client, _queues(keyspace))]:
        pid = f"pid {doubtful[0]}"
        told = f"{pid} of this host is registered nowhere and waits in a pop of these queues, or of a list of its own"
        return Unknown(told, f"a look at what {pid} pops")
    return None


def _stranger(tied: Sequence[tuple[Owner, Client]]) -> Finding:
    owner = tied[0][0]
    count = len({client.address for _, client in tied})
    title = (
        f"pid {owner.pids[0]} of this host is registered nowhere and waits on"
        f" {counted(count, 'connection')} in a pop as long as one of these queues"
    )
    remedy = f"Look what pid {owner.pids[0]} pops; stop it, or give it a database of its own."
    return Finding("redis", title, remedy, tuple(_owners(tied)), Severity.CRITICAL.milder, key="stranger")


def _owners(tied: Sequence[tuple[Owner, Client]]) -> Iterator[Evidence]:
    for owner, client in tied[:SHOWN]:
        told = f"{client.address} is of pid {owner.pids[0]} ({owner.program or '?'}), which is registered nowhere"
        yield Evidence("connection", f"{told}; client id {client.id}, {client.command}", "CLIENT LIST, /proc/PID/fd")


def _rows(popping: Sequence[Client]) -> Iterator[Evidence]:
    counts = Counter((one.host, one.name, one.library) for one in popping)
    for (host, name, library), count in counts.most_common(SHOWN):
        described = " ".join(word for word in (name, library) if word)
        yield Evidence(host or "a unix socket", f"{count} waiting {described}".strip(), "CLIENT LIST")
