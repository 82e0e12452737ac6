"""``manage.py kiqdoctor_work``: the worker of ``kiqdoctor work``, with the jobs of every installed application."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from django.core.management.base import BaseCommand  # type: ignore[import-untyped]

DJANGOS: Final = ("--settings", "--pythonpath")  # which Django has seen to before it calls us


class Command(BaseCommand):  # type: ignore[misc]
    """Becomes that worker: its options are those of ``kiqdoctor work``, and so are its signals."""

    help = "Run jobs: takes the options of `kiqdoctor work`, and imports jobs.py of every installed application."

    def run_from_argv(self, argv: list[str]) -> None:
        """In place of this process."""
        folders = [str(Path(argv[0]).resolve().parent), *sys.path[:1], os.environ.get("PYTHONPATH", "")]
        environ = {**os.environ, "PYTHONPATH": os.pathsep.join(dict.fromkeys(filter(None, folders)))}
        words = [sys.executable, "-m", "kiqdoctor", "work", *ours(argv[2:])]
        os.execve(sys.executable, words, environ)  # noqa: S606 - without a shell, on purpose


def ours(words: Sequence[str]) -> list[str]:
    """Without what is Django's."""
    found: list[str] = []
    skip = False
    for word in words:
        if skip or word.startswith(tuple(f"{one}=" for one in DJANGOS)):
            skip = False
        elif word in DJANGOS:
            skip = True
        else:
            found.append(word)
    return found
