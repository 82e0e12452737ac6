"""Redis servers that the application's files start or configure, and addresses of servers elsewhere."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from kiqdoctor.doctor.facts.config import RedisAddress, RedisFiles, RedisService
from kiqdoctor.doctor.probe import Lane, Read, probe
from kiqdoctor.probes.tree.disk import UnreadableError
from kiqdoctor.probes.tree.errors import UnparsedError
from kiqdoctor.probes.tree.tree import Tree
from kiqdoctor.regex import regex
from kiqdoctor.text import clean

if TYPE_CHECKING:
    from kiqdoctor.probes.tree.documents import Table, Value
    from kiqdoctor.probes.tree.file import File

CONFS: Final = ("**/redis.conf", "**/redis*.conf", "**/valkey*.conf")
TEXTS: Final = (
    *(".env", ".env.*", "**/*.env", "Procfile", "**/*.service", "config/*.yml", "config/*.yaml", "**/*.toml"),
    *("config/initializers/*.rb", "config/environments/production.rb", "config.ru"),
    *("**/settings*.py", "**/settings/*.py", "**/config.py", "**/celeryconfig.py"),
)
_VERSION: Final = regex(r"(?:^|/)redis:(\d{1,2}\.\d{1,2}(?:\.\d{1,3})?|[1-6])(?![\d.])")
PORT: Final = "6379"
IMAGE: Final = regex(r"(?:^|/)(?:redis|valkey|keydb|dragonfly|redis-stack(?:-server)?|redict)(?::|@|$|-)")
CATCHER: Final = regex(r"mail(?:hog|catcher|pit|dev|slurper)|localstack|selenium")
URL: Final = regex(r"redis://(?P<user>[^\s/@'\"]*@)?(?P<host>[A-Za-z0-9.-]+)(?::\d+)?")
_DEFAULT: Final = regex(r"\$\{\w{1,100}:?-([^{}$]{0,200})\}")
LOCAL: Final = regex(
    r"localhost|127\.|10\.|192\.168\.|172\.(?:1[6-9]|2\d|3[01])\.|169\.254\.|0\.0\.0\.0|100\.(?:6[4-9]|[7-9]\d|1[01]\d|12[0-7])\."
)
INSIDE: Final = (
    "local",
    "internal",
    "lan",
    "svc",
    "cluster",
    "example",
    "test",
    "localdomain",
    "home",
    "corp",
    "invalid",
)
PRIVATE_CLOUDS: Final = (".cache.amazonaws.com", ".memorydb.amazonaws.com", ".internal", ".local", ".flycast")
SAMPLES: Final = (".example", ".sample", ".template", ".dist")
SPEAKS: Final = frozenset({"example.com", "example.org", "example.net", "host", "hostname", "your-host"})


@probe(
    Read("compose files, Kubernetes manifests, redis.conf", "", "up to 1 MB each"),
    Read(".env files, units, config/*.yml, initializers, settings", "", "up to 1 MB each"),
    lane=Lane.FILES,
    deadline_s=30.0,
)
def redis_files(tree: Tree) -> RedisFiles:
    """Every one that is for production or for nothing in particular."""
    from kiqdoctor.probes.deployment.compose import NAMES
    from kiqdoctor.probes.deployment.paths import stage

    services: list[RedisService] = []
    addresses: list[RedisAddress] = []
    unreadable: list[tuple[str, str]] = []
    files = 0
    readers = ((_compose, NAMES), (_conf, CONFS), (_kubernetes, ("**/*.yml", "**/*.yaml")))
    for read, names in readers:
        for file in tree.named(*names):
            try:
                if stage(file.path) and (read is not _kubernetes or b"kind:" in file.content()):
                    services += read(file)
                    files += 1
            except UnreadableError:
                continue
            except UnparsedError as error:
                if read is not _kubernetes or PORT.encode() in file.content():
                    unreadable.append((file.path, str(error)))
    for file in tree.named(*NAMES, *TEXTS):
        if stage(file.path) and not file.name.endswith(SAMPLES):
            addresses += _addresses(file)
            files += 1
    return RedisFiles(tuple(_merged(services)), tuple(addresses), files, tuple(unreadable))


def _merged(services: list[RedisService]) -> list[RedisService]:
    """Compose files of one folder speak of the same service; a later one's word about ports comes to the first's."""
    import msgspec

    known: dict[str, RedisService] = {}
    for one in services:
        key = (
            f"{one.kind}:{one.path.rpartition('/')[0]}:{one.name}"
            if one.kind == "compose"
            else f"{one.path}:{one.name}"
        )
        before = known.get(key)
        if before is None:
            known[key] = one
            continue
        reset = next((each for each in (one, before) if each.resets), None)
        place = one if one.published and not before.published else before
        password = True if True in {one.password, before.password} else before.password
        published = reset.published if reset is not None else before.published + one.published
        known[key] = msgspec.structs.replace(place, published=published, password=password)
    return list(known.values())


# -- compose -------------------------------------------------------------------------------------------------------


def _compose(file: "File") -> Iterator[RedisService]:
    from kiqdoctor.probes.tree.documents import Table

    for document in file.yaml():
        services = document.table("services") if isinstance(document, Table) else Table()
        own = any("build" in services.table(name) for name in services)
        around = next((why for name in services if (why := _trial(services.table(name)))), "")
        for name in services:
            service = services.table(name)
            if IMAGE.search(service.text("image")) is None and "ports" not in service.reset:
                continue
            line = service.lines.get("ports", services.lines.get(name, 1))
            published = tuple(clean(one) for port in service.items_of("ports") if (one := _published(port)))
            alone = "nothing of the application runs beside it" if not own and _only_servers(services) else ""
            told = _VERSION.search(service.text("image"))
            version = told[1] if told else ""
            yield RedisService(
                file.path, line, clean(name), "compose", published, _password(service), None, version, around or alone,
                "ports" in service.reset,
            )  # fmt: skip


def _trial(service: "Table") -> str:
    from kiqdoctor.probes.deployment.compose import trial

    image = service.text("image")
    return f"{clean(image)} runs beside it" if CATCHER.search(image) else trial(service)


SERVERS: Final = regex(
    r"(?:^|/)(?:redis|valkey|postgres(?:ql)?|postgis|mysql|mariadb|mongo(?:db)?|rabbitmq|memcached|elasticsearch"
    r"|opensearch|minio|adminer|pgadmin4?|mailhog|mailpit|mailcatcher)(?=[:@-]|$)"
)
"""Images that are nobody's application: alone together they serve somebody who develops, or anybody."""


def _only_servers(services: "Table") -> bool:
    return all(SERVERS.search(services.table(name).text("image")) for name in services)


def _published(port: "Value") -> str:
    """The address on which a port of Redis is open to others; "" where it is not."""
    from kiqdoctor.probes.tree.documents import Table

    if isinstance(port, Table):
        inner, outer = str(port.get("target")), port.get("published")
        host = _usual(port.text("host_ip"))
        if outer is None:
            return ""
        return "" if inner != PORT or LOCAL.match(host or "*") else f"{host or '0.0.0.0'}:{outer}"  # noqa: S104
    text = _usual(str(port)).partition("/")[0]
    head, _, inner = text.rpartition(":")
    if not inner.startswith((PORT, "${")) or not head:
        return ""
    host, _, outer = head.rpartition(":")
    plain = host.strip("[]")
    open_to_all = not plain or plain in {"0.0.0.0", "::"}  # noqa: S104
    return f"{plain or '0.0.0.0'}:{outer}" if open_to_all or not _inside(plain) else ""  # noqa: S104


def _usual(text: str) -> str:
    """A text of compose with each variable's own default in its place: ``${REDIS:-127.0.0.1:6379}:6379``."""
    return _DEFAULT.sub(r"\1", text)


def _password(service: "Table") -> bool | None:
    """Whether its command, its environment or its file of settings asks for a password; None where a file decides."""
    from kiqdoctor.probes.deployment.compose import environment
    from kiqdoctor.probes.deployment.shell import words

    command = " ".join((*words(service.get("entrypoint")), *words(service.get("command"))))
    known = dict(environment(service.get("environment")))
    if "requirepass" in command or "aclfile" in command or "--user " in command:
        return True
    if any(name in known for name in ("REDIS_PASSWORD", "VALKEY_PASSWORD", "REDIS_ARGS")):
        return bool(
            known.get("REDIS_PASSWORD") or known.get("VALKEY_PASSWORD") or "requirepass" in known.get("REDIS_ARGS", "")
        )
    return None if ".conf" in command or "env_file" in service else False


# -- redis.conf ----------------------------------------------------------------------------------------------------


def _conf(file: "File") -> Iterator[RedisService]:
    said: dict[str, tuple[int, str]] = {}
    for number, text in enumerate(file.text().splitlines(), 1):
        name, _, value = text.strip().partition(" ")
        if name and not name.startswith("#"):
            said[name.lower()] = number, value.strip().strip('"')
    line, bind = said.get("bind", (0, ""))
    hosts = [host.lstrip("-") for host in bind.split()]
    opened = [host for host in hosts if host in {"*", "0.0.0.0", "::"} or not _inside(host.strip("*") or "open.host")]  # noqa: S104
    protected = said.get("protected-mode", (0, ""))
    if said:
        yield RedisService(
            file.path,
            protected[0] or line or 1,
            file.name,
            "redis.conf",
            tuple(clean(host) for host in opened) if "bind" in said else ("*",),
            bool(said.keys() & {"requirepass", "aclfile", "user"}),
            {"no": False, "yes": True}.get(protected[1], True if not bind else None),
        )


# -- Kubernetes ----------------------------------------------------------------------------------------------------


def _kubernetes(file: "File") -> Iterator[RedisService]:
    from kiqdoctor.probes.tree.documents import Table

    for document in file.yaml():
        if not isinstance(document, Table) or document.text("kind") != "Service":
            continue
        spec = document.table("spec")
        ports = [
            one for one in spec.tables("ports") if str(one.get("port")) == PORT or str(one.get("targetPort")) == PORT
        ]
        kind = spec.text("type")
        if ports and kind in {"LoadBalancer", "NodePort"}:
            annotations = " ".join(document.table("metadata", "annotations"))
            internal = "internal" in annotations.lower()
            name = clean(document.table("metadata").text("name"))
            line = spec.lines.get("type", document.line)
            published = () if internal else (kind,)
            yield RedisService(file.path, line, name, "kubernetes", published, None)


# -- addresses -----------------------------------------------------------------------------------------------------


def _addresses(file: "File") -> Iterator[RedisAddress]:
    try:
        text = file.text()
    except UnreadableError:
        return
    if "redis://" not in text:
        return
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("#"):
            continue
        for found in URL.finditer(line):
            if not _inside(found["host"]):
                yield RedisAddress(file.path, number, clean(found["host"]), bool(found["user"]))


def _inside(host: str) -> bool:
    """A name or address that nobody reaches from the open internet, or that means nobody."""
    plain = host.lower().rstrip(".")
    if LOCAL.match(plain) or "." not in plain or plain in SPEAKS or plain.endswith(PRIVATE_CLOUDS):
        return True
    return plain.rpartition(".")[2] in INSIDE or any(
        f".{part}." in f".{plain}." for part in ("svc", "internal", "example")
    )
