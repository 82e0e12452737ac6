"""Composes the answer about one job: what is looked for, the reading, the checks that may explain it."""

from contextlib import ExitStack
from typing import Final

from kiqdoctor.clock import SYSTEM, Clock
from kiqdoctor.doctor.causes import link
from kiqdoctor.doctor.examine import examine
from kiqdoctor.doctor.facts.beside import Batches, Locks
from kiqdoctor.doctor.facts.fleet import Fleet, PrivateLists
from kiqdoctor.doctor.facts.queues import Queues
from kiqdoctor.doctor.facts.redis import ServerTime
from kiqdoctor.doctor.facts.tracing import Sought, Trace
from kiqdoctor.doctor.plan import plan
from kiqdoctor.doctor.why import CHECKS, Answer, answer, known
from kiqdoctor.examining.asked import Asked
from kiqdoctor.examining.examination import looked
from kiqdoctor.examining.parts import every_check, every_probe

ALSO: Final = (Trace, Fleet, Queues, PrivateLists, Locks, Batches, ServerTime)
MOST_BYTES: Final = 1536 * 1024 * 1024  # that Redis may send: a million jobs, read once


def why(sought: Sought, asked: Asked, clock: Clock = SYSTEM) -> Answer:
    """Where it is, why it has not run, when it will; the address and the namespace are those asked for."""
    checks = [one for one in every_check(()) if one.id in CHECKS and not one.origin]
    chosen = plan(checks, every_probe(), ALSO)
    with ExitStack() as stack:
        seen = stack.enter_context(looked(asked, chosen, clock, {Sought: sought}, MOST_BYTES))
    snapshot = seen.recording.snapshot
    return answer(sought, known(snapshot, clock.now()), link(examine(checks, snapshot, clock)))
