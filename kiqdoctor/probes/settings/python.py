"""Which Redis the Python side uses: ``kiqdoctor.configure(...)`` calls, and what worker commands say."""

import ast
from pathlib import PurePosixPath

from kiqdoctor.doctor.facts.settings import RedisSetting
from kiqdoctor.probes.settings.values import shown
from kiqdoctor.probes.tree.disk import UnreadableError
from kiqdoctor.probes.tree.errors import UnparsedError
from kiqdoctor.probes.tree.tree import Tree

WORKER_WORDS = ("worker", "jobs", "tasks")


def settings(tree: Tree) -> tuple[list[RedisSetting], list[tuple[str, str]]]:
    """Every call of ``configure``, a single one for both roles; and the files that may hold others."""
    found: list[tuple[str, ast.Call, ast.Module]] = []
    unreadable: list[tuple[str, str]] = []
    for file in tree.files(".py"):
        try:
            if b"kiqdoctor" in file.content():
                module = file.python()
                found += [(file.path, call, module) for call in _calls(module)]
        except (UnreadableError, UnparsedError) as error:
            unreadable.append((file.path, str(error)))
    return _by_role(found), unreadable if found else [one for one in unreadable if _speaks(tree, one[0])]


def _speaks(tree: Tree, path: str) -> bool:
    """Whether a file that was not parsed speaks of us, as far as it can be read."""
    file = tree.file(path)
    try:
        return file is not None and b"kiqdoctor" in file.content()
    except UnreadableError:
        return False


def _by_role(found: list[tuple[str, ast.Call, ast.Module]]) -> list[RedisSetting]:
    if len(found) == 1:
        [(path, call, tree)] = found
        return [_setting(path, call, tree, role) for role in ("server", "client")]
    return [_setting(path, call, tree, _role(path)) for path, call, tree in found]


def _calls(tree: ast.Module) -> list[ast.Call]:
    """Calls of kiqdoctor's configure, under whatever name it was imported."""
    names: set[str] = set()
    modules: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "kiqdoctor":
            names |= {alias.asname or alias.name for alias in node.names if alias.name == "configure"}
        elif isinstance(node, ast.Import):
            modules |= {alias.asname or alias.name for alias in node.names if alias.name == "kiqdoctor"}
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and (
            (isinstance(node.func, ast.Name) and node.func.id in names)
            or (
                isinstance(node.func, ast.Attribute)
                and node.func.attr == "configure"
                and isinstance(node.func.value, ast.Name)
                and node.func.value.id in modules
            )
        )
    ]


def _role(path: str) -> str:
    return "server" if any(word in PurePosixPath(path).name for word in WORKER_WORDS) else "client"


def _setting(path: str, call: ast.Call, tree: ast.Module, role: str) -> RedisSetting:
    words = {keyword.arg: _value(keyword.value, tree) for keyword in call.keywords if keyword.arg}
    url = words.get("redis")
    database = None
    if url and "://" in url:
        url = shown(url)
        head, _, tail = url.rpartition("/")
        if tail.isdigit():
            url, database = head, (tail if tail != "0" else None)
    splat = any(keyword.arg is None for keyword in call.keywords)
    return RedisSetting(
        role=role,
        path=path,
        line=call.lineno,
        column=call.col_offset + 1,
        url=url,
        database=database,
        namespace=words.get("namespace") or None,
        unresolved="`**` hides what is configured" if splat else "",
        language="python",
    )


def _value(node: ast.expr, tree: ast.Module, depth: int = 0) -> str | None:
    """A literal, ``ENV[NAME]``, or the expression's own text."""
    if isinstance(node, ast.Constant):
        return None if node.value is None else str(node.value)
    if isinstance(node, ast.Name) and depth < 10:  # noqa: PLR2004 - names that lead to names
        for statement in tree.body:
            if isinstance(statement, ast.Assign) and any(
                isinstance(target, ast.Name) and target.id == node.id for target in statement.targets
            ):
                return _value(statement.value, tree, depth + 1)
    if name := _environment(node):
        return f"ENV[{name}]"
    return ast.unparse(node)


def _environment(node: ast.expr) -> str:
    """The variable of ``os.environ["X"]``, ``os.environ.get("X", ...)`` and ``os.getenv("X")``."""
    argument: ast.expr | None = None
    if isinstance(node, ast.Subscript) and ast.unparse(node.value).endswith("environ"):
        argument = node.slice
    elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("environ.get", "getenv")) and node.args:
        argument = node.args[0]
    return str(argument.value) if isinstance(argument, ast.Constant) else ""
