"""``kiqdoctor fix``: remedies that are safe to automate; of source, as a patch."""

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from kiqdoctor.text import LONG, clean

if TYPE_CHECKING:
    from kiqdoctor.examining.fixing import Fixed

SCHEMA: Final = "kiqdoctor.fix/1"


@click.command("fix")
@click.argument("words", metavar="[CHECK] [PATH]", nargs=-1)
@click.option("--apply", "applied", is_flag=True, help="Carry the plan out; without it nothing is written anywhere.")
@click.option("--export", type=click.Path(path_type=Path), help="Where what is changed is written before.")
@click.option("--undo", type=click.Path(path_type=Path), help="Take back what a run did, from its export.")
@click.option("--redis", metavar="URL", help="redis://, rediss:// or unix:// address.")
@click.option("--namespace", metavar="NAME", help="The keys under NAME: instead of the unprefixed ones.")
@click.option("--for", "window_s", type=click.FloatRange(0.0, 86_400.0), default=0.0, help="Sample that many seconds.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option("--diff", is_flag=True, help="Print changes of source as a patch that `git apply` takes.")
def command(
    *,
    words: tuple[str, ...],
    applied: bool,
    export: Path | None,
    undo: Path | None,
    redis: str | None,
    namespace: str | None,
    window_s: float,
    form: str,
    diff: bool,
) -> int:
    """Print what could be mended by machine, or mend it; nothing is changed without --apply.

    Members of processes that do not exist (PRO002) are removed, jobs of the dead (PRO008, PRO014) put back into their
    queues, forgotten pauses (QUE003) ended, orphaned locks (QUE014) released, batches (QUE015) freed of what cannot
    come, retries (QUE017) spread, poison (QUE013) moved to the dead. Where the check is named: leftovers of other queue
    systems (NSP004) deleted, a worker of an older deploy on this host (PRO003) quieted and ended when it is idle. What
    will be changed is exported before, and --undo FILE puts it back.

    With --diff: a patch of the application's source, for `git apply`. Enqueues within a transaction of Django's wait
    for its commit (COD001), imports of the standard library leave jobs (COD003), network calls get a time-out (COD010).

    Exit status 0: there is nothing to do, or all is done and the doctor agrees. 1: steps are planned, or one stopped
    or the finding is still there; with --diff, the patch was printed. 3: could not look, be it for one of the checks.
    """
    if diff:
        return _diff(words)
    from kiqdoctor.examining.asked import Asked
    from kiqdoctor.examining.fixing import CHECKS, fix
    from kiqdoctor.examining.fixing import undo as take_back

    chosen = tuple(_id(word, CHECKS) for word in words) or CHECKS
    name = (namespace or "").rstrip(":") or None
    asked = Asked(redis=redis, namespace=name, live=True, select=chosen, window_s=window_s)
    if undo is not None:
        found = take_back(undo, asked)
    else:
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        file = export or Path(f"kiqdoctor-fix-{stamp}.jsonl")
        found = fix(asked, apply=applied, export=file, named=bool(words))
    _show(found, form)
    return found.status


def _show(found: "Fixed", form: str) -> None:
    rows = [
        {
            "id": f"{one.step.check}-{number}",
            "check": one.step.check,
            "subject": clean(one.step.subject),
            "does": clean(one.step.does, LONG),
            "risk": one.step.risk,
            "undo": clean(one.step.undo),
            "state": one.state,
            "reason": clean(one.why) or None,
        }
        for number, one in enumerate(found.steps, 1)
    ]
    if form == "json":
        path = None if found.export is None else str(found.export)
        head = {"schema": SCHEMA, "target": found.target, "steps": rows, "export": path, "applied": found.applied}
        click.echo(json.dumps({**head, "notes": list(found.notes)}, indent=2))
        return
    click.echo(f"target: {found.target}")
    for row in rows:
        click.echo(f"{row['id']} {row['state']}: {row['does']}" + (f" ({row['reason']})" if row["reason"] else ""))
        click.echo(f"  risk: {row['risk']}\n  undo: {row['undo']}")
    if not rows:
        click.echo("no step is planned" if found.notes else "nothing to do")
    if found.export is not None:
        click.echo(f"export: {clean(str(found.export))}")
    for note in found.notes:
        click.echo(f"kiqdoctor: {note}", err=True)


def _id(word: str, remedied: tuple[str, ...]) -> str:
    """Of a check that has a remedy, by its id or its name."""
    if word.upper() in remedied:
        return word.upper()
    from kiqdoctor.cli.words.named import named
    from kiqdoctor.examining.parts import every_check

    found = named(every_check(), word)
    if found.id not in remedied:
        raise click.UsageError(f"{found.id} has no remedy by machine; these have: {', '.join(remedied)}")
    return found.id


def _diff(words: tuple[str, ...]) -> int:
    """The patch of the application's source."""
    from kiqdoctor.clock import SYSTEM
    from kiqdoctor.examining.patches import CHECKS, patch

    checks = tuple(word.upper() for word in words if word.upper() in CHECKS)
    paths = [Path(word) for word in words if word.upper() not in CHECKS]
    if wrong := next((one for one in paths if not one.is_dir()), None):
        known = ", ".join(CHECKS)
        raise click.UsageError(
            f"{clean(str(wrong))!r} is neither a folder nor a check with changes of source ({known})"
        )
    found = patch(paths[0] if paths else Path(), checks or CHECKS, SYSTEM)
    click.echo(found.text, nl=False)
    for one in found.unshown:
        click.echo(
            f"kiqdoctor: {one.check}: {clean(one.path)}:{one.line}: left out, for a patch would show a secret, or"
            " letters that are not shown as they are",
            err=True,
        )
    click.echo(f"kiqdoctor: {len(found.places)} places; nothing was changed", err=True)
    return int(bool(found.text))
