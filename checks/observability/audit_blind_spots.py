"""What this examination could not see.

## Why it hurts
A question that could not be asked looks like health to whoever only counts findings.

In the log: nothing, in no worker's; the server's own `ACL LOG` shows each command that it refused the doctor.

## How it is found
Formula: fails if any fact is refused or partial; severity info, always

Every fact that was refused is listed with its reason, the checks that went without it, and the least permission,
option or package that would settle it; samples and byte budgets that left something out are listed too.

## When it is wrong
Never: it reports on the doctor itself.

## Confirm by hand
`kiqdoctor check --plan` prints every read, `kiqdoctor acl` the smallest ACL rule that allows them all.

## How to fix
Grant what is listed, or accept the gap knowingly: select the checks that can be judged.

Risk: each permission lets the doctor's user read more; none of those listed lets it write.

Undo: `ACL SETUSER NAME -COMMAND` for what was granted.

## Unknown when
Never.

## Source
The engine's own record of what was refused.
"""

from collections.abc import Iterator

from kiqdoctor.doctor import Evidence, Finding, Severity, Verdict, check
from kiqdoctor.doctor.counting import counted
from kiqdoctor.doctor.facts.engine import Coverage, Gap

SHOWN = 8  # checks in the title


@check("OBS002", severity=Severity.INFO)
def audit_blind_spots(coverage: Coverage) -> Iterator[Verdict]:
    if not coverage.gaps and not coverage.partial:
        yield Evidence("facts read", str(coverage.read))
        return
    alike: dict[tuple[str, str], list[Gap]] = {}
    for gap in coverage.gaps:
        alike.setdefault((gap.reason, gap.unlock), []).append(gap)
    evidence = [_told(gaps) for gaps in alike.values()]
    evidence += [Evidence("left out", text) for text in coverage.partial]
    unlocks = list(dict.fromkeys(gap.unlock for gap in coverage.gaps if gap.unlock))
    blind = sorted({one for gap in coverage.gaps for one in gap.checks})
    title = f"{counted(len(coverage.gaps), 'fact')} could not be read"
    title += f", and {len(coverage.partial)} only in part" if coverage.partial else ""
    yield Finding(
        "audit",
        f"{title}; {counted(len(blind), 'check')} concerned: {_some(blind)}" if blind else title,
        f"To see them: {'; '.join(unlocks)}." if unlocks else "Read the reasons: no permission would settle them.",
        tuple(evidence),
    )


def _told(gaps: list[Gap]) -> Evidence:
    """Facts that were refused for one reason, and the checks that went without."""
    checks = sorted({one for gap in gaps for one in gap.checks})
    facts = [gap.fact for gap in gaps]
    label, which = (facts[0], "") if len(facts) == 1 else (f"{len(facts)} facts", f": {', '.join(facts)}")
    return Evidence(label, f"{gaps[0].reason}{which} ({', '.join(checks)})", gaps[0].unlock)


def _some(names: list[str]) -> str:
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")
