"""Pools of database connections by process, and how many connections the server takes, as files say."""

import ast
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from kiqdoctor.doctor.facts.database import Ceiling, Pool, Pools
from kiqdoctor.doctor.probe import Lane, Read, probe
from kiqdoctor.doctor.tools import Settings
from kiqdoctor.probes.tree.disk import UnreadableError
from kiqdoctor.probes.tree.errors import UnparsedError
from kiqdoctor.probes.tree.tree import Tree
from kiqdoctor.regex import regex
from kiqdoctor.text import clean

if TYPE_CHECKING:
    from kiqdoctor.probes.deployment.amounts import Amount
    from kiqdoctor.probes.deployment.chosen import Running
    from kiqdoctor.probes.deployment.derived import Derived
    from kiqdoctor.probes.tree.documents import Table

RAILS: Final = ("config/database.yml", "config/database.yml.erb")
SIZES: Final = ("pool", "max_connections")  # Rails 8.1 calls it by the second name
THREADED: Final = frozenset({"threads", "gevent", "eventlet"})
CONFS: Final = ("**/postgresql.conf", "**/my.cnf", "**/mysqld.cnf", "**/postgres*.conf", "**/*.cnf")
_SAID: Final = regex(r"max_connections(?:\s*+[=:]\s*+|\s++)[\"']?(\d{1,6})\b")
_ASKED: Final = regex(r"[?&](?:pool|max_connections)=(\d{1,5})(?!\d)")
_ANOTHER: Final = regex(
    rb"^(?![ \t]*#)[^\n]{0,200}?(?:[?&](?:pool|max_connections)=|establish_connection[( ]+[\w:{@]"
    rb"|\[[ \t]*[:\"'](?:pool|max_connections)[\"']?[ \t]*\][ \t]*\|{0,2}=)",
    re.MULTILINE,
)
"""In a file that configures workers: their pool is made anew."""
DEPLOY: Final = "config/deploy.rb"
_LINKED: Final = regex(rb"^[^#\n]{0,200}\blinked_files\b[^\n]{0,500}(?:\n[ \t]+[^\n]{0,200}){0,20}", re.MULTILINE)
"""Capistrano's statement, with the lines that go on with it."""
_SERVER: Final = regex(r"(?:^|/)(?:postgres|postgis|mysql|mariadb|percona|timescaledb)")
_POOLER: Final = regex(r"pgbouncer|pgcat|odyssey|proxysql|supavisor|pgpool", re.IGNORECASE)
DRAMATIQ: Final = frozenset({"dramatiq", "rundramatiq"})
DRAMATIQ_THREADS: Final = 8  # of each process, where nobody says it
HUEY: Final = frozenset({"huey_consumer", "huey_consumer.py", "run_huey", "djangohuey"})
DJANGO_MOST: Final = 4  # psycopg_pool's own where Django's option says only that there be a pool


@probe(
    Read("config/database.yml, settings*.py", "", "up to 1 MB each"),
    Read("compose files, Kubernetes manifests, postgresql.conf, my.cnf, app.json", "", "up to 1 MB each"),
    lane=Lane.FILES,
    deadline_s=30.0,
)
def pools(tree: Tree, settings: Settings) -> Pools:
    """What each kind of process may open, and what the server takes."""
    from kiqdoctor.probes.deployment.derived import derived

    found = tree.once(derived)
    unreadable: list[tuple[str, str]] = []
    rails = _rails(tree, unreadable)
    another = (_linked(tree, rails[0]) or _at_boot(tree)) if rails is not None else ""
    made = [*(_of_rails(rails, found, another) if rails is not None else ()), *_of_python(tree, found)]
    ceilings = (
        [Ceiling(settings.db_limit, "--db-limit")] if settings.db_limit else [*_ceilings(tree, found, unreadable)]
    )
    unstarted = _unstarted(rails, another) if rails is not None and all(one.web for one in made) else None
    return Pools(tuple(made), tuple(ceilings), _pooler(tree), tuple(unreadable), unstarted)


# -- Rails ---------------------------------------------------------------------------------------------------------


def _rails(tree: Tree, unreadable: list[tuple[str, str]]) -> "tuple[str, Table] | None":
    """Active Record's file, as a table of its sections."""
    from kiqdoctor.probes.tree.documents import Table

    for file in tree.named(*RAILS):
        try:
            documents = file.yaml()
        except (UnreadableError, UnparsedError) as error:
            unreadable.append((file.path, str(error)))
            continue
        if documents and isinstance(documents[0], Table):
            return file.path, documents[0]
    return None


def _linked(tree: Tree, path: str) -> str:
    """What tells that each release gets the server's own file in its place; "" where Capistrano is told none."""
    config, _, name = path.rpartition("config/")
    file = tree.file(f"{config}{DEPLOY}")
    try:
        content = file.content() if file is not None else b""
    except UnreadableError:
        return ""
    told = next((one for one in _LINKED.finditer(content) if f"config/{name}".encode() in one[0]), None)
    line = content.count(b"\n", 0, told.start()) + 1 if told else 0
    return f"{clean(config)}{DEPLOY}:{line} puts the server's own file in its place" if told else ""


def _at_boot(tree: Tree) -> str:
    """Why the pool may not be what the file says: Ruby that tells workers another one; "" where none does."""
    for file in tree.files(".rb"):
        try:
            content = file.content()
        except UnreadableError:
            continue
        if b"configure_server" in content and (told := _ANOTHER.search(content)) is not None:
            line = content.count(b"\n", 0, told.start()) + 1
            return f"{clean(file.path)}:{line} may set another one when a worker boots"
    return ""


def _of_rails(rails: "tuple[str, Table]", found: "Derived", another: str) -> Iterator[Pool]:
    from kiqdoctor.probes.deployment.commands import environment_of
    from kiqdoctor.probes.deployment.servers import SERVERS, server
    from kiqdoctor.probes.deployment.workers import worker

    path, sections = rails
    for one in found.running:
        known = environment_of(one.started.environment, one.command.environment)
        config = (
            worker(one, found.found) if found.found is not None and one.command.program.startswith("sidekiq") else None
        )
        size, line, why = _size(sections, known)
        if config is not None and another:
            size, why = None, another
        if config is not None:
            yield Pool(
                path, line, "activerecord", one.started.path, one.started.line, size,
                config.concurrency, config.processes, why, _is_default(sections),
                capsules=tuple(threads for _, threads in config.capsules), trial=one.started.trial,
            )  # fmt: skip
        elif one.command.program in {"puma", "unicorn"} & set(SERVERS) and found.found is not None:
            web = server(one, found.found).web()
            yield Pool(
                path, line, "activerecord", web.path, web.line, size, web.threads, web.processes, why,
                _is_default(sections), web=True,
            )  # fmt: skip
    if not found.running:
        for config in found.deployment.workers:
            size, line, why = (None, 1, another) if another else _size(sections, {})
            yield Pool(
                path, line, "activerecord", config.path, config.line, size, config.concurrency, config.processes, why,
                _is_default(sections), capsules=tuple(threads for _, threads in config.capsules),
            )  # fmt: skip


def _unstarted(rails: "tuple[str, Table]", another: str) -> Pool:
    """Of a worker whose variables no file tells."""
    path, sections = rails
    size, line, why = _size(sections, {})
    section = _production(sections)
    amount = _amount(section)[0] if section is not None else None
    if another or (amount is not None and amount.variable):
        size, why = None, another or f"its pool is what {clean(amount.variable) if amount else ''} says"
    return Pool(path, line, "activerecord", "", 1, size, None, None, why, _is_default(sections))


def _production(sections: "Table") -> "Table | None":
    """The section of production: of several databases the first, which is the primary one."""
    from kiqdoctor.probes.tree.documents import Table

    found = sections.get("production")
    if not isinstance(found, Table):
        return None
    inner = [one for one in found.values() if isinstance(one, Table) and ({"adapter", "database", "url"} & one.keys())]
    return inner[0] if inner and "adapter" not in found else found


def _amount(section: "Table") -> "tuple[Amount | None, str]":
    """What the section says, and under which name; what its address says wins, as in Rails."""
    from kiqdoctor.probes.deployment.amounts import Amount, of_value

    if asked := _ASKED.search(section.text("url")):
        return Amount(int(asked[1])), "url"
    name = next((one for one in SIZES if one in section), "")
    return (of_value(section.get(name)) if name else None), name


def _is_default(sections: "Table") -> bool:
    section = _production(sections)
    return section is not None and not _amount(section)[1]


def _size(sections: "Table", known: "dict[str, str] | object") -> tuple[int | None, int, str]:
    """Connections of the pool in this environment, the line that says it, and why it cannot be told."""
    section = _production(sections)
    if section is None:
        return None, 1, "it has no section of production"
    if isinstance(known, dict) and (asked := _ASKED.search(known.get("DATABASE_URL", ""))):
        return int(asked[1]), section.line, ""
    amount, name = _amount(section)
    line = section.lines.get(name, section.line)
    if not name:
        return 5, line, ""
    number = amount.given(known) if amount is not None and isinstance(known, dict) else None
    return number, line, "" if number is not None else f"its `{name}` is computed"


# -- Python --------------------------------------------------------------------------------------------------------


def _of_python(tree: Tree, found: "Derived") -> Iterator[Pool]:
    """Workers in Python that run threads; the pools of SQLAlchemy's engines are in the code."""
    django = next(_django(tree), None)
    for one in found.running:
        threads = _threads(one)
        if threads is None:
            continue
        number, processes = threads
        yield Pool(
            django[0] if django else one.started.path, django[1] if django else one.started.line,
            "django" if django else "python", one.started.path, one.started.line,
            django[2] if django else None, number, processes,
        )  # fmt: skip


def _threads(one: "Running") -> tuple[int | None, int | None] | None:
    amount = one.command.amount("concurrency")
    number = amount.given(dict(one.started.environment)) if amount is not None else None
    if one.command.program == "kiqdoctor":
        return (number if number is not None else 5 if amount is None else None), one.replicas
    if one.command.program in DRAMATIQ:
        forks = one.command.amount("processes")
        each = forks.given(dict(one.started.environment)) if forks is not None else None
        total = each * one.replicas if each is not None and one.replicas is not None else None
        return (number if amount is not None else DRAMATIQ_THREADS), total
    if one.command.program in HUEY and one.command.option("kind") in {"", None, "thread"}:
        return (number if amount is not None else 1), one.replicas
    if one.command.program == "celery" and one.command.option("pool") in THREADED:
        return number, one.replicas
    return None


def _django(tree: Tree) -> Iterator[tuple[str, int, int]]:
    """Where Django's settings ask for a pool, and its size."""
    from kiqdoctor.probes.deployment.paths import stage

    for file in tree.files(".py"):
        try:
            content = file.content()
            if b"DATABASES" not in content or b"pool" not in content or not stage(file.path):
                continue
            module = file.python()
        except (UnreadableError, UnparsedError):
            continue
        for node in ast.walk(module):
            if isinstance(node, ast.Dict):
                yield from ((file.path, line, size) for line, size in _pooled(node))


def _pooled(node: ast.Dict) -> Iterator[tuple[int, int]]:
    for key, value in zip(node.keys, node.values, strict=True):
        if not (isinstance(key, ast.Constant) and key.value == "pool"):
            continue
        if isinstance(value, ast.Constant) and value.value is True:
            yield key.lineno, DJANGO_MOST
        elif isinstance(value, ast.Dict):
            pairs = zip(value.keys, value.values, strict=True)
            said = {
                one.value: size.value
                for one, size in pairs
                if isinstance(one, ast.Constant) and isinstance(size, ast.Constant)
            }
            most = said.get("max_size", said.get("min_size", DJANGO_MOST))
            if isinstance(most, int):
                yield key.lineno, most


# -- the server ----------------------------------------------------------------------------------------------------


def _ceilings(tree: Tree, found: "Derived", unreadable: list[tuple[str, str]]) -> Iterator[Ceiling]:
    from kiqdoctor.probes.deployment.compose import NAMES
    from kiqdoctor.probes.deployment.derived import elsewhere
    from kiqdoctor.probes.deployment.paths import stage
    from kiqdoctor.probes.deployment.plans import connections
    from kiqdoctor.probes.deployment.records import Ordered

    for file in tree.named(*CONFS):
        if stage(file.path):
            yield from _said(_text(tree, file.path), file.path)
    for file in tree.named(*NAMES):
        if stage(file.path):
            yield from _of_compose(tree, file.path, unreadable)
    for file in tree.named("**/*.yml", "**/*.yaml"):
        text = _text(tree, file.path)
        if stage(file.path) and "kind: ConfigMap" in text and "max_connections" in text:
            yield from _said(text, file.path)
    said = found.found.said if found.found is not None and not elsewhere(found.running, found.found) else ()
    ordered = [one for _, one in said if isinstance(one, Ordered)]
    for one in ordered:
        if stage(one.path) and (known := connections(one.plan)) is not None:
            yield Ceiling(known[0], f"{clean(one.plan)} in {one.path}, table of {known[1]}")


def _text(tree: Tree, path: str) -> str:
    file = tree.file(path)
    try:
        return file.text() if file is not None else ""
    except UnreadableError:
        return ""


def _said(text: str, path: str) -> Iterator[Ceiling]:
    for number, line in enumerate(text.splitlines(), 1):
        found = None if line.lstrip().startswith(("#", ";")) else _SAID.search(line)
        if found is not None:
            yield Ceiling(int(found[1]), f"max_connections in {path}:{number}")
            return


def _of_compose(tree: Tree, path: str, unreadable: list[tuple[str, str]]) -> Iterator[Ceiling]:
    """``postgres -c max_connections=N`` and MySQL's ``--max-connections=N``."""
    from kiqdoctor.probes.deployment.shell import words
    from kiqdoctor.probes.tree.documents import Table

    file = tree.file(path)
    try:
        documents = file.yaml() if file is not None else ()
    except (UnreadableError, UnparsedError) as error:
        unreadable.append((path, str(error)))
        return
    for document in documents:
        services = document.table("services") if isinstance(document, Table) else Table()
        for name in services:
            service = services.table(name)
            command = " ".join(words(service.get("command"))).replace("max-connections", "max_connections")
            found = _SAID.search(command)
            if found is not None and (_SERVER.search(service.text("image")) or command.startswith("postgres")):
                yield Ceiling(int(found[1]), f"max_connections in {path}:{services.lines.get(name, 1)}")


def _pooler(tree: Tree) -> str:
    """What stands before the server and has a limit of its own."""
    for file in tree.named(
        "**/pgbouncer*.ini", "**/docker-compose*.yml", "**/compose*.yml", "**/*.yaml", "Gemfile", ".buildpacks"
    ):
        if _POOLER.search(file.path) or _POOLER.search(_text(tree, file.path)):
            return file.path
    return ""
