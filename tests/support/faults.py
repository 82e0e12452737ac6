"""What stands between a program and its Redis, and fails exactly where a test says: between two commands."""

import contextlib
import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

import hiredis
from servers import DEADLINE

READ: Final = 1 << 20  # bytes at once
LOOK: Final = 0.05  # seconds between two looks at whether the proxy is down


@dataclass(eq=False)
class Fault:
    """Meets the next request that holds ``match``, once. ``happened``: it did; ``go_on``: what is held may pass."""

    match: bytes
    act: str  # refuse, lose, hold-request, hold-reply
    happened: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)

    def wait(self) -> None:
        """Until it happened."""
        assert self.happened.wait(DEADLINE), f"no request met {self}"


@dataclass(eq=False)
class Proxy:
    """Listens on a loopback port of its own for the server at ``port``."""

    port: int
    listener: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))
    faults: list[Fault] = field(default_factory=list)
    met: list[Fault] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    sockets: list[socket.socket] = field(default_factory=list)
    threads: list[threading.Thread] = field(default_factory=list)
    refusing: bool = False
    closed: bool = False

    @classmethod
    @contextmanager
    def start(cls, port: int) -> "Iterator[Proxy]":
        """A proxy that passes everything on, until it is told otherwise."""
        proxy = cls(port)
        accepting = threading.Thread(target=proxy._accept, daemon=True)
        accepting.start()
        try:
            yield proxy
        finally:
            proxy.closed = True
            proxy.cut()
            accepting.join()
            proxy.end()
            proxy.listener.close()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.listener.getsockname()[1]}/0"

    # -- what a test asks for --------------------------------------------------------------------------------------

    def refuse(self, match: bytes) -> Fault:
        """The connection ends before the server sees the request."""
        return self._expect(match, "refuse")

    def lose(self, match: bytes) -> Fault:
        """The server did it, and the connection ends before the reply is there."""
        return self._expect(match, "lose")

    def hold_request(self, match: bytes) -> Fault:
        """The server does not see it yet."""
        return self._expect(match, "hold-request")

    def hold_reply(self, match: bytes) -> Fault:
        """The server did it; the reply is under way until it may go on."""
        return self._expect(match, "hold-reply")

    def cut(self) -> None:
        """Every connection ends; new ones may come."""
        with self.lock:
            found, self.sockets = self.sockets, []
        for one in found:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def end(self) -> None:
        """Every connection ends, and nothing is under way to the server any more."""
        for fault in self.met:
            fault.go_on.set()
        self.cut()
        for thread in list(self.threads):
            thread.join()

    @contextmanager
    def calm(self) -> Iterator[None]:
        """What was asked for does not happen yet."""
        with self.lock:
            later, self.faults = self.faults, []
        try:
            yield
        finally:
            with self.lock:
                self.faults += later

    @contextmanager
    def down(self) -> Iterator[None]:
        """Nobody gets through."""
        self.refusing = True
        self.cut()
        try:
            yield
        finally:
            self.refusing = False

    # -- passing on ------------------------------------------------------------------------------------------------

    def _expect(self, match: bytes, act: str) -> Fault:
        fault = Fault(match, act)
        with self.lock:
            self.faults.append(fault)
        return fault

    def _accept(self) -> None:
        while not self.closed:
            if not _readable(self.listener, seconds=LOOK):
                continue
            client, _ = self.listener.accept()
            if self.refusing or self.closed:
                client.close()
                continue
            thread = threading.Thread(target=self._serve, args=(client,), daemon=True)
            self.threads.append(thread)
            thread.start()

    def _serve(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(("127.0.0.1", self.port))
        except OSError:
            client.close()
            return
        with self.lock:
            self.sockets += [client, server]
        try:
            self._pass(client, server)
        except OSError:
            return
        finally:
            for one in (client, server):
                one.close()

    def _pass(self, client: socket.socket, server: socket.socket) -> None:
        """Until one of the two ends, or a fault ends it."""
        while True:
            ready = _readable(client, server)
            if server in ready:
                reply = server.recv(READ)
                if not reply:
                    return
                client.sendall(reply)
            if client in ready:
                request = client.recv(READ)
                if not request or not self._request(request, client, server):
                    return

    def _request(self, request: bytes, client: socket.socket, server: socket.socket) -> bool:
        """Whether the connection goes on."""
        fault = self._met(request)
        if fault is None:
            server.sendall(request)
            return True
        if fault.act == "refuse":
            fault.happened.set()
            return False
        if fault.act == "hold-request":
            fault.happened.set()
            fault.go_on.wait()
            server.sendall(request)
            return True
        server.sendall(request)
        reply = _answer(client, server)
        fault.happened.set()
        if fault.act == "lose":
            return False
        fault.go_on.wait()
        client.sendall(reply)
        return True

    def _met(self, request: bytes) -> Fault | None:
        with self.lock:
            for fault in self.faults:
                if fault.match in request:
                    self.faults.remove(fault)
                    self.met.append(fault)
                    return fault
        return None


@contextmanager
def lying(port: int, command: str, lie: bytes) -> Iterator[str]:
    """In front of a real server: as it answers, but for this one command."""
    listener = socket.create_server(("127.0.0.1", 0))

    def talk(connection: socket.socket) -> None:
        reader, real = hiredis.Reader(), hiredis.Reader()
        with connection, socket.create_connection(("127.0.0.1", port)) as behind, contextlib.suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else each reply waits 40 ms
            while data := connection.recv(65_536):
                reader.feed(data)
                while (asked := reader.gets()) is not False:
                    behind.sendall(hiredis.pack_command(tuple(asked)))
                    answered = b""
                    while real.gets() is False:
                        answered += (came := behind.recv(65_536))
                        real.feed(came)
                    connection.sendall(lie if asked[0].decode() == command else answered)

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=talk, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}/0"
    finally:
        listener.close()


def _answer(client: socket.socket, server: socket.socket) -> bytes:
    """What the server says; a long request may come in parts."""
    while server not in (ready := _readable(client, server)):
        if client in ready:
            server.sendall(client.recv(READ))
    return server.recv(READ)


def _readable(*sockets: socket.socket, seconds: float | None = None) -> list[socket.socket]:
    """Those that can be read, or have ended."""
    poll = select.poll()
    for one in sockets:
        poll.register(one, select.POLLIN)
    ready = {number for number, _ in poll.poll(None if seconds is None else seconds * 1000)}
    return [one for one in sockets if one.fileno() in ready]
