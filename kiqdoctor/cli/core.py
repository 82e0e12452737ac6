"""``kiqdoctor core``: what a core file tells of a crash, with or without a debugger."""

import json
from contextlib import ExitStack
from pathlib import Path

import click

from kiqdoctor.text import LONG, clean

PID_DIGITS = 10


@click.command("core")
@click.argument("file", metavar="FILE")
@click.option(
    "--root", type=click.Path(exists=True, file_okay=False, path_type=Path), default=Path("/"), metavar="DIR",
    help="Where the crashed process's files are: an unpacked image, a chroot.",
)  # fmt: skip
@click.option(
    "--log", type=click.Path(exists=True, path_type=Path), help="What it wrote: Ruby's [BUG] report has its stack."
)
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
def command(*, file: str, root: Path, log: Path | None, form: str) -> int:
    """Say of a crashed worker's core FILE which signal, in which library and package, and which job it ran.

    FILE may be the pid of a process that ended, where systemd-coredump keeps cores. Nothing of what is examined is
    executed, and no value of it is shown.

    Exit status 0: it was read; what could not be told is listed. 3: it could not be read. 2: there is no core file.
    """
    from kiqdoctor.examining import cored, cores
    from kiqdoctor.probes.native.core_file import BrokenError, NoCoreError

    path = Path(file)
    by_pid = file.isascii() and file.isdigit() and len(file) <= PID_DIGITS and not path.exists()
    with ExitStack() as stack:
        try:
            if by_pid:
                path = stack.enter_context(cores.kept(int(file)))
            found = cores.crashed(path, cores.tables(), root, log)
        except NoCoreError as error:
            click.echo(f"kiqdoctor: {clean(file)}: {clean(str(error), LONG)}", err=True)
            return 2
        except BrokenError as error:
            click.echo(f"kiqdoctor: {clean(file)}: {clean(str(error), LONG)}", err=True)
            return 3
    again = cores.next_time()
    click.echo(
        json.dumps(cored.document(found, again), indent=2) if form == "json" else "\n".join(cored.lines(found, again))
    )
    return 0
