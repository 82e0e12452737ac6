"""What an examination was asked for, as one frozen record: the same for every command, top, serve and tests."""

from dataclasses import dataclass
from pathlib import Path

from kiqdoctor.doctor.verdict import Severity
from kiqdoctor.examining.configuration import NO_CONFIGURATION, Configuration


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for. ``path`` None: no application is examined."""

    path: Path | None = None
    redis: str | None = None
    namespace: str | None = None
    redis_limit: int | None = None
    python: Path | None = None
    checks: tuple[Path, ...] = ()
    embedded: bool = False
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    static: bool = False
    live: bool = False
    window_s: float = 0.0
    baseline_run: Path | None = None
    fail_on: Severity | None = Severity.HIGH
    require: tuple[str, ...] = ()
    show_args: bool = False
    baseline: Path | None = None
    write_baseline: Path | None = None
    allow_grow: bool = False
    new_only: bool = False
    record: Path | None = None
    replay: Path | None = None
    configured_redis: str | None = None  # of the configuration file: the environment goes before it
    configuration: Configuration = NO_CONFIGURATION
