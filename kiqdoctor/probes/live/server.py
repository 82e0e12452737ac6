"""INFO, for the view's numbers of the server itself."""

from collections.abc import Sequence
from typing import Any, ClassVar

from kiqdoctor.connection import Command
from kiqdoctor.doctor.facts.redis import Server
from kiqdoctor.doctor.snapshot import Snapshot
from kiqdoctor.probes.live.reader import LiveReader, must
from kiqdoctor.probes.redis.server import read_info
from kiqdoctor.text import decode


class ServerReader(LiveReader):
    """At each look."""

    fact: ClassVar[type] = Server

    def asks(self) -> Sequence[Command]:
        """INFO's default sections."""
        return [("INFO",)]

    def read(self, replies: Sequence[Any], now: float, seen: Snapshot) -> Server:
        """As the probe reads them."""
        del now, seen
        return read_info(decode(must(replies[0])))
