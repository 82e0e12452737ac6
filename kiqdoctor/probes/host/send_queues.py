"""What Redis sent to its clients and nobody acknowledged, by the tables of the network namespace that it runs in."""

from pathlib import Path
from typing import Final

from kiqdoctor.doctor.facts.host import LocalProcesses, SendQueues, Unsent
from kiqdoctor.doctor.facts.redis import Server
from kiqdoctor.doctor.probe import Lane, Read, RefusalError, probe
from kiqdoctor.doctor.tools import Host
from kiqdoctor.probes.host.files import read
from kiqdoctor.probes.host.sockets import established

SERVERS: Final = frozenset({b"redis-server", b"valkey-server", b"keydb-server", b"dragonfly"})
INCOMPLETE: Final = "0x0"  # flags of an address that nobody answers for
MOST_SILENT: Final = 1_000


@probe(
    Read("/proc/*/comm", "", "one small read a process"),
    Read("/proc/PID/net/tcp, tcp6, arp of the server", "the server's user or root", "one table"),
    lane=Lane.HOST,
)
def send_queues(host: Host, server: Server, local: LocalProcesses) -> SendQueues:
    """Only of the server's own port, and only where its process is on this host."""
    own = [host.proc / str(pid) for pid in local.pids if _is(host.proc / str(pid), server)]
    if len(own) != 1:
        raise RefusalError(
            "Redis runs on another host, where its send queues are to be seen", "the doctor on Redis' host"
        )
    net = own[0] / "net"
    if read(net / "tcp", 1) is None:
        raise RefusalError(f"{net}/tcp may not be read", "the server's user, or root")
    port = server.info.get("tcp_port", "")
    rows = (row for row in established(net) if row.local.rpartition(":")[2] == port)
    waiting = tuple(Unsent(row.remote, row.unsent, row.retries) for row in rows if row.unsent)
    return SendQueues(waiting, _silent(net))


def _is(process: Path, server: Server) -> bool:
    """Whether it is the server: by its name, and by the pid that it knows itself by."""
    if (read(process / "comm") or b"").strip() not in SERVERS:
        return False
    for line in (read(process / "status") or b"").decode("ascii", "replace").splitlines():
        if line.startswith("NSpid:"):
            return line.split()[-1] == server.info.get("process_id")
    return process.name == server.info.get("process_id")


def _silent(net: Path) -> tuple[str, ...]:
    rows = (line.split() for line in (read(net / "arp") or b"").decode("ascii", "replace").splitlines()[1:])
    return tuple(cells[0] for cells in rows if len(cells) > 2 and cells[2] == INCOMPLETE)[:MOST_SILENT]  # noqa: PLR2004
