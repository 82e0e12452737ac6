"""Whether a process of this host works for the Redis that is examined: by its sockets, else by its environment."""

from urllib.parse import parse_qs, urlsplit

from kiqdoctor.doctor.facts.host import LocalProcess, LocalProcesses
from kiqdoctor.doctor.facts.redis import Client, Clients, Connection
from kiqdoctor.doctor.snapshot import Missing

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1", ""})
_DEFAULT_PORT = 6379


def works_for(
    worker: LocalProcess, connection: Connection, clients: Clients | Missing, local: LocalProcesses
) -> bool | None:
    """True and False are proven; None: it has no connection yet, or may not be looked into, and names no Redis.

    Nobody is known by a title and an environment alone: whoever may be looked into must hold a connection.
    """
    wanted = _database(connection.url)
    if isinstance(clients, Clients) and (own := {one.database for one in clients.all if is_of(one, worker)}):
        return wanted in map(str, own)
    target = _place(connection.url, local)
    if target is None:
        return _by_path(worker, connection, clients)
    remotes = {_remote(remote, local) for _, remote in worker.sockets}
    named = {(place, _database(entry)) for entry in worker.redis if (place := _place(_url(entry), local)) is not None}
    if target in remotes:
        databases = {database for place, database in named if place == target}
        return not databases or wanted in databases
    if named and (target, wanted) in named:
        return True if remotes or worker.settings is None else None
    return False if named or (remotes and target[0] == "here" and not any(map(_socket, worker.redis))) else None


def in_same_database(client: Client, connection: Connection) -> bool:
    """Whether it has the examined database selected."""
    return str(client.database) == _database(connection.url)


def is_of(client: Client, worker: LocalProcess) -> bool:
    """One local port serves connections to several servers, so over loopback both ends must fit."""
    ports = {remote.rpartition(":")[2] for mine, remote in worker.sockets if mine == client.address}
    looped = client.address.startswith(("127.", "[::1]", "::1"))
    return bool(ports) and (not looped or not client.server or client.server.rpartition(":")[2] in ports)


def same(one: str, other: str, local: LocalProcesses) -> bool:
    """Whether two addresses that were shown lead to one database of one server."""
    places = [_socket(url) or (_place(url, local), _database(url)) for url in (one, other)]
    return places[0] == places[1]


def _by_path(worker: LocalProcess, connection: Connection, clients: Clients | Missing) -> bool | None:
    """Where a unix socket is examined: by the socket that the worker names, else by connections that lead elsewhere."""
    if named := {socket for entry in worker.redis if (socket := _socket(entry))}:
        return _socket(connection.url) in named
    return False if worker.redis and worker.sockets and isinstance(clients, Clients) else None


def _socket(entry: str) -> tuple[str, str] | None:
    """The path and the database of a unix socket's address; None for another address."""
    try:
        parts = urlsplit(_url(entry))
    except ValueError:
        return None
    if parts.scheme != "unix":
        return None
    path = parts.path.removeprefix("/var") if parts.path.startswith("/var/run/") else parts.path
    return path, parse_qs(parts.query).get("db", ["0"])[0]


def _url(entry: str) -> str:
    """Without the name of the variable or option that holds it."""
    return entry.partition("=")[2] if "=" in entry.partition("://")[0] else entry


def _place(url: str, local: LocalProcesses) -> tuple[str, int] | None:
    """Host and port of an address that was shown; all names of this host are one. None for a unix socket."""
    try:
        parts = urlsplit(url)
        port = parts.port or _DEFAULT_PORT
    except ValueError:
        return None
    return None if parts.scheme not in {"redis", "rediss"} else (_host(parts.hostname or "", local), port)


def _remote(address: str, local: LocalProcesses) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return _host(host.strip("[]"), local), int(port) if port.isascii() and port.isdigit() else 0


def _host(host: str, local: LocalProcesses) -> str:
    here = host in _LOOPBACK or host.startswith("127.") or host in {local.hostname, *local.addresses}
    return "here" if here else host.lower()


def _database(url: str) -> str:
    try:
        return urlsplit(_url(url)).path.strip("/") or "0"
    except ValueError:
        return ""


def redis_sockets(
    worker: LocalProcess, connection: Connection | Missing, clients: Clients | Missing, local: LocalProcesses
) -> tuple[str, ...]:
    """Local addresses of a worker's connections to the examined Redis."""
    known = {one.address for one in clients.all if is_of(one, worker)} if isinstance(clients, Clients) else set()
    target = _place(connection.url, local) if isinstance(connection, Connection) else None
    return tuple(
        mine for mine, remote in worker.sockets if mine in known or (target and _remote(remote, local) == target)
    )


def leads_to(remote: str, connection: Connection, local: LocalProcesses) -> bool:
    """Whether a connection with this remote address goes to the examined Redis."""
    return _remote(remote, local) == _place(connection.url, local)
