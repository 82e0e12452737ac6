"""Services of systemd that run workers, asked of systemctl, which only tells."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from kiqdoctor.doctor.facts.host import LocalProcesses, Unit, Units
from kiqdoctor.doctor.probe import AbsenceError, Lane, Read, RefusalError, probe
from kiqdoctor.doctor.tools import Host
from kiqdoctor.regex import regex
from kiqdoctor.wire.numbers import whole

PROGRAMS: Final = ("/usr/bin/systemctl", "/bin/systemctl")
PROPERTIES: Final = (
    *("Id", "MainPID", "ExecMainPID", "ActiveState", "NRestarts", "Result", "ExecMainStatus", "ExecStart"),
    *("ExecMainStartTimestamp", "TimeoutStopUSec", "KillMode", "KillSignal", "LimitCORESoft"),
    "ControlGroup",
)
WORKER: Final = regex(
    r"(?:^|[\s/=;{'\"])(?:sidekiq|sidekiqswarm)(?=[\s;'\"]|$)|kiqdoctor(?:['\"]?\s+)work(?=[\s;'\"]|$)"
)
LONGEST: Final = 5.0  # seconds
SPAN: Final = regex(r"(?<![\d.])(\d{1,12}(?:\.\d{1,9})?)(us|ms|s|min|h|d|w)\b")
SECONDS: Final = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
RUNNING: Final = "/run/systemd/system"  # is there where systemd is process 1


@probe(Read("systemctl show *.service", "", "one call of some 50 ms, where systemd runs"), lane=Lane.HOST)
def units(host: Host, local: LocalProcesses) -> Units:
    """Those whose command names a worker, and those in whose group a worker runs."""
    del host
    if not Path(RUNNING).is_dir():
        raise AbsenceError("systemd does not run this host")
    program = next((one for one in PROGRAMS if Path(one).exists()), "")
    if not program:
        raise RefusalError("systemd runs this host, and there is no systemctl", "systemctl")
    return read_units(_shown(program), local)


def _shown(program: str) -> str:
    import subprocess

    words = [program, "show", "*.service", "--no-pager", *(f"--property={name}" for name in PROPERTIES)]
    environ = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
    try:
        done = subprocess.run(words, capture_output=True, timeout=LONGEST, check=False, env=environ)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RefusalError(f"systemctl did not answer: {error}", "a systemd that answers") from None
    if done.returncode:
        why = done.stderr.decode("utf-8", "replace").strip()[:200]
        raise RefusalError(f"systemctl failed: {why}", "root, or this user's permission to ask systemd")
    return done.stdout.decode("utf-8", "replace")


def read_units(text: str, local: LocalProcesses) -> Units:
    """What systemctl said: blocks of Name=value lines, an empty line between units."""
    blocks = [dict(line.split("=", 1) for line in block.splitlines() if "=" in line) for block in text.split("\n\n")]
    told = [(_unit(block), block.get("ExecStart", "")) for block in blocks if block.get("Id")]
    groups = {worker.cgroup for worker in local.all}
    return Units(tuple(unit for unit, command in told if WORKER.search(command) or any(map(unit.holds, groups))))


def _unit(told: Mapping[str, str]) -> Unit:
    main = whole(told.get("MainPID"))
    return Unit(
        name=told.get("Id", ""),
        pid=main or whole(told.get("ExecMainPID")) or None,
        running=bool(main),
        restarts=whole(told.get("NRestarts")),
        result=told.get("Result", ""),
        status=whole(told.get("ExecMainStatus")),
        since=_time(told.get("ExecMainStartTimestamp", "")),
        stop_s=_span(told.get("TimeoutStopUSec", "")),
        kill_mode=told.get("KillMode", ""),
        kill_signal=whole(told.get("KillSignal")),
        group=told.get("ControlGroup", ""),
        core_bytes=-1 if told.get("LimitCORESoft") == "infinity" else whole(told.get("LimitCORESoft")),
    )


def _span(text: str) -> float | None:
    """A span as systemd writes it: `1min 30s`, `infinity`."""
    if text == "infinity":
        return math.inf
    parts = SPAN.findall(text)
    return sum(float(number) * SECONDS[unit] for number, unit in parts) if parts else None


def _time(text: str) -> float | None:
    """`Fri 2026-11-27 00:56:37 UTC`."""
    try:
        return datetime.strptime(text, "%a %Y-%m-%d %H:%M:%S UTC").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None
