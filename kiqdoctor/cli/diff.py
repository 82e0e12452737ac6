"""``kiqdoctor diff``: what is new, healed or persisting between two reports or recordings."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from kiqdoctor.cli.words import options as words
from kiqdoctor.cli.words.configured import Configured
from kiqdoctor.cli.words.output import write
from kiqdoctor.doctor import recording
from kiqdoctor.doctor.difference import ReportError, Side, compare, side
from kiqdoctor.doctor.verdict import Severity
from kiqdoctor.examining.asked import Asked
from kiqdoctor.examining.reporting import examination
from kiqdoctor.reading import whole

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command("diff", cls=Configured)
@click.argument("old", type=_FILE)
@click.argument("new", type=_FILE)
@click.option("--format", "shape", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option("--output", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path), help="Write it there.")
@click.option(
    "--fail-on",
    type=click.Choice([*(severity.value for severity in Severity), "never"]),
    default="high",
    show_default=True,
    help="Exit 1 where something new is at or above this severity.",
)
@click.option("--checks", metavar="DIR", multiple=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@words.configuration
def command(old: Path, new: Path, *, shape: str, output: Path | None, fail_on: str, **rest: Any) -> int:
    """Show what changed from OLD to NEW: JSON reports, or recordings, which are judged anew by the same rules."""
    from kiqdoctor.render import diff

    asked = Asked(checks=tuple(rest["checks"]), configuration=rest["configuration"])
    found = compare(_side(old, asked), _side(new, asked))
    status = int(found.failing(None if fail_on == "never" else Severity(fail_on)))
    rendered = {"text": diff.text, "json": diff.document}[shape]
    write(rendered(found, (str(old), str(new)), status), output)
    return status


def _side(file: Path, asked: Asked) -> Side:
    """A report as it is, a recording as what its facts come to now."""
    import msgspec

    from kiqdoctor.render.formats import json
    from kiqdoctor.render.words import stamp

    try:
        document = msgspec.json.decode(whole(file))
        if isinstance(document, dict) and str(document.get("schema")).startswith(recording.FAMILY):
            judged = side(json.document(examination(replace(asked, replay=file, fail_on=None))))
            return replace(judged, started_at=stamp(float(document["recorded_at"])))
        return side(document)
    except OSError as error:
        raise click.UsageError(f"cannot read {file}: {error.strerror}") from None
    except (msgspec.DecodeError, ValueError, RecursionError) as error:  # ValueError: letters that are not UTF-8
        raise click.UsageError(f"{file}: it is not JSON: {' '.join(str(error).split())}") from None
    except ReportError as error:
        raise click.UsageError(f"{file}: {error}") from None
