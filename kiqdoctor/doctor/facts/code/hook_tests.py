"""The application's own tests of jobs that a commit hook enqueues."""

from enum import StrEnum

import msgspec


class Runs(StrEnum):
    """What tests do with commit hooks, as far as their source tells."""

    NEVER = "are in a transaction that is rolled back"
    RUN = "run commit hooks"
    NONE = "open no transaction"
    UNKNOWN = "have a base or fixtures that are not known"


class HookTest(msgspec.Struct, frozen=True, gc=False):
    """A class of tests, or a file's functions; ``names``: what it names of the jobs and of what enqueues them."""

    path: str
    line: int
    name: str
    names: tuple[str, ...]
    runs: Runs


class HookTests(msgspec.Struct, frozen=True, gc=False):
    """Those that name any; ``files``: how many files of tests in Python there are.

    ``ruby``: how many in Ruby; ``rolled_back``: none of those says that it runs without a transaction around it.
    """

    tests: tuple[HookTest, ...] = ()
    files: int = 0
    partial: str = ""
    ruby: int = 0
    rolled_back: bool = False
