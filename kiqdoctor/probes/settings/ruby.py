"""Which Redis the Ruby side uses, by role: ``Sidekiq.configure_server`` and ``configure_client``."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from kiqdoctor.doctor.facts.settings import RedisSetting
from kiqdoctor.probes.settings.values import Options, Scope, address, known_as, options, value
from kiqdoctor.probes.tree.disk import UnreadableError
from kiqdoctor.probes.tree.errors import UnparsedError
from kiqdoctor.probes.tree.ruby import block, body, call, first, named, string, text, walk
from kiqdoctor.probes.tree.tree import Tree
from kiqdoctor.records import dataclass
from kiqdoctor.regex import regex
from kiqdoctor.wire.numbers import real, whole

ROLES = {"configure_server": "server", "configure_client": "client"}
TELLS = regex(rb"configure_server|configure_client|Sidekiq\s*\.\s*redis")
BRANCHES = {"then", "else", "elsif", "when", "if_modifier", "unless_modifier", "in_clause"}
ASKING = BRANCHES - {"then", "else"} | {"if", "unless", "case", "case_match"}
ELSEWHERE = regex(r"(?:^|; )(?:then|if_modifier) +Rails\.env\.(?:development|test|local)\? *;")
"""What is said for a developer's machine alone."""
LONGEST = 500  # characters of conditions that are compared
APART = "both roles are told under conditions, and not under the same"


@dataclass(frozen=True)
class Found:
    """One assignment, and under which conditions it stands ("": none)."""

    setting: RedisSetting
    branch: str


def settings(tree: Tree) -> tuple[list[RedisSetting], list[tuple[str, str]]]:
    """Every place that tells a role its Redis, and the files that could not be read."""
    roots, unreadable = _roots(tree)
    telling = [(path, root) for path, root in roots.items() if TELLS.search(root.text)]
    if not telling:
        return [], unreadable
    shared = Scope(_constants(roots.values()), _methods(roots.values()), environ=env_file(tree))
    found: list[RedisSetting] = []
    for path, root in telling:
        scope = Scope(shared.constants, shared.methods, shared.environ, {})
        found += _chosen(list(_in_file(root, scope, path)))
    return found, unreadable


def _roots(tree: Tree) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Syntax trees of the files that speak of Sidekiq, and of those that may hold what they name."""
    roots: dict[str, Any] = {}
    unreadable: list[tuple[str, str]] = []
    for file in tree.files(".rb", ".ru", "Rakefile"):
        try:
            source = file.content()
            if b"Sidekiq" in source or b"REDIS" in source.upper():
                roots[file.path] = file.ruby()
        except (UnreadableError, UnparsedError) as error:
            unreadable.append((file.path, str(error)))
    return roots, [one for one in unreadable if "sidekiq" in one[0].lower()]


def _constants(roots: Iterable[Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for root in roots:
        for node in walk(root):
            if node.type == "assignment":
                left = node.child_by_field_name("left")
                if left is not None and left.type == "constant":
                    found[text(left)] = node.child_by_field_name("right")
    return found


def _methods(roots: Iterable[Any]) -> dict[str, Any]:
    return {
        text(node.child_by_field_name("name")): node
        for root in roots
        for node in walk(root)
        if node.type in {"method", "singleton_method"}
    }


def _in_file(root: Any, scope: Scope, path: str) -> Iterator[Found]:
    """In the order of the source, so that a hash that is changed between two blocks is another hash."""
    for node, branch in _branched(root):
        if node.type == "assignment":
            _assign(node, scope)
        if role := _role(node):
            yield from _in_block(node, branch, scope, path, role)
        elif node.type == "assignment" and text(node.child_by_field_name("left")) == "Sidekiq.redis":
            for role in ("server", "client"):
                yield Found(_setting(node, scope, role, path), branch)


def _role(node: Any) -> str:
    """The role that a block configures; "" for anything else."""
    receiver, method, _ = call(node)
    configures = receiver in {"Sidekiq", "::Sidekiq"} and block(node) is not None
    return ROLES.get(method, "") if configures else ""


def _branched(root: Any, branch: str = "", *, outside: bool = False) -> Iterator[tuple[Any, str]]:
    """A node and all below it with the conditions that it stands under; ``outside`` of further roles' blocks.

    They are carried down: a syntax tree finds a node's parent from its root, each time anew.
    """
    stack = [(root, branch, "")]
    while stack:
        node, branch, asked = stack.pop()
        yield node, branch
        if outside and _role(node):
            continue
        below = f"{branch}{_branch(node, asked)}; "[:LONGEST] if node.type in BRANCHES else branch
        asks = _condition(node)
        inner = ("not " if node.type == "unless" else "") + asks if asks else asked
        stack.extend((child, below, inner) for child in reversed(node.children))


def _branch(node: Any, asked: str) -> str:
    """Which branch it is, of what is asked: the same words in two places are one condition."""
    return f"{node.type} {asked} {_condition(node)}"


def _condition(node: Any) -> str:
    asked = (node.child_by_field_name(name) for name in ("condition", "value", "pattern"))
    return " ".join(text(one) for one in asked if one is not None) if node.type in ASKING else ""


def _assign(node: Any, scope: Scope) -> None:
    left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
    if left is None or right is None:
        return
    if left.type == "identifier":
        scope.variables[text(left)] = options(right, scope) if right.type == "hash" else right
    elif left.type == "element_reference" and len(named(left)) > 1:
        name, key = text(named(left)[0]), string(named(left)[1])
        known = scope.variables.get(name)
        if isinstance(known, dict) and key:
            scope.variables[name] = {**known, key: value(right, scope)}


def _in_block(node: Any, branch: str, scope: Scope, path: str, role: str) -> Iterator[Found]:
    inside = block(node)
    parameters = named(inside.child_by_field_name("parameters")) if inside is not None else []
    parameter = text(first(parameters))
    for statement in body(inside):
        for inner, around in _branched(statement, branch, outside=True):
            if inner.type == "assignment":
                left = inner.child_by_field_name("left")
                if text(left) == f"{parameter}.redis":
                    yield Found(_setting(inner, scope, role, path), around)
                elif left is not None and left.type == "identifier":
                    _assign(inner, scope)


def _setting(node: Any, scope: Scope, role: str, path: str) -> RedisSetting:
    given = options(node.child_by_field_name("right"), scope)
    row, column = node.start_point
    url, database = _split(given, scope.environ)
    size = given.get("size") or given.get("pool_size")
    return RedisSetting(
        role=role,
        path=path,
        line=row + 1,
        column=column + 1,
        url=url,
        database=database,
        namespace=known_as(given.get("namespace"), scope.environ) or None,
        pool_size=whole(size),
        unresolved=given.get("?") or "",
        protocol=given.get("protocol") or "",
        timeout_s=_seconds(given.get("network_timeout") or given.get("timeout") or given.get("read_timeout")),
    )


def _seconds(said: str | None) -> float | None:
    return real(said, least=0) if said else None


def _split(given: Options, environ: Mapping[str, str]) -> tuple[str | None, str | None]:
    """URL and database, whichever way they are given; database 0 is what nobody says."""
    url, database = given.get("url"), given.get("db") or given.get("database")
    if url is None and given.get("host"):
        url = f"redis://{given['host']}:{given.get('port') or 6379}"
    if url:
        url, said = address(url, environ)
        database = database or said
    return url, database if database not in {"0", None} else None


def _chosen(found: list[Found]) -> list[RedisSetting]:
    """What one condition leaves to each role, its last assignment: the first such group, or one that differs."""
    found = [one for one in found if not ELSEWHERE.search(one.branch)]
    branches = dict.fromkeys([*(one.branch for one in found if one.branch), ""])
    groups = [_last(one.setting for one in found if one.branch in {"", branch}) for branch in branches]
    if len(_roles(one.setting for one in found)) > 1:
        groups = [group for group in groups if len(_roles(group)) > 1]
    if not groups:
        return [replace(one.setting, unresolved=one.setting.unresolved or APART) for one in found]
    return next((group for group in groups if _differs(group)), groups[0])


def _last(settings: Iterable[RedisSetting]) -> list[RedisSetting]:
    """Who is told twice has what was said last."""
    return [*{one.role: one for one in settings}.values()]


def _roles(settings: Iterable[RedisSetting]) -> set[str]:
    return {one.role for one in settings}


def _differs(group: list[RedisSetting]) -> bool:
    seen = {(one.url, one.database, one.namespace) for one in group}
    return len({one.role for one in group}) > 1 and len(seen) > 1


def env_file(tree: Tree) -> Mapping[str, str]:
    """Variables of .env files, the later file's over the earlier's."""
    found: dict[str, str] = {}
    for file in tree.named(".env", ".env.production", ".env.local"):
        try:
            lines = file.text().splitlines()
        except UnreadableError:
            continue
        pairs = (
            line.removeprefix("export ").partition("=") for line in lines if "=" in line and not line.startswith("#")
        )
        found |= {key.strip(): setting.strip().strip("'\"") for key, _, setting in pairs}
    return found
