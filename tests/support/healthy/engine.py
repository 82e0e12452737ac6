"""One suppression, which holds."""

from kiqdoctor.doctor.facts.engine import Fate, Suppressed, Suppressions

SUPPRESSED = Suppressed(
    check="RED003",
    names="RED003:redis",
    reason="the plan grows next month",
    owner="team-queues",
    expires="2027-01-31",
    days_left=60.0,
    fate=Fate.HOLDS,
    matched=1,
    source="kiqdoctor.toml:3",
)
FACTS = (Suppressions((SUPPRESSED,)),)
