"""Python's half of the index: jobs, what they reach, and what they use there."""

import ast
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Final

from kiqdoctor.doctor.facts.code import Job, Use
from kiqdoctor.probes.code.module import Function, Module, read
from kiqdoctor.probes.tree.disk import UnreadableError
from kiqdoctor.probes.tree.errors import UnparsedError
from kiqdoctor.probes.tree.tree import Tree

DECORATORS: Final = ("job", "task", "shared_task", "actor", "db_task", "periodic_task", "db_periodic_task")
FRAMEWORKS: Final = ("kiqdoctor", "celery", "dramatiq", "rq", "huey", "taskiq", "arq", "saq", "django_rq", "streaq")
SAFE: Final = (
    *(
        "boto3.client",
        "redis.Redis",
        "redis.StrictRedis",
        "redis.from_url",
        "redis.Redis.from_url",
        "redis.ConnectionPool",
    ),
    *(
        "redis.BlockingConnectionPool",
        "pymongo.MongoClient",
        "sqlalchemy.create_engine",
        "sqlalchemy.orm.scoped_session",
    ),
    *("sqlalchemy.orm.sessionmaker", "kafka.KafkaProducer", "confluent_kafka.Producer", "confluent_kafka.Consumer"),
    *("confluent_kafka.admin.AdminClient", "httpx.Client", "psycopg_pool.ConnectionPool", "threading.local"),
    *("psycopg2.pool.ThreadedConnectionPool", "contextvars.ContextVar"),
)
LOCKS: Final = ("threading.Lock()", "threading.RLock()", "threading.Semaphore()", "threading.BoundedSemaphore()",
                "threading.Condition()")  # fmt: skip
CHANGES: Final = {"update", "append", "setdefault", "clear", "pop", "extend", "add", "mount"}


@dataclass
class Index:
    """All modules of the application."""

    modules: dict[str, Module] = field(default_factory=dict)
    functions: dict[str, Function] = field(default_factory=dict)
    held: dict[str, tuple[Module, ast.expr]] = field(default_factory=dict)
    unparsed: list[tuple[str, str]] = field(default_factory=list)

    def own(self, dotted: str) -> bool:
        """Whether a name is the application's."""
        return any(dotted == name or dotted.startswith(f"{name}.") for name in self.modules if name)


def load(tree: Tree) -> Index:
    """Every module of the application."""
    index = Index()
    for file in tree.files(".py"):
        try:
            module = read(_module_name(PurePosixPath(file.path)), file.path, file.python())
        except (UnreadableError, UnparsedError, RecursionError) as error:
            index.unparsed.append((file.path, " ".join(str(error).split())[:200]))
            continue
        index.modules[module.name] = module
    for module in index.modules.values():
        prefix = f"{module.name}." if module.name else ""
        index.functions |= {function.full: function for function in module.functions.values()}
        index.held |= {prefix + name: (module, value) for name, value in module.held.items()}
    return index


def _module_name(path: PurePosixPath) -> str:
    parts = path.with_suffix("").parts
    parts = parts[1:] if parts and parts[0] in {"src", "lib", "app"} and len(parts) > 1 and parts[0] != "app" else parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def jobs(index: Index) -> list[tuple[Function, Job]]:
    """Functions that a queue's decorator makes jobs."""
    return [
        (function, Job(_job_name(function), function.module.path, function.node.lineno, "python"))
        for function in index.functions.values()
        if any(_is_job(function.module, one) for one in function.node.decorator_list)
    ]


def _job_name(function: Function) -> str:
    return function.full


def _is_job(module: Module, decorator: ast.expr) -> bool:
    dotted = module.dotted(decorator).removesuffix("()")
    last = dotted.rpartition(".")[2]
    if last not in DECORATORS:
        return False
    root = dotted.partition(".")[0]
    if root in FRAMEWORKS:
        return True
    return last != "job" and isinstance(decorator if isinstance(decorator, ast.Attribute) else getattr(
        decorator, "func", None), ast.Attribute)  # fmt: skip


def reach(index: Index, start: Function) -> dict[str, tuple[str, ...]]:
    """Functions that a job's code leads to, each with the chain of names from the job."""
    chains: dict[str, tuple[str, ...]] = {start.full: (start.full,)}
    queue = deque([start])
    while queue:
        function = queue.popleft()
        for dotted in filter(None, references(function)):
            for target in _targets(index, dotted):
                if target.full not in chains:
                    chains[target.full] = (*chains[function.full], target.full)
                    queue.append(target)
    return chains


def references(function: Function) -> Iterator[str]:
    """Every name that a function's body loads, as it is called from outside; "" where it is the function's own."""
    for node in ast.walk(function.node):
        if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Load):
            yield function.module.dotted(node, function)


def _targets(index: Index, dotted: str) -> Iterator[Function]:
    """Functions of the application behind a name: itself, a class's constructor, a method of an object."""
    plain = resolved(index, dotted).replace("()", "")
    for name in (plain, f"{plain}.__init__"):
        if name in index.functions:
            yield index.functions[name]


def resolved(index: Index, dotted: str, depth: int = 0) -> str:
    """Names that stand for others, followed: ``jobs.repo.save`` -> ``store.Repo().save``."""
    if depth > 5:  # noqa: PLR2004 - names that lead to names
        return dotted
    head, rest = dotted, ""
    while head:
        owner, _, last = head.rpartition(".")
        module = index.modules.get(owner)
        if module is not None and last.replace("()", "") in module.aliases and owner:
            target = module.aliases[last.replace("()", "")] + ("()" if last.endswith("()") else "")
            return resolved(index, target + rest, depth + 1)
        if head in index.held:
            holder, value = index.held[head]
            built = holder.dotted(value)
            if built and built != head:
                return resolved(index, built + rest, depth + 1)
        head, _, last = head.rpartition(".")
        rest = f".{last}{rest}"
    return dotted


def uses(index: Index, chains: dict[str, tuple[str, ...]]) -> Iterator[Use]:
    """What the functions use; ``chains`` says from which job each is reached."""
    for module in index.modules.values():
        yield from _module_uses(module)
    for function in index.functions.values():
        yield from _function_uses(index, function, chains.get(function.full, ()))


def _module_uses(module: Module) -> Iterator[Use]:
    for dotted in module.aliases.values():
        yield Use("import", dotted, module.path, 1)
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and not _inside_function(node, module):
            yield from _call_uses(module, None, node, ())


def _inside_function(node: ast.AST, module: Module) -> bool:
    line = getattr(node, "lineno", 0)
    return any(one.node.lineno <= line <= (one.node.end_lineno or 0) for one in module.functions.values())


def _function_uses(index: Index, function: Function, chain: tuple[str, ...]) -> Iterator[Use]:
    module = function.module
    locked = _locked(index, function)
    for node in ast.walk(function.node):
        line, column = getattr(node, "lineno", 1), getattr(node, "col_offset", 0) + 1
        if isinstance(node, ast.Call):
            yield from _call_uses(module, function, node, chain)
        if isinstance(node, ast.Call) or (
            isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Load)
        ):
            dotted = module.dotted(node, function)
            if dotted and not isinstance(node, ast.Call) and not index.own(dotted):
                yield Use("import", dotted, module.path, line, column, chain)
            built = shared(index, dotted)
            if built and line not in locked:
                yield Use("shared", built, module.path, line, column, chain)
        yield from _mutations(index, function, node, chain)


def shared(index: Index, dotted: str) -> str:
    """What an object that threads share was built by; "" for what is not shared, or may be."""
    key = dotted if dotted in index.held else dotted.replace("()", "")  # self.x may be the class's own
    if key not in index.held or not _everybodys(index, key):
        return ""
    built = resolved(index, key)
    if "()" not in built or index.own(built.replace("()", "")):
        return ""
    return "" if built.removesuffix("()") in SAFE else built.removesuffix("()")


def _everybodys(index: Index, key: str) -> bool:
    """An attribute that a constructor sets is shared where the object is: in some module's globals."""
    owner, made, _ = key.partition("().")
    if not made:
        return True
    return any(holder.dotted(value) == f"{owner}()" for holder, value in index.held.values())


def _locked(index: Index, function: Function) -> set[int]:
    """Lines that run under a lock."""
    found: set[int] = set()
    for node in ast.walk(function.node):
        if isinstance(node, ast.With | ast.AsyncWith) and any(
            resolved(index, function.module.dotted(item.context_expr, function)) in LOCKS for item in node.items
        ):
            found |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return found


def _call_uses(module: Module, function: Function | None, node: ast.Call, chain: tuple[str, ...]) -> Iterator[Use]:
    dotted = module.dotted(node.func, function)
    if not dotted and isinstance(node.func, ast.Attribute):
        dotted = f"?.{node.func.attr}"
    if not dotted:
        return
    at = (module.path, node.lineno, node.col_offset + 1, chain)
    yield Use("call", dotted, *at)
    for keyword in node.keywords:
        if keyword.arg:
            yield Use("keyword", f"{dotted}:{keyword.arg}={_literal(keyword.value)}", *at)
    texts = [one.value for one in node.args if isinstance(one, ast.Constant) and isinstance(one.value, str)]
    if any(one == "sqlite://" or ":memory:" in one for one in texts):
        yield Use("keyword", f"{dotted}:sqlite memory", *at)
    if dotted.endswith(("set_start_method", "get_context")) and {"spawn", "forkserver"} & set(texts):
        yield Use("setting", "spawn", *at)


def _literal(node: ast.expr) -> str:
    return str(node.value) if isinstance(node, ast.Constant) else "..."


def _mutations(index: Index, function: Function, node: ast.AST, chain: tuple[str, ...]) -> Iterator[Use]:
    """Assignments to attributes and items of what is not the function's own, and calls that change it."""
    targets: list[ast.expr] = []
    if isinstance(node, ast.Assign | ast.Delete):
        targets = list(node.targets)
    elif isinstance(node, ast.AugAssign | ast.AnnAssign):
        targets = [node.target]
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CHANGES:
        targets = [node.func]
    for target in targets:
        dotted = _changed(function, target)
        base = next((name for name in _prefixes(dotted) if shared(index, name)), "")
        if dotted:
            subject = shared(index, base) if base else dotted
            yield Use("mutated", subject, function.module.path, target.lineno, target.col_offset + 1, chain)


def _changed(function: Function, target: ast.expr) -> str:
    if isinstance(target, ast.Attribute):
        base = function.module.dotted(target.value, function)
        return f"{base}.{target.attr}" if base else ""
    if isinstance(target, ast.Subscript):
        return function.module.dotted(target.value, function)
    return ""


def _prefixes(dotted: str) -> list[str]:
    parts = dotted.split(".")
    return [".".join(parts[:count]) for count in range(1, len(parts) + 1)]


def at_import(index: Index) -> Iterator[Use]:
    """Objects that are built when modules are imported: what a fork would inherit."""
    for module, value in index.held.values():
        built = module.dotted(value)
        if isinstance(value, ast.Call) and built and not index.own(built.replace("()", "")):
            yield Use("before_fork", built.removesuffix("()"), module.path, value.lineno, value.col_offset + 1)
