"""Redis servers that the application's files start or configure."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from kiqdoctor.doctor.facts.config import RedisFiles, RedisService
from kiqdoctor.doctor.probe import Lane, Read, probe
from kiqdoctor.probes.config.redis_addresses import LOCAL, is_inside
from kiqdoctor.probes.tree.disk import UnreadableError
from kiqdoctor.probes.tree.documents import Table
from kiqdoctor.probes.tree.errors import UnparsedError
from kiqdoctor.probes.tree.tree import Tree
from kiqdoctor.records import dataclass
from kiqdoctor.regex import regex
from kiqdoctor.text import clean

if TYPE_CHECKING:
    from kiqdoctor.probes.tree.documents import Value
    from kiqdoctor.probes.tree.file import File

CONFS: Final = ("**/redis.conf", "**/redis*.conf", "**/valkey*.conf")
_VERSION: Final = regex(r"(?:^|/)redis:(\d{1,2}\.\d{1,2}(?:\.\d{1,3})?|[1-6])(?![\d.])")
MANIFESTS: Final = ("**/*.yml", "**/*.yaml")
PORT: Final = "6379"
IMAGE: Final = regex(r"(?:^|/)(?:redis|valkey|keydb|dragonfly|redis-stack(?:-server)?|redict)(?::|@|$|-)")
CATCHER: Final = regex(r"mail(?:hog|catcher|pit|dev|slurper)|localstack|selenium")
_DEFAULT: Final = regex(r"\$\{\w{1,100}:?-([^{}$]{0,200})\}")

CAPISTRANO: Final = "Capfile"
KAMAL: Final = ("config/deploy.yml", "config/deploy.*.yml")


@probe(
    Read("compose files, Kubernetes manifests, Kamal's deploy.yml, redis.conf", "", "up to 1 MB each"),
    lane=Lane.FILES,
    deadline_s=30.0,
)
def redis_files(tree: Tree) -> RedisFiles:
    """Every one that is for production or for nothing in particular."""
    from kiqdoctor.probes.deployment.compose import NAMES
    from kiqdoctor.probes.deployment.paths import stage

    services: list[RedisService] = []
    unreadable: list[tuple[str, str]] = []
    files = 0
    pods = tuple(_pods(tree))

    def _kubernetes(file: "File") -> Iterator[RedisService]:
        return _opened(file, pods)

    readers = ((_compose, NAMES), (_conf, CONFS), (_kamal, KAMAL), (_kubernetes, MANIFESTS))
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
    services = [_beside(tree, one) for one in services]
    return RedisFiles(tuple(_merged(services)), files, tuple(unreadable))


def _beside(tree: Tree, one: RedisService) -> RedisService:
    """A compose file that names no production, where Capistrano brings the application there, is how one develops."""
    import msgspec

    from kiqdoctor.probes.deployment.paths import Stage, stage

    if one.kind != "compose" or stage(one.path) is Stage.PRODUCTION or tree.file(CAPISTRANO) is None:
        return one
    return msgspec.structs.replace(one, trial=f"Capistrano deploys the application ({CAPISTRANO})")


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
    from kiqdoctor.probes.deployment.compose import avowed

    for document in file.yaml():
        services = document.table("services") if isinstance(document, Table) else Table()
        own = any("build" in services.table(name) for name in services)
        around = avowed(file) or next((why for name in services if (why := _trial(services.table(name)))), "")
        for name in services:
            service = services.table(name)
            if IMAGE.search(service.text("image")) is None and "ports" not in service.reset:
                continue
            line = service.lines.get("ports", services.lines.get(name, 1))
            published = tuple(clean(one) for port in service.items_of("ports") if (one := _published(port)))
            published += ("the host's network",) if _hosts(service) else ()
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
    r"|opensearch|minio|adminer|pgadmin4?|mailhog|mailpit|mailcatcher|solr|fcrepo|kafka|zookeeper|nats|influxdb"
    r"|clickhouse(?:-server)?|meilisearch|typesense|localstack|elasticmq|dynamodb-local|clamav|chrome|selenium"
    r"|standalone-chrome|keycloak|jaeger|prometheus|grafana|maildev|toxiproxy|imgproxy)(?=[:@-]|$)"
)
"""Images that are nobody's application: alone together they serve somebody who develops, or anybody."""


def _only_servers(services: "Table") -> bool:
    return all(SERVERS.search(services.table(name).text("image")) for name in services)


def _hosts(service: Table) -> bool:
    """Whether it listens on all addresses of its host."""
    from kiqdoctor.probes.deployment.shell import words

    command = words(service.get("command"))
    bound = command[command.index("--bind") + 1 : command.index("--bind") + 2] if "--bind" in command else ()
    return service.text("network_mode") == "host" and not any(LOCAL.match(one) for one in bound)


def _published(port: "Value") -> str:
    """The address on which a port of Redis is open to others; "" where it is not."""
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
    return f"{plain or '0.0.0.0'}:{outer}" if open_to_all or not is_inside(plain) else ""  # noqa: S104


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


# -- Kamal ---------------------------------------------------------------------------------------------------------


def _kamal(file: "File") -> Iterator[RedisService]:
    """Servers that Kamal runs beside the application: a port alone is published on all addresses of its host."""
    for document in file.yaml():
        accessories = document.table("accessories") if isinstance(document, Table) else Table()
        for name in accessories:
            one = accessories.table(name)
            if IMAGE.search(one.text("image")) is None:
                continue
            port = str(one.get("port") or "")
            opened = _published(port if ":" in port else f"{port}:{port}") if port else ""
            host = one.text("network") or one.table("options").text("network")
            published = ("the host's network",) if host == "host" else (clean(opened),) if opened else ()
            line = one.lines.get("port", accessories.lines.get(name, 1))
            yield RedisService(file.path, line, clean(name), "kamal", published, _accessory_asks(one))


def _accessory_asks(one: "Table") -> bool | None:
    from kiqdoctor.probes.deployment.shell import words

    command, env = " ".join(words(one.get("cmd"))), one.table("env")
    if any(word in command for word in ("requirepass", "aclfile", "--user ")):
        return True
    if {"REDIS_PASSWORD", "VALKEY_PASSWORD", "REDIS_ARGS"} & {*env, *env.table("clear"), *env.items_of("secret")}:
        return True
    return None if ".conf" in command else False


# -- redis.conf ----------------------------------------------------------------------------------------------------


def _conf(file: "File") -> Iterator[RedisService]:
    said: dict[str, tuple[int, str]] = {}
    for number, text in enumerate(file.text().splitlines(), 1):
        name, _, value = text.strip().partition(" ")
        if name and not name.startswith("#"):
            said[name.lower()] = number, value.strip().strip('"')
    line, bind = said.get("bind", (0, ""))
    hosts = [host.lstrip("-") for host in bind.split()]
    opened = [host for host in hosts if host in {"*", "0.0.0.0", "::"} or not is_inside(host.strip("*") or "open.host")]  # noqa: S104
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


@dataclass(frozen=True, slots=True)
class Pod:
    """What runs a Redis: its labels, whether it asks for a password, and the host's port that it takes."""

    path: str
    line: int
    name: str
    labels: frozenset[tuple[str, str]]
    password: bool | None
    taken: str


def _pods(tree: Tree) -> Iterator[Pod]:
    from kiqdoctor.probes.deployment.paths import stage

    for file in tree.named(*MANIFESTS):
        try:
            if not stage(file.path) or b"kind:" not in file.content() or b"image:" not in file.content():
                continue
            documents = [one for one in file.yaml() if isinstance(one, Table)]
        except (UnreadableError, UnparsedError):
            continue
        for document in documents:
            template = document.table("spec", "template")
            pod = template.table("spec") if template else document.table("spec")
            labels = (template or document).table("metadata", "labels")
            for one in pod.tables("containers"):
                if IMAGE.search(one.text("image")):
                    yield Pod(
                        file.path,
                        one.line,
                        clean(document.table("metadata").text("name") or one.text("name")),
                        frozenset((name, str(value)) for name, value in labels.items()),
                        _asks(one),
                        _taken(pod, one),
                    )


def _asks(container: Table) -> bool | None:
    """Whether a container's Redis asks for a password; None where something that is not here decides."""
    from kiqdoctor.probes.deployment.shell import words

    command = " ".join((*words(container.get("command")), *words(container.get("args"))))
    names = {one.text("name") for one in container.tables("env")}
    if "requirepass" in command or "aclfile" in command or names & {"REDIS_PASSWORD", "VALKEY_PASSWORD", "REDIS_ARGS"}:
        return True
    elsewhere = {"envFrom", "volumeMounts"} & container.keys() and (".conf" in command or "envFrom" in container)
    return None if elsewhere or "$" in command else False


def _taken(pod: Table, container: Table) -> str:
    ports = [one for one in container.tables("ports") if str(one.get("containerPort")) == PORT]
    taken = next((one.get("hostPort") for one in ports if one.get("hostPort")), None)
    if taken is not None and not LOCAL.match(ports[0].text("hostIP") or "*"):
        return f"hostPort {taken}"
    return "the host's network" if pod.get("hostNetwork") is True else ""


def _opened(file: "File", pods: tuple[Pod, ...]) -> Iterator[RedisService]:
    """Services that others reach, and pods that take a port of their host."""
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
            wanted = {(key, str(value)) for key, value in spec.table("selector").items()}
            asked = {one.password for one in pods if wanted and wanted <= one.labels}
            password = asked.pop() if len(asked) == 1 else None
            yield RedisService(file.path, line, name, "kubernetes", published, password)
    for pod in pods:
        if pod.path == file.path and pod.taken:
            yield RedisService(pod.path, pod.line, pod.name, "kubernetes", (pod.taken,), pod.password)
