"""Changes to Redis that say beforehand, byte for byte, what is there and what comes in its place. Pure."""

import base64
from collections.abc import Iterator, Sequence
from typing import Any, Final, Literal

import msgspec

from kiqdoctor.wire import codec

Kind = Literal["", "zset", "head", "tail", "before", "set", "hash", "string", "dump"]
"""Where it lies: ``head`` and ``tail`` are the ends of a list, ``before`` the place before one of them;
``dump`` is a whole key as DUMP writes it.
"""


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """One thing in one key. ``value``: a score, a field's value, a key's; of a list ``once``: not where it is already;
    of ``before`` that element.

    ``ends``: when its key ends by itself, in milliseconds since the epoch; "" for never.
    """

    kind: Kind = ""
    key: bytes = b""
    member: bytes = b""
    value: bytes = b""
    ends: str = ""


NOWHERE: Final = Entry()


class Edit(msgspec.Struct, frozen=True, array_like=True):
    """Something that is there, and where it goes; what is there no more is left out. Taken back the other way round."""

    source: Entry = NOWHERE
    to: Entry = NOWHERE


class Guard(msgspec.Struct, frozen=True, array_like=True):
    """What must still hold in the moment of the change: a key present or absent, a hash's field or size, a set's
    member or how many it has; ``whole``: each edit's source is there, and what it goes to is free, or nothing is done.
    """

    kind: Literal["present", "absent", "field", "size", "member", "count", "whole"]
    key: bytes = b""
    field: bytes = b""
    value: bytes = b""


class Change(msgspec.Struct, frozen=True):
    """What happens in one step of Redis, or not at all. ``final``: it cannot be taken back."""

    edits: tuple[Edit, ...]
    guards: tuple[Guard, ...] = ()
    final: bool = False


class Leaving(msgspec.Struct, frozen=True):
    """A worker of this host that is to end. ``started``: ticks since boot; ``identities``: what it registered as."""

    pid: int
    started: int
    identities: tuple[str, ...]
    title: str = ""
    cwd: str = ""


class Step(msgspec.Struct, frozen=True):
    """One remedy for one finding: what it does, its risk and its undo in words, and the changes themselves."""

    check: str
    subject: str
    does: str
    risk: str
    undo: str
    changes: tuple[Change, ...] = ()
    leaving: Leaving | None = None  # what no Redis takes back


def request(change: Change, number: int, *, undo: bool, kept: int, mark: str) -> tuple[list[bytes], list[bytes]]:
    """Keys and arguments of ``change.lua``. Taking back asks no guard: what was changed says whether it is still so."""
    keys: dict[bytes, int] = {mark.encode("utf-8", "surrogateescape"): 1}
    guards = () if undo else change.guards
    words = [str(number).encode(), b"undo" if undo else b"do", str(kept).encode(), str(len(guards)).encode()]
    for guard in guards:
        words += [guard.kind.encode(), _number(keys, guard.key), guard.field, guard.value]
    for edit in change.edits:
        for one in (edit.source, edit.to):
            words += [one.kind.encode(), _number(keys, one.key), one.member, one.value, one.ends.encode()]
    return list(keys), words


def _number(keys: dict[bytes, int], key: bytes) -> bytes:
    return str(keys.setdefault(key, len(keys) + 1) if key else 1).encode()


def chunks(edits: Sequence[Edit], most: int = 100, most_bytes: int = 1_000_000) -> Iterator[tuple[Edit, ...]]:
    """Parts that one request may hold."""
    chunk: list[Edit] = []
    size = 0
    for edit in edits:
        here = len(edit.source.member) + len(edit.to.member) + len(edit.source.value)
        if chunk and (len(chunk) >= most or size + here > most_bytes):
            yield tuple(chunk)
            chunk, size = [], 0
        chunk.append(edit)
        size += here
    if chunk:
        yield tuple(chunk)


WHOLE: Final = Guard("whole")

SCHEMA: Final = "kiqdoctor.fix-export/1"


class Export(msgspec.Struct, frozen=True):
    """What a run is about to do, as it is written before anything is changed."""

    token: str
    target: str
    namespace: str | None
    steps: tuple[Step, ...]


class _Head(msgspec.Struct, frozen=True):
    schema: str
    token: str
    target: str
    namespace: str | None = None


class ExportError(Exception):
    """It is no export of ours; one line."""


def _out(value: object) -> object:
    """Bytes as text where they are such, so that people can read what was exported."""
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return {"base64": base64.b64encode(value).decode()}
    if isinstance(value, list | tuple):
        return [_out(one) for one in value]
    if isinstance(value, dict):
        return {name: _out(one) for name, one in value.items()}
    return value


def _raw(value: object) -> bytes:
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, dict) and isinstance(value.get("base64"), str):
        return base64.b64decode(value["base64"], validate=True)
    raise ValueError("neither text nor base64")


def _step(found: Any) -> Step:
    """Of entries and guards, what stands between the first word and the last is bytes."""
    for change in found["changes"]:
        change["edits"] = [[_words(one) for one in edit] for edit in change["edits"]]
        change["guards"] = [_words(one) for one in change["guards"]]
    return codec.typed(found, Step, builtin_types=(bytes,))


def _words(entry: Any) -> list[object]:
    return [entry[0], *map(_raw, entry[1:4]), *entry[4:]]


def dump(export: Export) -> bytes:
    """Lines of JSON: the run, then each step."""
    head = _Head(SCHEMA, export.token, export.target, export.namespace)
    plain = [msgspec.to_builtins(one, builtin_types=(bytes,)) for one in (head, *export.steps)]
    return b"".join(msgspec.json.encode(_out(one)) + b"\n" for one in plain)


def load(raw: bytes) -> Export:
    """The same, read back.

    Raises:
        ExportError: it is none.
    """
    try:
        head, *rest = [msgspec.json.decode(line) for line in raw.splitlines() if line]
        first = codec.typed(head, _Head)
        steps = tuple(map(_step, rest))
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        raise ExportError(f"it is no export of kiqdoctor fix: {' '.join(str(error).split())[:200]}") from None
    if first.schema != SCHEMA:
        raise ExportError(f"it is no export of kiqdoctor fix, or of another version: its schema is {first.schema!r}")
    return Export(first.token, first.target, first.namespace, steps)
