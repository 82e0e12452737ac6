"""Web servers: processes and threads that may push jobs, and whether they load the application before they fork."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Final

from kiqdoctor.doctor.facts.deployment import Start, WebConfig
from kiqdoctor.probes.deployment.amounts import Amount, of_value
from kiqdoctor.probes.deployment.chosen import Running
from kiqdoctor.probes.deployment.commands import Command, commands, environment_of
from kiqdoctor.probes.deployment.programs import Role
from kiqdoctor.probes.deployment.records import Record, ServerFile
from kiqdoctor.probes.deployment.shell import split
from kiqdoctor.probes.deployment.statements import Statements
from kiqdoctor.records import dataclass
from kiqdoctor.regex import regex

SERVERS: Final = ("puma", "unicorn", "gunicorn", "uwsgi")
INSTEAD: Final = (("puma", "unicorn"), ("gunicorn", "uwsgi"))  # who finds both files found one that was left behind
VARIABLES: Final[Mapping[str, tuple[str, str]]] = {
    "puma": ("WEB_CONCURRENCY", "PUMA_MAX_THREADS"),
    "gunicorn": ("WEB_CONCURRENCY", ""),
    "unicorn": ("", ""),
    "uwsgi": ("UWSGI_PROCESSES", "UWSGI_THREADS"),
}
"""Variables that say processes and threads where nothing else does."""
THREADS: Final[Mapping[str, int]] = {"puma": 5, "gunicorn": 1, "unicorn": 1, "uwsgi": 1}
"""What each takes where nothing says it."""
MORE: Final = "GUNICORN_CMD_ARGS"
GREENLETS: Final = 1000  # requests that gunicorn's gevent and eventlet workers serve at once where nothing says it
_COLON: Final = regex(r":(?![^{]{0,100}\})")


@dataclass(frozen=True)
class Server:
    """One server: its command, and the configuration that it takes."""

    command: Command
    environment: Mapping[str, str]
    file: ServerFile | None
    path: str
    line: int
    replicas: int = 1

    @property
    def program(self) -> str:
        """Its name."""
        return self.command.program

    @cached_property
    def processes(self) -> int | None:
        """Of one replica; None where that is computed."""
        said = self.command.amount("workers") or (self.file.processes if self.file else None)
        return (said or Amount(None, VARIABLES[self.program][0])).given(self.environment)

    @property
    def threads(self) -> int:
        """Of one process."""
        if self.command.option("kind") in {"gevent", "eventlet"}:
            return (self.command.amount("connections") or Amount(None)).given(self.environment) or GREENLETS
        asked = self.command.option("threads")
        most = of_value(_COLON.split(asked)[-1]) if asked else None
        said = most or (self.file.threads if self.file else None) or Amount(None, VARIABLES[self.program][1])
        return said.given(self.environment) or THREADS[self.program]

    def web(self) -> WebConfig:
        """What pushes jobs."""
        processes = self.replicas * (self.processes or 1)
        return WebConfig(self.path, self.line, processes, self.threads, self.program)

    def starts(self) -> Iterator[Start]:
        """What decides what its processes inherit."""
        if self.program == "uwsgi":
            yield from self._uwsgi()
            return
        preload = (self.path, self.line) if self.command.has("preload") else ("", 0)
        if not preload[1] and self.file is not None and self.file.preload:
            preload = (self.file.path, self.file.preload)
        if preload[1] and not self._in_one_process():
            yield Start("gunicorn:preload_app" if self.program == "gunicorn" else "preload", *preload, forks=True)

    def _in_one_process(self) -> bool:
        """Puma forks only where it is told a number of workers."""
        if self.program != "puma" or self.processes is not None:
            return self.program == "puma" and self.processes == 0
        return not (self.command.has("workers") or (self.file is not None and self.file.processes is not None))

    def _uwsgi(self) -> Iterator[Start]:
        lazy = self.command.has("lazy") or (self.file is not None and not self.file.preload)
        threads = self.command.has("own_threads") or self.command.has("threads")
        yield Start("uwsgi", self.path, self.line, forks=not lazy)
        if threads or (self.file is not None and self.file.own_threads):
            yield Start("uwsgi:enable-threads", self.path, self.line)


def server(one: Running, statements: Statements) -> Server:
    """The server that a command starts."""
    command = one.command
    known = environment_of(one.started.environment, command.environment)
    if command.program == "gunicorn":
        command = _with_more(command, known.get(MORE, ""))
    path = command.option("config") or next((word for word in command.arguments if word.endswith(".ini")), None)
    records: Sequence[Record] = (
        statements.configuration(command.program, path) if path else _by_convention(statements, command.program)
    )
    file = next((record for record in records if isinstance(record, ServerFile)), None)
    return Server(command, known, file, one.started.path, one.started.line, one.replicas or 1)


def unasked(statements: Statements) -> list[Server]:
    """Servers whose configuration is there, where no command tells which one runs."""
    found = [[(program, _by_convention(statements, program)) for program in programs] for programs in INSTEAD]
    chosen = [next(((program, files[0]) for program, files in ways if files), None) for ways in found]
    return [Server(Command(one[0], Role.WEB), {}, one[1], one[1].path, 1) for one in chosen if one is not None]


def _by_convention(statements: Statements, program: str) -> list[ServerFile]:
    return [said for kind, said in statements.said if kind.program == program and isinstance(said, ServerFile)]


def _with_more(command: Command, further: str) -> Command:
    """With the options of a variable, which the command line's own go before."""
    more = next(commands((command.program, *split(further))), command)
    return replace(command, options=(*more.options, *command.options)) if further else command
