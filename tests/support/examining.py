"""Examinations in this process, of facts instead of a machine: the command line as its users type it, replayed."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from healthy import HEALTHY
from healthy.moment import NOW
from healthy.redis import SERVER

from kiqdoctor.cli import run
from kiqdoctor.doctor.facts.redis import Server
from kiqdoctor.doctor.recording import Recording, dump
from kiqdoctor.doctor.report import Cost, Target
from kiqdoctor.doctor.snapshot import Snapshot

CROWDED = HEALTHY.with_(Server({**SERVER.info, "connected_clients": "95"}))
"""RED002 finds that 95 of 100 client slots are taken; nothing else is ill."""


@dataclass(frozen=True)
class Ran:
    """Exit status and both streams."""

    status: int
    out: str
    err: str

    @property
    def report(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out)
        return found

    def result(self, check: str) -> dict[str, Any]:
        [found] = [one for one in self.report["results"] if one["check"] == check]
        return dict(found)

    def findings(self, check: str) -> list[dict[str, Any]]:
        return list(self.result(check)["findings"])


TARGET = Target("redis://redis-1:6379/0", None, None)


def recorded(snapshot: Snapshot, file: Path, at: float = NOW, target: Target = TARGET) -> Path:
    """A recording of these facts, made then (epoch seconds)."""
    first = {kind: replace(one, at=at + one.at) for kind, one in snapshot.readings.items()}
    later = {kind: tuple(replace(one, at=at + one.at) for one in more) for kind, more in snapshot.later.items()}
    whole = replace(snapshot, readings=first, later=later)
    file.write_bytes(dump(Recording(whole, target, at, "0.1.0", Cost())))
    return file


class Doctor:
    """`kiqdoctor words...` in a folder of its own, with nothing of this machine's environment."""

    def __init__(self, folder: Path, capture: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._capture = capture

    def __call__(self, *words: str, **environ: str) -> Ran:
        with _at(self.folder, environ):
            status = run(words)
        out, err = self._capture.readouterr()
        return Ran(status, out, err)

    def replay(self, *words: str, facts: Snapshot = CROWDED, **environ: str) -> Ran:
        """`kiqdoctor check --replay` of these facts, as JSON."""
        file = recorded(facts, self.folder / "facts.json")
        return self("check", "--replay", str(file), "--format", "json", *words, **environ)

    def write(self, text: str, name: str = "kiqdoctor.toml") -> Path:
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return file


@contextmanager
def _at(folder: Path, environ: dict[str, str]) -> Iterator[None]:
    here, before = Path.cwd(), dict(os.environ)
    os.chdir(folder)
    for name in [*os.environ]:
        if name.startswith(("KIQDOCTOR_", "REDIS_")):
            del os.environ[name]
    os.environ.update(environ)
    try:
        yield
    finally:
        os.chdir(here)
        os.environ.clear()
        os.environ.update(before)
