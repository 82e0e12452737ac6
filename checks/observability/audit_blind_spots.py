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
from kiqdoctor.doctor.facts.engine import Coverage


@check("OBS002", severity=Severity.INFO)
def audit_blind_spots(coverage: Coverage) -> Iterator[Verdict]:
    if not coverage.gaps and not coverage.partial:
        yield Evidence("facts read", str(coverage.read))
        return
    evidence = [Evidence(gap.fact, f"{gap.reason} ({', '.join(gap.checks)})", gap.unlock) for gap in coverage.gaps]
    evidence += [Evidence("left out", text) for text in coverage.partial]
    unlocks = list(dict.fromkeys(gap.unlock for gap in coverage.gaps if gap.unlock))
    blind = sorted({one for gap in coverage.gaps for one in gap.checks})
    title = f"{counted(len(coverage.gaps), 'fact')} could not be read, and {len(coverage.partial)} only in part"
    yield Finding(
        "audit",
        f"{title}; checks concerned: {', '.join(blind)}" if blind else title,
        f"To see them: {'; '.join(unlocks)}." if unlocks else "Read the reasons: no permission would settle them.",
        tuple(evidence),
    )
