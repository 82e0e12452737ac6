"""BRPOP, as Sidekiq's own open source fetches: what a killed process was running is lost."""

import math
import random
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

from kiqdoctor.runtime import log
from kiqdoctor.runtime.alike import Likewise
from kiqdoctor.runtime.capsule import Capsule
from kiqdoctor.runtime.endings import Ending
from kiqdoctor.runtime.fetching.leaving import Leaving
from kiqdoctor.runtime.fetching.work import Home, Work
from kiqdoctor.wire.keys import Keys

if TYPE_CHECKING:
    from redis import Redis

BLOCK: Final = 2.0  # seconds


class Always:
    """What BRPOP took is nobody else's, for ever."""

    good_until = math.inf


class BasicFetch:
    """Each thread waits for itself."""

    slowest = 0.0

    def __init__(self, client: "Redis", keys: Keys, capsule: Capsule, stopping: Callable[[], bool]) -> None:
        self._client, self._keys, self._capsule, self._stopping = client, keys, capsule, stopping
        self._leaving = Leaving(client)
        self._homes = {keys.queue(name).encode(): Home(name) for name in capsule.names}
        self._running: set[Work] = set()
        self.lease = Always()
        self.done: Callable[[Work], Any] = self._running.discard  # nothing is left to acknowledge

    def take(self, number: int) -> Work | None:  # noqa: ARG002 - threads are alike here
        """One job, waiting up to two seconds."""
        names = [self._keys.queue(name) for name in self._capsule.order(random.shuffle)]
        found: Any = self._client.brpop(names, timeout=BLOCK)
        if found is None:
            return None
        work = Work(found[1], self._homes[found[0]])
        if self._stopping() and self._returned(work):
            return None
        self._running.add(work)
        return work

    def works(self, number: int) -> Iterator[Work]:
        """One: nothing is fetched ahead."""
        if (work := self.take(number)) is not None:
            yield work

    def _returned(self, work: Work) -> bool:
        """Else it must run, though we are stopping: nobody else has it."""
        try:
            return self.give_back([work]) == 1
        except Exception as error:  # noqa: BLE001
            log.warn(f"while stopping: {type(error).__name__}: {error}")
            return False

    def next_at_hand(self, number: int) -> Work | None:  # noqa: ARG002 - as above
        """Nothing is fetched ahead."""
        return None

    def put_back(self, work: Work) -> None:
        """Into its queue."""
        self.give_back([work])

    def send_on(self, work: Work, ending: Ending | Likewise) -> bool:
        """Into retry or dead."""
        self._leaving.store(ending.steps)
        self._running.discard(work)
        return True

    def leave(self, work: Work, ending: Ending | Likewise) -> None:
        """At once: nothing else is asked here with which it could go."""
        self.send_on(work, ending)

    def give_back(self, works: Iterable[Work]) -> int:
        """RPUSH, so that they are next. Where the reply is lost they may be there twice: no list says who had them."""
        listed = list(works)
        with self._client.pipeline(transaction=False) as pipe:
            for work in listed:
                pipe.rpush(self._keys.queue(work.queue), work.payload)
            pipe.execute()
        self._running.difference_update(listed)
        return len(listed)

    def unbegun(self, work: Work) -> bool:  # noqa: ARG002 - nothing is marked here
        """Never."""
        return False

    def begin(self, work: Work, marked: bytes, owner: str) -> bool:  # noqa: ARG002 - no list holds it
        """Always; only we must know it, at a deadline."""
        work.payload = marked
        return True

    def alone(self, number: int) -> bool:  # noqa: ARG002 - no job is recovered here, so none is suspected
        """Always."""
        return True

    def together(self, number: int) -> None:
        """Nothing to end."""

    def tick(self) -> None:
        """Nothing waits."""

    def ahead(self) -> Iterable[Work]:
        """Nothing."""
        return ()

    def running(self) -> list[Work]:
        """What threads run."""
        return list(self._running.copy())

    def wake(self) -> None:
        """They look every two seconds."""

    def close(self) -> None:
        """Nothing is held."""
