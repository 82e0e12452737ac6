"""What runs when Python's modules are loaded, what of it asks a server, and what runs after a fork instead."""

import ast
import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Final

from kiqdoctor.probes.code.python.module import Function, Module
from kiqdoctor.probes.code.python.names import Names, beginnings
from kiqdoctor.probes.code.spans import Position, Span
from kiqdoctor.regex import regex

READY: Final = "ready"
CHOOSES: Final = regex(r"__name__|worker|celery|testing|pytest|argv|run_main|migrat", re.IGNORECASE)
"""What a condition asks to tell one process from another."""
STARTED_AS: Final = regex(r"\bargv\b|\bRUN_MAIN\b")
"""What asks how the process was started."""
FORKING: Final = regex(r"worker|celery|gunicorn|uwsgi|runserver|RUN_MAIN")
"""Words for processes that fork, or for the one that does not: a condition about tests or migrations has none."""
LEAVES: Final = (ast.Return, ast.Raise)
CONFIGS: Final = frozenset({"django.apps.AppConfig", "django.apps.config.AppConfig"})
BY_HAND: Final = frozenset(
    {"scripts", "script", "bin", "management", "migrations", "versions", "alembic", "tools", "benchmarks", "samples"}
)
"""Folders of what somebody starts by hand."""
STARTED: Final = frozenset({"manage", "setup", "fabfile", "noxfile", "locustfile", "dodo", "tasks_invoke"})
LOADED: Final = frozenset(
    {"__init__", "apps", "models", "celery", "wsgi", "asgi", "urls", "app", "main", "application", "tasks", "jobs"}
    | {"settings", "signals", "gunicorn.conf", "gunicorn_conf"}
)
"""Files that a framework loads by their names, wherever nobody imports them."""
REDIS: Final = frozenset(
    {"redis.Redis", "redis.StrictRedis", "redis.from_url", "redis.Redis.from_url", "redis.StrictRedis.from_url"}
    | {"redis.client.Redis", "django_redis.get_redis_connection"}
)
CACHE: Final = "django.core.cache.cache"
ENGINES: Final = frozenset({"sqlalchemy.create_engine", "sqlalchemy.engine.create_engine", "sqlmodel.create_engine"})
MONGO: Final = frozenset({"pymongo.MongoClient", "pymongo.mongo_client.MongoClient"})
EAGER: Final = frozenset(
    {"psycopg2.connect", "psycopg.connect", "psycopg.Connection.connect", "pymysql.connect", "MySQLdb.connect"}
    | {"mysql.connector.connect", "kafka.KafkaProducer", "kafka.KafkaConsumer", "pika.BlockingConnection"}
    | {"confluent_kafka.Producer", "psycopg_pool.ConnectionPool"}
    | {f"psycopg2.pool.{kind}ConnectionPool" for kind in ("Simple", "Threaded")}
)
"""They connect when they are built."""
LAZY: Final = frozenset(
    {"pipeline", "pubsub", "lock", "register_script", "dispose", "get_default_database", "get_database", "close"}
    | {
        "get_client",
        "get_master_client",
        "get_collection",
        "with_options",
        "execution_options",
        "make_key",
        "set_response_callback",
        "add_listener",
    }
)
"""Methods of clients that ask nobody."""
QUERIES: Final = frozenset(
    {"get", "create", "count", "exists", "first", "last", "get_or_create", "update_or_create", "bulk_create"}
)
"""Of Django's managers; the others build a query that nobody has asked yet."""
NO_POOL: Final = "NullPool"
NAMED_HOOKS: Final = frozenset({"post_fork", "post_worker_init", "child_exit", "worker_process_init"})
HOOKS: Final = ("worker_process_init.connect", "worker_init.connect", "postfork", "register_at_fork", "after_in_child")
MOST_STEPS: Final = 12  # names and links that lead to a client


def begins(names: Names) -> Iterator[tuple[Function, list[Span], bool]]:
    """Each module's body and each ``AppConfig.ready``, what of it does not run then, and whether it is loaded."""
    imported = _imported(names)
    for module in names.modules:
        loaded = module.name in imported or _by_convention(module)
        if loaded or not _by_hand(module):
            yield module.body, [*spared(names, module.body)], loaded
    for cls in names.classes:
        ready = names.functions.get(f"{cls}.{READY}")
        if ready is not None and not CONFIGS.isdisjoint(names.above(cls)):
            yield ready, [*spared(names, ready)], True


def part(names: Names) -> None:
    """Tell scripts that somebody runs by hand from what the application loads."""
    imported = _imported(names)
    for module in names.modules:
        module.loaded = module.name in imported or not _by_hand(module)


def _imported(names: Names) -> set[str]:
    return {
        one
        for unit in names.units
        for alias in (*unit.aliases.values(), *unit.module.stars)
        for one in beginnings(alias)
        if not alias.startswith(f"{unit.module.name}.")
    }


def _by_convention(module: Module) -> bool:
    path = PurePosixPath(module.path)
    return not _by_hand(module) and (path.stem in LOADED or not {"settings", "config"}.isdisjoint(path.parts))


def _by_hand(module: Module) -> bool:
    path = PurePosixPath(module.path)
    return not BY_HAND.isdisjoint(path.parts[:-1]) or path.stem in STARTED


def spared(names: Names, function: Function) -> Iterator[Span]:
    """What a condition keeps for some processes: its branches, and all that follows where one of them leaves.

    Of a module ``if __name__ == "__main__":``, whatever else it asks, and what else chooses a process; of a function
    a condition that asks how the process was started, itself or by a function of the application, and names who forks.
    """
    todo: list[tuple[ast.stmt, bool]] = [(one, True) for one in function.node.body]
    for one, always in todo:  # grows while it is read
        if isinstance(one, ast.If):
            if _chooses(names, function, one.test):
                yield Function.span(one)
                if always and any(isinstance(branch[-1], LEAVES) for branch in (one.body, one.orelse) if branch):
                    yield Function.span(one)[1], Function.span(function.node.body[-1])[1]
                continue
            todo += [(each, False) for each in (*one.body, *one.orelse)]
        elif isinstance(one, ast.With | ast.Try):
            todo += [(each, always) for each in one.body]


def _chooses(names: Names, function: Function, test: ast.expr) -> bool:
    """Whether a condition tells one process from another, itself or by what it calls and names."""
    if not function.name and CHOOSES.search(ast.unparse(test)):
        return True
    said = [ast.unparse(test)]
    for one in ast.walk(test):
        if isinstance(one, ast.Call):
            said += (ast.unparse(to.node) for to in names.targets(function.module.dotted(one.func, function)))
        elif isinstance(one, ast.Name) and one.id in function.values:
            said.append(ast.unparse(function.values[one.id]))
    text = "\n".join(said)
    return STARTED_AS.search(text) is not None and FORKING.search(text) is not None


DISPOSED: Final = "dispose"


def asked(names: Names, function: Function) -> Iterator[tuple[Position, str, str]]:
    """Calls that ask a server: where, what is called, and what built the client."""
    for call, dotted in function.calls:
        name = names.resolved(dotted)
        if name in EAGER:
            yield function.at(call), name, name
            continue
        if not isinstance(call.func, ast.Attribute) or call.func.attr in LAZY:
            continue
        last = call.func.attr
        if ".objects." in name and last in QUERIES and names.own(name):
            yield function.at(call), name, "django"
        elif (client := _client(names, function, call.func.value)) and not _given_back(function, call):
            yield function.at(call), f"{client}{'' if client == CACHE else '()'}.{last}", client


def _given_back(function: Function, call: ast.Call) -> bool:
    """Whether an engine that a function made for itself is thrown away in it, with all its connections."""
    ended = (one.func for one, _ in function.calls if isinstance(one.func, ast.Attribute) and one.func.attr == DISPOSED)
    thrown = {one.value.id for one in ended if isinstance(one.value, ast.Name)} if function.name else set()
    held: ast.expr | None = call.func
    for _ in range(MOST_STEPS):
        if isinstance(held, ast.Name) and held.id in thrown:
            return held.id in function.values
        if isinstance(held, ast.Name):
            held = function.values.get(held.id)  # conn of conn = engine.connect()
        elif isinstance(held, ast.Attribute | ast.Call):
            held = held.value if isinstance(held, ast.Attribute) else held.func
        else:
            return False
    return False


def _client(names: Names, function: Function, node: ast.expr) -> str:
    """What built the object at the bottom of a chain, where it is a client that is known."""
    for _ in range(MOST_STEPS):
        if isinstance(node, ast.Call):
            name = names.spelt(node.func, function)
            if name in REDIS or name in MONGO or (name in ENGINES and not _keeps_none(names, function, node)):
                return name
            node = node.func
        elif isinstance(node, ast.Attribute | ast.Subscript):
            if isinstance(node, ast.Attribute) and names.spelt(node, function) == CACHE:
                return CACHE
            value, where = names.valued(function, node)
            node, function = (node.value, function) if value is node else (value, where)
        elif isinstance(node, ast.Name):
            if names.spelt(node, function) == CACHE:
                return CACHE
            value, where = names.valued(function, node)
            if value is node:
                return ""
            node, function = value, where
        else:
            return ""
    return ""


def _keeps_none(names: Names, function: Function, call: ast.Call) -> bool:
    """An engine without a pool leaves no connection for a child to inherit."""
    given = (names.spelt(one.value, function) for one in call.keywords if one.arg == "poolclass")
    return any(one.endswith(NO_POOL) for one in given)


def hooks(names: Names) -> Iterator[Function]:
    """Functions that run in a child after its fork."""
    handed: set[Function] = set()
    for function in names.units:
        for call, dotted in function.calls:
            if names.resolved(dotted).endswith(HOOKS):
                given = [*call.args, *(one.value for one in call.keywords)]
                handed |= {one for node in given for one in names.targets(function.module.dotted(node, function))}
    for function in names.units:
        made = (one.func if isinstance(one, ast.Call) else one for one in function.decorators)
        decorated = any(function.module.dotted(one, function.outer).endswith(HOOKS) for one in made)
        if decorated or function in handed or function.name.rpartition(".")[2] in NAMED_HOOKS:
            yield function
