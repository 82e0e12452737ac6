"""A client that is gone still waits for jobs, and Redis gives it some.

## Why it hurts
When a host or a link dies without a word, Redis keeps the connection for minutes. A pop that it had begun wins the next
job: it leaves the queue, is sent to nobody, and no list and no log has it.

In the log: nothing; a jid that was pushed is never started.

## How it is found
Formula: fails if bytes of a popping client's send queue are not acknowledged, and were sent again RETRIES times
(high), or stay in two readings APART_S apart, while nothing went to it or came from it (critical)

The kernel of Redis' host knows what a client's kernel has not acknowledged. A living one acknowledges at once, be its
process stopped or not, until SMALL bytes fill its buffer; who does not is not there. A busy one has bytes under way
at every look, each time others: Redis tells since when the connection was idle.

## When it is wrong
A network that loses much: the same bytes are acknowledged in the end.

## Confirm by hand
`ss -tno state established '( sport = :6379 )'` on Redis' host: Send-Q above 0 and a growing retransmission timer.

## How to fix
`CLIENT KILL ID` that client; set `tcp-keepalive 60` in redis.conf, so that an idle one is found within two minutes.

Risk: none for the living: who is cut off connects again.

Undo: none is needed.

## Unknown when
CLIENT LIST is not allowed; Redis runs on another host and somebody waits for jobs who is not a worker of this host;
bytes are unacknowledged in one reading.

## Source
Measured with a link cut: the dead client won the pop, and its entry stood for over 60 s with 34 bytes unacknowledged.

- RETRIES: three times are more than a lost packet; the kernel doubles the time each time.
- APART_S: a living kernel acknowledges within 0.2 seconds.
- IDLE_S: Redis counts idle time in whole seconds.
- SMALL: bytes; less than any receive buffer, so that it is not the reader who is slow.
"""

from collections.abc import Iterator

from kiqdoctor.doctor import Evidence, Finding, Missing, Severity, Twice, Unknown, Verdict, check
from kiqdoctor.doctor.counting import counted
from kiqdoctor.doctor.facts.host import LocalProcesses, SendQueues, Unsent
from kiqdoctor.doctor.facts.redis import Client, Clients
from kiqdoctor.doctor.ownership import is_of

POPS = frozenset({"brpop", "blpop", "blmove", "brpoplpush", "blmpop", "bzpopmin"})
RETRIES = 3
APART_S = 5.0
IDLE_S = 1.0
SMALL = 16_384
SHOWN = 8


@check("PRO013", severity=Severity.CRITICAL)
def half_open_client_wins_pops(
    clients: Clients, queues: SendQueues | Missing, twice: Twice[SendQueues] | Missing, local: LocalProcesses | Missing
) -> Iterator[Verdict]:
    popping = {one.address: one for one in clients.all if one.command in POPS}
    if isinstance(queues, SendQueues):
        now = twice.last if isinstance(twice, Twice) else queues
        waiting = [one for one in now.all if one.client in popping]
        for unsent in waiting:
            yield from _judged(unsent, popping[unsent.client], now, twice)
        yield Evidence("clients that pop", str(len(popping)), "CLIENT LIST")
        yield Evidence("of them with unacknowledged bytes", str(len(waiting)), "/proc/net/tcp of the server")
        return
    workers = local.all if isinstance(local, LocalProcesses) else ()
    far = [one for one in popping.values() if not any(is_of(one, worker) for worker in workers)]
    if far:
        why = (
            f"{counted(len(far), 'client waits', 'clients wait')} for jobs"
            f" that are no workers of this host, {far[0].host} among them"
        )
        yield Unknown(f"{why}; {queues.reason}", getattr(queues, "unlock", ""))
    yield Evidence("clients that pop", f"{len(popping)}, all of them workers of this host", "CLIENT LIST, /proc")


def _judged(unsent: Unsent, client: Client, now: SendQueues, twice: Twice[SendQueues] | Missing) -> Iterator[Verdict]:
    if client.idle_s < IDLE_S:
        return  # what was written within this second is under way
    long_enough = isinstance(twice, Twice) and twice.window_s >= APART_S * 0.95
    before = [one for one in twice.first.all if one.client == unsent.client] if isinstance(twice, Twice) else []
    quiet = isinstance(twice, Twice) and client.idle_s >= twice.window_s - IDLE_S
    stays = long_enough and quiet and any(0 < one.waiting_bytes <= unsent.waiting_bytes for one in before)
    if stays and (unsent.retries or unsent.waiting_bytes < SMALL):
        yield _finding(unsent, client, now, Severity.CRITICAL)
    elif unsent.retries >= RETRIES:
        yield _finding(unsent, client, now, Severity.CRITICAL.milder)
    elif not before or not long_enough:
        told = f"{counted(unsent.waiting_bytes, 'byte')} to {unsent.client}, which waits for jobs, are not acknowledged"
        yield Unknown(told, f"--for {APART_S:g}")


def _finding(unsent: Unsent, client: Client, queues: SendQueues, severity: Severity) -> Finding:
    silent = client.host.strip("[]") in queues.silent
    evidence = [
        Evidence(
            "unacknowledged",
            f"{counted(unsent.waiting_bytes, 'byte')}, sent again {counted(unsent.retries, 'time')}",
            "/proc/net/tcp",
        ),
        Evidence(
            "client", f"id {client.id}, {client.command}, flags {client.flags}, {client.age_s} s old", "CLIENT LIST"
        ),
        *([Evidence("its address", "nobody answers for it", "/proc/net/arp")] if silent else []),
    ]
    return Finding(
        f"client:{client.address}",
        f"{client.address} is gone and still takes jobs:"
        f" {counted(unsent.waiting_bytes, 'byte')} to it are not acknowledged",
        f"CLIENT KILL ID {client.id}, and set tcp-keepalive to 60.",
        tuple(evidence),
        severity,
        lasting=f"client:{client.host}",
    )
