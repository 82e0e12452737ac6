"""Comments that ask the doctor to be silent about what stands beside them."""

import msgspec


class Ignore(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One such comment: ``checks`` as written, by id or name; ``lines``: those that it speaks of, its own too."""

    path: str
    line: int
    column: int
    checks: tuple[str, ...]
    reason: str
    lines: tuple[int, ...]


class Ignores(msgspec.Struct, frozen=True, omit_defaults=True):
    """All of them; ``partial`` says what was left out."""

    all: tuple[Ignore, ...] = ()
    partial: str = ""
