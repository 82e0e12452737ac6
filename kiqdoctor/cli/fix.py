"""``kiqdoctor fix``: remedies that are safe to automate; of source, as a patch."""

from pathlib import Path

import click

from kiqdoctor.text import clean


@click.command("fix")
@click.argument("words", metavar="[CHECK] [PATH]", nargs=-1)
@click.option("--diff", is_flag=True, help="Print changes of source as a patch that `git apply` takes.")
def command(*, words: tuple[str, ...], diff: bool) -> int:
    """Print what could be mended by machine; nothing is changed.

    With --diff: a patch of the application's source, for `git apply`. Enqueues within a transaction of Django's wait
    for its commit (COD001), imports of the standard library leave jobs (COD003), network calls get a time-out (COD010).

    Exit status 0: there is nothing to do. 1: the patch was printed.
    """
    from kiqdoctor.clock import SYSTEM
    from kiqdoctor.examining.patches import CHECKS, patch

    if not diff:
        raise click.UsageError("only changes of source can be printed so far: kiqdoctor fix --diff [CHECK] [PATH]")
    checks = tuple(word.upper() for word in words if word.upper() in CHECKS)
    paths = [Path(word) for word in words if word.upper() not in CHECKS]
    if wrong := next((one for one in paths if not one.is_dir()), None):
        known = ", ".join(CHECKS)
        raise click.UsageError(
            f"{clean(str(wrong))!r} is neither a folder nor a check with changes of source ({known})"
        )
    found = patch(paths[0] if paths else Path(), checks or CHECKS, SYSTEM)
    click.echo(found.text, nl=False)
    click.echo(f"kiqdoctor: {len(found.places)} places; nothing was changed", err=True)
    return int(bool(found.text))
