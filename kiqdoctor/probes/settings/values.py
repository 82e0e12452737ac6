"""Ruby expressions as canonical texts: equal texts are equal values, whatever way they were written."""

from collections.abc import Iterator, Mapping
from dataclasses import field
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from kiqdoctor.probes.tree.ruby import block, body, call, environment, first, last, named, string, text, walk
from kiqdoctor.records import dataclass

DEEP = 20  # names that lead to names
SAME = frozenset({"presence", "freeze", "dup", "to_s", "strip", "itself"})
"""Methods that give back what they are asked of, or nothing."""


@dataclass
class Scope:
    """What names stand for: local variables of a file, constants and methods of the application, its env files."""

    constants: Mapping[str, Any] = field(default_factory=dict)
    methods: Mapping[str, Any] = field(default_factory=dict)
    environ: Mapping[str, str] = field(default_factory=dict)
    variables: dict[str, dict[str, str | None] | Any] = field(default_factory=dict)


Options = dict[str, str | None]
"""A hash's keys with canonical values; "?" holds what could not be followed."""


def options(node: Any, scope: Scope, depth: int = 0) -> Options:
    """The options that an expression for ``config.redis=`` amounts to."""
    if node is None or depth > DEEP:
        return {"?": "an expression that leads to itself"}
    if node.type in {"hash", "argument_list"}:
        return _hash(node, scope, depth)
    if node.type == "parenthesized_statements":
        return options(last(named(node)), scope, depth + 1)
    if node.type in {"identifier", "constant", "scope_resolution"}:
        return _name(text(node), scope, depth)
    if node.type == "call":
        return _call(node, scope, depth)
    return {"?": f"`{text(node)[:60]}` cannot be followed"}


def _hash(node: Any, scope: Scope, depth: int) -> Options:
    found: Options = {}
    for child in named(node):
        if child.type == "pair":
            key = string(child.child_by_field_name("key"))
            found[key or "?"] = value(child.child_by_field_name("value"), scope)
        elif child.type == "hash_splat_argument":
            found |= options(first(named(child)), scope, depth + 1)
    return found


def _name(name: str, scope: Scope, depth: int) -> Options:
    known = scope.variables.get(name)
    if isinstance(known, dict):
        return dict(known)
    node = known if known is not None else scope.constants.get(name.rpartition("::")[2])
    if node is not None:
        return options(node, scope, depth + 1)
    if name in scope.methods:
        return options(last(body(scope.methods[name])), scope, depth + 1)
    return {"url": f"name {name}"}


def _call(node: Any, scope: Scope, depth: int) -> Options:
    receiver, method, arguments = call(node)
    if method in {"merge", "merge!", "deep_merge"}:
        found = options(node.child_by_field_name("receiver"), scope, depth + 1)
        for argument in _hashes(node):
            found |= options(argument, scope, depth + 1)
        return found
    if method in {"freeze", "dup", "to_h", "compact", "symbolize_keys", "deep_symbolize_keys"}:
        return options(node.child_by_field_name("receiver"), scope, depth + 1)
    if not receiver and method in scope.methods and not arguments:
        return options(last(body(scope.methods[method])), scope, depth + 1)
    if method == "new" and receiver.lstrip(":") in {"ConnectionPool", "Redis", "Redis::Namespace", "RedisClient"}:
        return _built(node, scope)
    return (
        {"url": f"expression {' '.join(text(node).split())}"} if not block(node) else {"?": "a block that is computed"}
    )


def _hashes(node: Any) -> Iterator[Any]:
    """A call's arguments that are hashes, its keywords as one."""
    arguments = node.child_by_field_name("arguments")
    given = named(arguments)
    yield from (one for one in given if one.type != "pair")
    if any(one.type == "pair" for one in given):
        yield arguments


def _built(node: Any, scope: Scope) -> Options:
    """A pool, a client or a namespaced client, however they are nested."""
    found: Options = {}
    for inner in walk(node):
        receiver, method, arguments = call(inner)
        name = receiver.lstrip(":")
        if method == "new" and name in {"ConnectionPool", "Redis", "Redis::Namespace", "RedisClient"}:
            for argument in arguments:
                if argument.type == "pair":
                    key = string(argument.child_by_field_name("key"))
                    if key not in {"redis", None}:
                        found[key or "?"] = value(argument.child_by_field_name("value"), scope)
                elif (
                    argument.type in {"identifier", "constant", "hash_splat_argument", "hash"}
                    and name != "Redis::Namespace"
                ):
                    target = named(argument)[0] if argument.type == "hash_splat_argument" else argument
                    found |= options(target, scope, 1)
            if name == "Redis::Namespace" and arguments:
                found["namespace"] = value(arguments[0], scope)
    return found


def value(node: Any, scope: Scope, depth: int = 0) -> str | None:
    """A canonical text: a literal, ``ENV[NAME]``, or the expression itself; None for nil."""
    if node is None or node.type in {"nil", "false"}:
        return None
    if (literal := string(node)) is not None:
        return literal
    if depth < DEEP and (target := _meant(node, scope) or _within(node)) is not None:
        return value(target, scope, depth + 1)
    if name := environment(node):
        return _from_environment(name, scope.environ)
    return " ".join(text(node).split())


def _meant(node: Any, scope: Scope) -> Any:
    """The node that a name stands for; None where it is none, or nobody knows."""
    if node.type not in {"identifier", "constant", "scope_resolution"}:
        return None
    name = text(node)
    target = scope.variables.get(name) or scope.constants.get(name.rpartition("::")[2])
    if target is None and name in scope.methods:
        return last(body(scope.methods[name]))
    return None if isinstance(target, dict) else target


def _within(node: Any) -> Any:
    """What an expression is where that is there: ``ENV["URL"].presence || "redis://localhost"``; else None."""
    if node.type == "binary" and text(node.child_by_field_name("operator")) in {"||", "or"}:
        return node.child_by_field_name("left")
    receiver, method, arguments = call(node)
    return node.child_by_field_name("receiver") if receiver and method in SAME and not arguments else None


def _from_environment(name: str, environ: Mapping[str, str]) -> str:
    """The first variable of the env files with the same value: what they say is compared, and never shown."""
    return f"ENV[{_first(environ, environ[name]) if name in environ else name}]"


def known_as(literal: str | None, environ: Mapping[str, str]) -> str | None:
    """A literal by the name of the variable that holds the same, so that equal values stay equal texts."""
    return f"ENV[{name}]" if literal and (name := _first(environ, literal)) else literal


def address(url: str, environ: Mapping[str, str]) -> tuple[str, str | None]:
    """An address without secrets as where it leads and its database; of an env file's, the variable's name and that."""
    said = environ.get(url[4:-1], url) if url.startswith("ENV[") else url
    if "://" not in said or "#{" in said:
        return url, None
    place, database = _parted(said)
    name = next((one for one, other in environ.items() if "://" in other and _parted(other)[0] == place), None)
    return (f"ENV[{name}]" if name else place), database


def _first(environ: Mapping[str, str], said: str) -> str | None:
    return next((name for name, other in environ.items() if other == said), None)


def _parted(url: str) -> tuple[str, str | None]:
    plain = shown(url)
    head, _, tail = plain.rpartition("/")
    if tail.isdigit() and head.count("/") >= 2:  # noqa: PLR2004 - the scheme's own two
        return head.rstrip("/"), tail
    return plain.rstrip("/"), None


def shown(url: str) -> str:
    """A URL without user and password."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return url
    return urlunsplit((parts.scheme, host + port, parts.path, "", "")) if parts.scheme and host else url
