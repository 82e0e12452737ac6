"""How many processes and threads run: worker commands wherever a deployment writes them, and web servers' files."""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from kiqdoctor.doctor.facts.deployment import Deployment, WebConfig, WorkerConfig
from kiqdoctor.probes.tree.files import content, files
from kiqdoctor.probes.tree.ruby import call, parse, string, text, walk

YAML_NAMES = (".yml", ".yaml")


@dataclass(frozen=True, slots=True)
class Command:
    """One command that a deployment runs; ``replicas`` None: the file does not say."""

    words: tuple[str, ...]
    path: str
    line: int = 1
    replicas: int | None = None
    family: str = ""


class Reader:
    """Collects what one application's files say."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.unreadable: list[tuple[str, str]] = []
        self.surge = ""

    def raw(self, path: Path) -> bytes | None:
        """The file, None where there is none; what cannot be read is remembered."""
        if not path.exists():
            return None
        try:
            return content(path)
        except OSError as error:
            self.unreadable.append((str(path.relative_to(self.root)), str(error)))
            return None

    def yaml(self, path: Path, raw: bytes) -> list[Any]:
        """The documents of a YAML file, embedded Ruby put aside."""
        import yaml

        try:
            return [one for one in yaml.safe_load_all(_without_erb(raw.decode("utf-8", "replace"))) if one is not None]
        except (yaml.YAMLError, RecursionError, ValueError) as error:
            self.unreadable.append((str(path.relative_to(self.root)), " ".join(str(error).split())[:200]))
            return []


def read(root: Path) -> Deployment:
    """The whole."""
    reader = Reader(root)
    configured = _sidekiq_yml(reader)
    commands = _one_family([*_kubernetes_and_compose(reader), *_procfile(reader), *_units(reader)])
    workers = [worker for command in commands if (worker := _worker(command, configured))]
    if not workers and configured is not None:
        workers = [configured]
    webs = [web for command in commands if (web := _web(command))] or list(_puma(reader))
    code = _in_code(reader)
    workers = [replace(one, **code) if one.language == "ruby" else one for one in workers]
    return Deployment(tuple(workers), tuple(webs), bool(reader.surge), reader.surge, tuple(reader.unreadable))


def _without_erb(source: str) -> str:
    """ERB's values become a word, its statements nothing."""
    parts: list[str] = []
    rest = source
    while "<%" in rest:
        head, _, tail = rest.partition("<%")
        code, _, rest = tail.partition("%>")
        parts += [head, "ERB" if code.startswith("=") else ""]
    return "".join([*parts, rest])


def _plain(document: Any) -> dict[str, Any]:
    """A mapping with ``:symbol`` keys as words."""
    return {str(key).lstrip(":"): value for key, value in document.items()} if isinstance(document, dict) else {}


def _sidekiq_yml(reader: Reader, name: str = "config/sidekiq.yml") -> WorkerConfig | None:
    path = reader.root / name
    raw = reader.raw(path)
    if raw is None:
        return None
    documents = reader.yaml(path, raw)
    words = _plain(documents[0]) if documents else {}
    words |= _plain(words.get("production"))
    capsules = {key: _plain(one) for key, one in _plain(words.get("capsules")).items()}
    return WorkerConfig(
        path=name,
        concurrency=_whole(words.get("concurrency")),
        capsules=tuple((key, _whole(one.get("concurrency")) or 0) for key, one in capsules.items()),
        queues=tuple(_queue(one) for one in words.get("queues") or () if _queue(one)),
    )


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _queue(value: Any) -> str:
    name = value[0] if isinstance(value, list) and value else value
    return str(name).split(",")[0] if isinstance(name, str | int) else ""


def _procfile(reader: Reader) -> Iterator[Command]:
    counts = _formation(reader)
    for name in ("Procfile", "Procfile.production"):
        raw = reader.raw(reader.root / name)
        for number, line in enumerate((raw or b"").decode("utf-8", "replace").splitlines(), 1):
            kind, separator, command = line.partition(":")
            if separator and not line.lstrip().startswith("#"):
                yield Command(_words(command), name, number, counts.get(kind.strip()), "procfile")


def _formation(reader: Reader) -> dict[str, int]:
    """How many of each process type app.json asks for."""
    path = reader.root / "app.json"
    raw = reader.raw(path)
    documents = reader.yaml(path, raw) if raw is not None else []
    formation = documents[0].get("formation") if documents and isinstance(documents[0], dict) else None
    pairs = formation.items() if isinstance(formation, dict) else ()
    return {kind: count for kind, one in pairs if (count := _whole(_plain(one).get("quantity"))) is not None}


def _words(command: Any) -> tuple[str, ...]:
    if isinstance(command, list):
        return tuple(str(word) for word in command)
    try:
        return tuple(shlex.split(str(command or ""), comments=False))
    except ValueError:
        return tuple(str(command).split())


def _kubernetes_and_compose(reader: Reader) -> Iterator[Command]:
    for path in files(reader.root, *YAML_NAMES):
        name = str(path.relative_to(reader.root))
        compose = PurePosixPath(name).name.startswith(("docker-compose", "compose"))
        raw = reader.raw(path) if compose or PurePosixPath(name).name != "sidekiq.yml" else None
        if raw is None or (not compose and b"kind:" not in raw):
            continue
        for document in reader.yaml(path, raw):
            if not isinstance(document, dict):
                continue
            if isinstance(document.get("services"), dict):
                yield from _compose(document["services"], name)
            elif document.get("kind") in {"Deployment", "StatefulSet"}:
                yield from _kubernetes(document, name, reader)


def _compose(services: dict[str, Any], path: str) -> Iterator[Command]:
    for service in services.values():
        words = _plain(service)
        deploy = _plain(words.get("deploy"))
        count = _whole(deploy.get("replicas")) or _whole(words.get("scale"))
        command = _words(words.get("entrypoint")) + _words(words.get("command"))
        yield Command(command, path, 1, 1 if count is None else count, "compose")


def _kubernetes(document: dict[str, Any], path: str, reader: Reader) -> Iterator[Command]:
    spec = _plain(document.get("spec"))
    strategy = _plain(_plain(spec.get("strategy")).get("rollingUpdate"))
    replicas = _whole(spec.get("replicas"))
    pod = _plain(_plain(spec.get("template")).get("spec"))
    for container in pod.get("containers") or ():
        words = _plain(container)
        spelt = _words(words.get("command")) + _words(words.get("args"))
        command = Command(spelt, path, 1, 1 if replicas is None else replicas, "kubernetes")
        if _program(command.words) and strategy.get("maxSurge") not in {None, 0, "0", "0%"}:
            reader.surge = f"{path}: maxSurge {strategy['maxSurge']}"
        yield command


def _units(reader: Reader) -> Iterator[Command]:
    for path in files(reader.root, ".service"):
        raw = reader.raw(path)
        name = str(path.relative_to(reader.root))
        for number, line in enumerate((raw or b"").decode("utf-8", "replace").splitlines(), 1):
            key, _, command = line.partition("=")
            if key.strip() == "ExecStart":
                yield Command(_words(command), name, number, None if path.stem.endswith("@") else 1, "systemd")


def _one_family(commands: list[Command]) -> list[Command]:
    """An application is deployed one way: the first that runs a worker, or else all."""
    for family in ("kubernetes", "compose", "systemd", "procfile"):
        chosen = [one for one in commands if one.family == family]
        if any(_program(one.words) in {"sidekiq", "kiqdoctor"} for one in chosen):
            return chosen
    return commands


def _split(words: tuple[str, ...]) -> tuple[str, list[str]]:
    """What a command really runs (sidekiq, kiqdoctor, puma, gunicorn, unicorn; "" for anything else), and its words."""
    expanded = [part for word in words for part in (word.split() if " " in word else [word])]
    for number, word in enumerate(expanded):
        name = PurePosixPath(word).name
        if name in {"sidekiq", "puma", "gunicorn", "unicorn", "sidekiqswarm"}:
            return ("sidekiq" if name == "sidekiqswarm" else name), expanded[number + 1 :]
        if name == "kiqdoctor" and expanded[number + 1 : number + 2] == ["work"]:
            return "kiqdoctor", expanded[number + 2 :]
    return "", []


def _program(words: tuple[str, ...]) -> str:
    return _split(words)[0]


def _option(words: tuple[str, ...], *names: str) -> str | None:
    return next(_options(words, *names), None)


def _options(words: tuple[str, ...], *names: str) -> Iterator[str | None]:
    """Each value of an option, None where the command ends before it."""
    rest = _split(words)[1]
    for number, word in enumerate(rest):
        for name in names:
            if word == name:
                yield rest[number + 1] if number + 1 < len(rest) else None
            elif word.startswith(f"{name}="):
                yield word.partition("=")[2]
            elif not name.startswith("--") and word.startswith(name) and word[len(name) :].isdigit():
                yield word[len(name) :]


def _worker(command: Command, configured: WorkerConfig | None) -> WorkerConfig | None:
    program = _program(command.words)
    if program not in {"sidekiq", "kiqdoctor"}:
        return None
    threads = _option(command.words, "-c", "--concurrency")
    base = configured if program == "sidekiq" and configured is not None else WorkerConfig(command.path)
    return replace(
        base,
        path=command.path,
        line=command.line,
        concurrency=int(threads) if threads and threads.isdigit() else base.concurrency,
        queues=tuple(_queue(one) for one in _options(command.words, "-q", "--queue") if one) or base.queues,
        processes=command.replicas,
        language="python" if program == "kiqdoctor" else "ruby",
    )


def _web(command: Command) -> WebConfig | None:
    program = _program(command.words)
    if program not in {"puma", "gunicorn", "unicorn"}:
        return None
    workers = _option(command.words, "-w", "--workers")
    threads = _option(command.words, "-t", "--threads")
    most = threads.rpartition(":")[2] if threads else ""
    if program == "puma" and not workers and not threads:
        return None
    count = int(workers) if workers and workers.isdigit() else 1
    return WebConfig(
        path=command.path,
        line=command.line,
        processes=count * (command.replicas or 1),
        threads=int(most) if most.isdigit() else 1 if program != "puma" else None,
        server=program,
    )


def _puma(reader: Reader) -> Iterator[WebConfig]:
    raw = reader.raw(reader.root / "config/puma.rb")
    if raw is None:
        return
    tree = parse(raw)
    variables = {
        text(node.child_by_field_name("left")): node.child_by_field_name("right")
        for node in walk(tree)
        if node.type == "assignment"
    }
    found: dict[str, int | None] = {}
    for node in walk(tree):
        receiver, method, arguments = call(node)
        if not receiver and method in {"workers", "threads"} and arguments:
            found[method] = _number(arguments[-1], variables)
    yield WebConfig("config/puma.rb", 1, found.get("workers", 0) or 1, found.get("threads", 5), "puma")


def _number(node: Any, variables: dict[str, Any], depth: int = 0) -> int | None:
    """A number, an environment variable's default, or a variable that holds one."""
    if node is None or depth > 10:  # noqa: PLR2004 - names that lead to names
        return None
    if node.type == "identifier" and text(node) in variables:
        return _number(variables[text(node)], variables, depth + 1)
    inner = [one for one in walk(node) if one.type == "integer"]
    literal = text(inner[0]).replace("_", "") if inner else ""
    return int(literal) if literal.isdigit() else None


def _in_code(reader: Reader) -> dict[str, Any]:
    """Concurrency and capsules that an initializer sets."""
    found: dict[str, Any] = {}
    capsules: list[tuple[str, int]] = []
    for path in files(reader.root / "config", ".rb"):
        raw = reader.raw(path)
        if raw is None or b"Sidekiq" not in raw:
            continue
        for node in walk(parse(raw)):
            if node.type == "assignment" and text(node.child_by_field_name("left")) == "config.concurrency":
                number = _number(node.child_by_field_name("right"), {})
                found |= {"concurrency": number} if number else {}
            capsules += _capsule(node)
    return found | ({"capsules": tuple(capsules)} if capsules else {})


def _capsule(node: Any) -> list[tuple[str, int]]:
    """Name and threads of a ``config.capsule("name") { ... }``."""
    _, method, arguments = call(node)
    if method != "capsule" or not arguments:
        return []
    threads = [
        _number(one.child_by_field_name("right"), {})
        for one in walk(node)
        if one.type == "assignment" and text(one.child_by_field_name("left")).endswith(".concurrency")
    ]
    return [(string(arguments[0]) or text(arguments[0]), next((one for one in threads if one), 0))]
