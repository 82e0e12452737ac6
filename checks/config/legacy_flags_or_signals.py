"""Workers are started or stopped in a way that their version no longer knows.

## Why it hurts
A flag that was taken out keeps the worker from starting at the first deploy after an upgrade. A signal that means
nothing any more does nothing, or ends the process: it is never quiet, and its jobs are cut off.

In the log: `invalid option: -d`; for a signal no line, or none after it.

## How it is found
Formula: fails if a worker's command has -d, -L or -P, or a script calls sidekiqctl, or sends USR1 to quiet, from
Sidekiq 6 on; if `-q a,b` names a second queue where a weight belongs; or if a script sends INFO, which Linux lacks

Commands are read from every deployment file, and the scripts that they call are followed; the version is the lock
file's. So are the hooks that Kubernetes and compose run before they end a worker. A guard on the version in the same
file is not looked for.

## When it is wrong
The script is for another program that takes USR1.

## Confirm by hand
`sidekiq --help` of the locked version.

## How to fix
Let a supervisor (systemd, the container) daemonise and log; quiet by TSTP, stop by TERM; write `-q a -q b`.

Risk: none.

Undo: the old line.

## Unknown when
Sidekiq's version is not known.

## Source
Sidekiq's upgrade notes to 6.0 (daemonising, logfile, pidfile, sidekiqctl, USR1), its changes at 2.17.2 and 8.1.4.
"""

from collections.abc import Iterator

from packaging.version import Version

from kiqdoctor.doctor import Evidence, Finding, Location, Missing, Unknown, Verdict, check
from kiqdoctor.doctor.facts.config import Scripts, WorkerCommand, WorkerSettings
from kiqdoctor.doctor.facts.packages import Packages
from kiqdoctor.doctor.verdict import Severity
from kiqdoctor.doctor.versions import version_of

GONE = {"-d": "daemonising", "--daemon": "daemonising", "-L": "a logfile", "--logfile": "a logfile"}
GONE |= {"-P": "a pidfile", "--pidfile": "a pidfile"}
FIXES = {
    "sidekiqctl": "Send TSTP to quiet and TERM to stop, by your supervisor.",
    "USR1": "Send TSTP to quiet.",
    "INFO": "Send TTIN for a thread dump.",
}


@check("CFG002", severity=Severity.MEDIUM)
def legacy_flags_or_signals(
    workers: WorkerSettings | Missing, scripts: Scripts, packages: Packages | Missing
) -> Iterator[Verdict]:
    version = _version(packages)
    commands = workers.commands if isinstance(workers, WorkerSettings) else ()
    for command in commands:
        if command.program.startswith("sidekiq"):
            yield from _flags(command, version)
            yield from _queues(command)
            for word, path, at in command.hooked:
                yield from _line(path, at, word, version)
    read = {command.path for command in commands}
    for line in scripts.all:
        if line.word in FIXES:
            yield from _line(line.path, line.line, line.word, version)
        elif line.word in GONE and line.path not in read:
            yield from _flag(line.path, line.line, line.word, version)
    yield Evidence("commands that start workers", str(len(commands)))
    yield Evidence("scripts looked at", str(scripts.files))


def _version(packages: Packages | Missing) -> Version | None:
    return version_of(packages.version_of("ruby", "sidekiq")) if isinstance(packages, Packages) else None


def _flags(command: WorkerCommand, version: Version | None) -> Iterator[Verdict]:
    for word in dict.fromkeys(word.partition("=")[0] for word in command.words):
        if word in GONE:
            yield from _flag(command.path, command.line, word, version)


def _flag(path: str, line: int, word: str, version: Version | None) -> Iterator[Verdict]:
    if version is None:
        yield Unknown(f"{path} starts Sidekiq with {word}, which 6.0 took out; its version is not known")
    elif version >= Version("6"):
        title = f"{path} starts Sidekiq {version} with {word}: {GONE[word]} was taken out in 6.0"
        yield _finding(path, line, title, f"Take {word} out; a supervisor does that.", word)


def _queues(command: WorkerCommand) -> Iterator[Verdict]:
    for name, value in command.options:
        first, separator, rest = value.partition(",")
        if name == "queue" and separator and rest and not rest.isdecimal() and "$" not in value and "{" not in value:
            title = (
                f"{command.path} takes `-q {value}` for a list: Sidekiq reads {first} with a weight, and nothing more"
            )
            fix = "Write " + " ".join(f"-q {one}" for one in value.split(",")) + "."
            yield _finding(command.path, command.line, title, fix, f"q:{value}")


def _line(path: str, line: int, word: str, version: Version | None) -> Iterator[Verdict]:
    if word != "INFO" and version is None:
        yield Unknown(f"{path}:{line} uses {word}, which 6.0 took out; Sidekiq's version is not known")
    elif word == "INFO":
        yield _finding(
            path, line, f"{path} sends INFO to Sidekiq, a signal that Linux does not have", FIXES[word], word
        )
    elif version is not None and version >= Version("6"):
        what = "calls sidekiqctl" if word == "sidekiqctl" else f"sends {word} to Sidekiq"
        milder = Severity.LOW if path.rpartition("/")[2] == word else None  # a binstub, which nobody may call
        yield _finding(path, line, f"{path} {what}, which Sidekiq {version} no longer knows", FIXES[word], word, milder)


def _finding(path: str, line: int, title: str, fix: str, key: str, milder: Severity | None = None) -> Finding:
    evidence = (Evidence("line", f"{path}:{line}"),)
    return Finding(f"file:{path}", title, fix, evidence, milder, location=Location(path, line), key=key)
