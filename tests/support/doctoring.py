"""Runs the doctor as its users do: the command line in a process of its own, its JSON read back."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SECRETS = ("KIQDOCTOR_REDIS_URL", "REDIS_URL", "REDIS_PROVIDER", "VIRTUAL_ENV", "CI")


@dataclass(frozen=True)
class Examination:
    """One run: exit status, both streams, the report where there was one."""

    status: int
    out: str
    err: str
    report: dict[str, Any]

    def result(self, check: str) -> dict[str, Any]:
        [found] = [one for one in self.report["results"] if one["check"] == check]
        return dict(found)

    def outcome(self, check: str) -> str:
        return str(self.result(check)["outcome"])

    def severities(self, check: str) -> list[str]:
        return [str(one["severity"]) for one in self.result(check)["findings"]]


def kiqdoctor(*words: str, cwd: Path | None = None, **environ: str) -> Examination:
    """`kiqdoctor words...`, with nothing of this machine's environment that names a Redis."""
    kept = {name: value for name, value in os.environ.items() if name not in SECRETS}
    done = subprocess.run(
        [sys.executable, "-m", "kiqdoctor", *words],
        capture_output=True,
        cwd=cwd or Path(__file__).parents[1] / "lab",
        env={**kept, **environ},
        timeout=120,
        check=False,
    )
    out, err = done.stdout.decode(), done.stderr.decode()
    assert "Traceback" not in out + err, err
    report = json.loads(out) if out.startswith("{") else {}
    return Examination(done.returncode, out, err, report)


def check(url: str, *words: str, **environ: str) -> Examination:
    """`kiqdoctor check --live` on this Redis."""
    return kiqdoctor("check", "--live", "--redis", url, "--format", "json", *words, cwd=None, **environ)
