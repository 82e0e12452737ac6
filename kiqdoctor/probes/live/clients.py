"""Every connection to the server but ours."""

from collections.abc import Sequence
from typing import Any, ClassVar

from kiqdoctor.doctor.facts.redis import Clients, Server
from kiqdoctor.doctor.snapshot import Snapshot
from kiqdoctor.probes.live.reader import LiveReader
from kiqdoctor.probes.redis import server


class ClientsReader(LiveReader):
    """While somebody looks: Redis builds the list while all others wait."""

    fact: ClassVar[type] = Clients
    every: ClassVar[float] = 5.0

    def read(self, replies: Sequence[Any], now: float, seen: Snapshot) -> object:
        """As the probe reads them."""
        del replies, now
        return server.clients.read(redis=self.redis, server=seen.get(Server))
