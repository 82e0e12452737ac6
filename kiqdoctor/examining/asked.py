"""What an examination may be asked for: each thing once, as a field with its type, its default and its words."""

from dataclasses import field
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

from kiqdoctor.doctor.verdict import Severity
from kiqdoctor.examining.configuration import NO_CONFIGURATION, Configuration
from kiqdoctor.records import dataclass

Value = TypeVar("Value")
PathKind = Literal["file", "folder", "file or folder", "new file"]
"""What a path must be; a new file may be there already."""

FLAG: Final = "flag"  # the key of a field's metadata
NEVER: Final = "never"  # the word for a severity that is None


@dataclass(frozen=True, slots=True)
class Flag:
    """A field's words on the command line; its name, type and default are the field's own.

    ``judges``: it says what counts, not what is examined. ``excludes`` names fields that cannot be asked for with it.
    ``by_hand``: it names code to load, an interpreter, a Redis, what is examined in place of the real world, a place to
    write, or shows what is masked; a configuration that was merely found in the audited tree cannot set it.
    """

    help: str
    metavar: str = ""
    name: str = ""  # where it is not the field's
    least: float | None = None
    path: PathKind = "file"
    judges: bool = False
    excludes: tuple[str, ...] = ()
    by_hand: bool | None = None  # None: nobody said, which counts as True, and fails a test


def _flag(default: Value, text: str, metavar: str = "", **more: Any) -> Value:
    made: Value = field(default=default, metadata={FLAG: Flag(text, metavar, **more)})
    return made


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for. A field without a flag is found out otherwise; ``path`` None: no application is examined.

    ``named``: somebody named that path, and it is not merely where the command was started.
    """

    path: Path | None = None
    named: bool = False
    redis: str | None = _flag(None, "redis://, rediss:// or unix:// address to examine.", "URL", by_hand=True)
    namespace: str | None = _flag(
        None, "Examine the keys under NAME: instead of the unprefixed ones.", "NAME", by_hand=False
    )
    redis_limit: int | None = _flag(None, "The plan's client limit.", "N", least=1, by_hand=False)
    db_limit: int | None = _flag(None, "The database's connection limit.", "N", least=1, by_hand=False)
    python: Path | None = _flag(
        None, "The interpreter or environment to examine.", "PATH", path="file or folder", by_hand=True
    )
    checks: tuple[Path, ...] = _flag((), "A further folder of checks.", "DIR", path="folder", by_hand=True)
    embedded: bool = _flag(False, "Start the embedded Redis and examine that.", excludes=("redis",), by_hand=True)
    select: tuple[str, ...] = _flag((), "Only these: id, prefix, name or category; comma lists.", "S", by_hand=False)
    ignore: tuple[str, ...] = _flag((), "All but these.", "S", by_hand=False)
    static: bool = _flag(False, "Only what reads files.", excludes=("live",), by_hand=False)
    live: bool = _flag(False, "Only what reads Redis and processes.", by_hand=False)
    window_s: float = _flag(0.0, "Sample that long.", "SECONDS", name="for", least=0, by_hand=False)
    timeout_s: float = _flag(
        60.0,
        "End by then, beside --for; what was not read is unknown.",
        "SECONDS",
        name="timeout",
        least=0.1,
        by_hand=False,
    )
    baseline_run: Path | None = _flag(None, "An earlier recording counts as the first sample.", "FILE", by_hand=True)
    deep: bool = _flag(False, "Also what costs more or touches processes: thread dumps, all members.", by_hand=True)
    web: str | None = _flag(None, "Also examine a Sidekiq web UI there.", "URL", by_hand=True)
    web_user: str | None = _flag(None, "Basic auth for --web.", "NAME:PASSWORD", name="web-user", by_hand=True)
    web_post: bool = _flag(False, "Allow --web one POST that changes nothing.", name="web-post", by_hand=True)
    show_args: bool = _flag(False, "Show job arguments (masked by default).", by_hand=True)

    fail_on: Severity | None = _flag(Severity.HIGH, "Exit 1 at or above this severity.", judges=True, by_hand=False)
    require: tuple[str, ...] = _flag(
        (), "An unknown among these makes the exit status 3.", "S", judges=True, by_hand=False
    )
    baseline: Path | None = _flag(None, "Known findings do not count.", "FILE", judges=True, by_hand=False)
    write_baseline: Path | None = _flag(
        None,
        "Write what was found as a baseline, or remove from an existing one what healed.",
        "FILE",
        path="new file",
        judges=True,
        by_hand=True,
    )
    allow_grow: bool = _flag(
        False, "Let --write-baseline add new findings to an existing baseline.", judges=True, by_hand=False
    )
    new_only: bool = _flag(False, "Show people only what the baseline does not know.", judges=True, by_hand=False)
    record: Path | None = _flag(None, "Save what was examined.", "FILE", path="new file", judges=True, by_hand=True)
    replay: Path | None = _flag(
        None,
        "Judge a saved examination; with PATH, beside the application there.",
        "FILE",
        judges=True,
        by_hand=True,
    )

    shards: tuple[str, ...] = ()  # further Redis addresses, of which each is examined beside ``redis``
    configured_redis: str | None = None  # of the configuration file: the environment goes before it
    configuration: Configuration = NO_CONFIGURATION
