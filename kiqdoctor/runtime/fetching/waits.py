"""Waiting in Redis for the first job of any queue: a BLMOVE on each, and a bell for ourselves."""

import os
import select
import threading
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from kiqdoctor.clock import Clock
from kiqdoctor.runtime import log
from kiqdoctor.runtime.channel import Channel, command
from kiqdoctor.runtime.fetching.work import Home
from kiqdoctor.wire.keys import Keys

if TYPE_CHECKING:
    from redis import Redis

BLOCK: Final = 1.5  # seconds of one wait; far less than a lease, for a wait asks for none when it brings a job


class Bell:
    """Rung by any thread, heard by the one that waits."""

    def __init__(self) -> None:
        self._ends = os.pipe()
        for end in self._ends:
            os.set_blocking(end, False)
        self._lock = threading.Lock()
        self.gone = False

    def fileno(self) -> int:
        """For poll()."""
        return self._ends[0]

    def ring(self) -> None:
        """Nothing where it is gone: its number is somebody else's by now."""
        with self._lock:
            if not self.gone:
                with suppress(BlockingIOError):
                    os.write(self._ends[1], b"!")

    def silence(self) -> None:
        """It was heard."""
        with self._lock:
            if not self.gone:
                with suppress(BlockingIOError):
                    os.read(self._ends[0], 1024)

    def close(self) -> None:
        """Once is enough."""
        with self._lock:
            for end in self._ends if not self.gone else ():
                os.close(end)
            self.gone = True


class Waits:
    """A connection for each queue, opened when it is first waited for. For one thread at a time.

    BLMOVE, since it moves: BRPOP would have the job in no list while its reply is under way. It takes one queue, so
    each has a connection. CLIENT TRACKING would need one for all, but with 50 idle listeners a producer's 15,500 pushes
    a second became 4,000.
    """

    def __init__(self, client: "Redis", keys: Keys, homes: Sequence[Home], bell: Bell, clock: Clock) -> None:
        self._client, self._bell, self._clock = client, bell, clock
        self._channels = [Channel(client) for _ in homes]
        self._ids: list[int | None] = [None] * len(homes)
        self._requests = [command("BLMOVE", keys.queue(home.queue), home.key, "RIGHT", "LEFT", BLOCK) for home in homes]
        self._queues = [keys.queue(home.queue) for home in homes]
        self._question: tuple[Sequence[int], bytes] = ((), b"")
        self.out: set[int] = set()  # queues, by number, that are waited for now
        self._readable: set[int] = set()  # of these, where something was seen to lie
        self.over = 0.0  # monotonic; until then what was cut off may go on in Redis

    def ask(self, indexes: Iterable[int]) -> None:
        """Wait for these queues too."""
        import redis

        for index in indexes:
            if index in self.out:
                continue
            channel = self._channels[index]
            if not channel.open:
                self._ids[index] = None
                try:
                    self._ids[index] = int(channel.call(command("CLIENT", "ID")))
                except redis.ResponseError as error:
                    log.info(f"CLIENT ID: {error}; a stop may take a second longer")
            channel.send(self._requests[index])
            self.out.add(index)

    def poll(self, seconds: float) -> bool:
        """Until something can be read, the bell rings, or time is up; whether it rang.

        One question to the kernel for all: asking each connection by itself took longer, of forty, than its job.
        """
        bell = self._bell.fileno()
        seen = self._seen(seconds, [] if self._bell.gone else [bell])
        if bell in seen:
            self._bell.silence()
        return bell in seen

    def _seen(self, seconds: float, others: Sequence[int] = ()) -> set[int]:
        """Descriptors on which something lies."""
        poll = select.poll()
        for number in others:
            poll.register(number, select.POLLIN)
        self._readable = {index for index in self.out if not self._channels[index].open}
        places = {self._channels[index].fileno(): index for index in self.out - self._readable}
        for number in places:
            poll.register(number, select.POLLIN)
        seen = {number for number, _ in poll.poll(0 if self._readable else seconds * 1000)}
        self._readable.update(places[number] for number in seen.intersection(places))
        return seen

    def peek(self) -> None:
        """As ``poll``, without waiting."""
        self._seen(0)

    def question(self, indexes: Sequence[int]) -> bytes:
        """A request for how many of these queues have a job: one command, however many they are."""
        if self._question[0] != indexes:
            self._question = (indexes, command("EXISTS", *[self._queues[index] for index in indexes]))
        return self._question[1]

    def collect(self) -> list[tuple[int, Any]]:
        """What was seen to lie there: a queue's number with a payload, or None where its time was up, or the refusal.

        Raises:
            redis.exceptions.RedisError: a connection is gone.
        """
        import redis

        found: list[tuple[int, Any]] = []
        for index in self._readable & self.out:
            channel = self._channels[index]
            if not channel.ready():
                continue  # TLS says more than replies
            try:
                reply = channel.read()
            except redis.ResponseError as error:
                if not channel.open:
                    raise
                reply = error
            self.out.discard(index)
            found.append((index, reply))
        self._readable = set()
        return found

    def unblock(self) -> None:
        """Let Redis end the waits; their replies are still to be read.

        Closing the connection instead would leave a wait in Redis that may still move a job, to nobody who reads.
        """
        for index in self.out:
            if (number := self._ids[index]) is not None:
                self._client.client_unblock(number)

    def hang_up(self) -> None:
        """Cut them off."""
        self.over = self._clock.monotonic() + BLOCK
        self.out.clear()
        self.close()

    def close(self) -> None:
        """Disconnect."""
        for channel in self._channels:
            channel.close()
