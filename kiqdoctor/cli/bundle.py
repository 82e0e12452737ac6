"""``kiqdoctor bundle``: one redacted archive of an examination, fit for a public issue."""

import io
import json
import platform
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import click

from kiqdoctor import saving
from kiqdoctor.cli.words import options as words
from kiqdoctor.cli.words.configured import Configured
from kiqdoctor.cli.words.formats import rendered
from kiqdoctor.doctor.recording import Recording, dump
from kiqdoctor.doctor.snapshot import Snapshot
from kiqdoctor.examining.reporting import examined
from kiqdoctor.text import clean
from kiqdoctor.version import __version__

LONGEST: Final = 400  # characters of a line of INFO


@click.command("bundle", cls=Configured)
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@words.examination
def command(file: Path, **rest: Any) -> int:
    """Write one redacted archive of an examination to FILE (.tar.gz), and list what it holds before.

    It holds versions, the report, the recording (with the configuration that was read) and INFO, and with --deep a dump
    of the threads of each worker on this host; masked as they are in recordings, and arguments of jobs never.
    """
    asked = replace(words.read(rest), fail_on=None, show_args=False)
    report, seen = examined(asked)
    recording = Recording(seen, report.target, report.started_at, __version__, report.cost)
    held = {
        "versions.txt": _versions().encode(),
        "report.json": rendered(report, "json").encode(),
        "report.txt": rendered(report, "text").encode(),
        "recording.json": dump(recording),
        "info.txt": _info(seen).encode(),
        **_dumps(seen),
    }
    for name, content in held.items():
        click.echo(f"{name}  {len(content)} bytes")
    try:
        saving.save(file, _archive(held), private=True)
    except OSError as error:
        raise click.UsageError(f"cannot write {clean(str(file))}: {error.strerror}") from None
    return 0


def _versions() -> str:
    return f"kiqdoctor {__version__}\npython {platform.python_version()}\nsystem {platform.platform()}\n"


def _info(seen: Snapshot) -> str:
    from kiqdoctor.doctor.facts.redis import Server

    server = seen.get(Server)
    if not isinstance(server, Server):
        return "INFO was not read\n"
    return "".join(clean(f"{name}:{value}", LONGEST) + "\n" for name, value in sorted(server.info.items()))


def _dumps(seen: Snapshot) -> dict[str, bytes]:
    """What the threads of this host's workers did, where they were looked at (--deep)."""
    from kiqdoctor.doctor.facts.threads import ThreadLooks
    from kiqdoctor.examining import dumped
    from kiqdoctor.examining.looking import judged

    found = seen.get(ThreadLooks)
    every = found.all if isinstance(found, ThreadLooks) else ()
    return {
        f"dump-{one.pid}.json": json.dumps(dumped.document(str(one.pid), judged(one.looks)), indent=2).encode()
        for one in every
        if one.looks
    }


def _archive(held: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, content in held.items():
            entry = tarfile.TarInfo(f"kiqdoctor-bundle/{name}")
            entry.size, entry.mode = len(content), 0o600
            archive.addfile(entry, io.BytesIO(content))
    return out.getvalue()
