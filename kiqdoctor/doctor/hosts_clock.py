"""Whose clock the stamps of payloads and beats go by: the hosts', for which Redis' own stands where it is right."""

from dataclasses import replace

from kiqdoctor.doctor.facts.fleet import Fleet
from kiqdoctor.doctor.facts.redis import ServerTime
from kiqdoctor.doctor.snapshot import Missing


def by_hosts(clock: ServerTime, fleet: Fleet | Missing) -> ServerTime | None:
    """The same with the hosts' time as its ``now``; None where Redis' and ours differ, and no beat tells whose."""
    if not clock.apart:
        return clock
    if not isinstance(fleet, Fleet) or fleet.by_ours is None:
        return None
    return replace(clock, now=clock.local_now) if fleet.by_ours else clock


def untold(clock: ServerTime) -> str:
    """Why an age is not known."""
    way = "ahead of" if clock.ahead_s > 0 else "behind"
    return f"Redis' clock is {abs(clock.ahead_s):.0f} s {way} ours, and no beat tells which of them is right (RED011)"


AGREE = "clocks that agree"
