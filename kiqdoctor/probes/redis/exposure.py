"""Whether somebody without a password gets into the server."""

from kiqdoctor.doctor.facts.redis import Exposure
from kiqdoctor.doctor.probe import Lane, Read, probe
from kiqdoctor.doctor.tools import Doorstep


@probe(
    Read("PING without a password", "", "O(1); where we gave a password, over a connection of its own"),
    lane=Lane.REDIS,
)
def exposure(doorstep: Doorstep) -> Exposure:
    """Our own connection tells it where it gave no password; else another one is opened, pings and goes."""
    opened, answer = doorstep.knock()
    return Exposure(doorstep.peer, doorstep.encrypted, opened, answer)
