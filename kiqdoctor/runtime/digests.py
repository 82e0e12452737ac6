"""What a process tells of itself beyond Sidekiq's beat, short enough to compare: revision, digests, pools, threads."""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from kiqdoctor.text import clean
from kiqdoctor.wire import codec, heartbeat

if TYPE_CHECKING:
    from importlib.metadata import Distribution

LENGTH: Final = 16  # hex characters of a digest
DEPLOY_LIMIT: Final = 64  # characters
POOL_LIMIT: Final = 32  # pools
PACKED_REFS_LIMIT: Final = 4 * 1024 * 1024  # bytes
HEAD: Final = 4_096  # bytes at the start of an ELF file, where its build id and first tables lie

REVISIONS: Final = (
    "KIQDOCTOR_DEPLOY",
    "HEROKU_SLUG_COMMIT",
    "HEROKU_BUILD_COMMIT",
    "K_REVISION",  # Cloud Run
    "GIT_REV",  # Dokku
    "SOURCE_VERSION",
    "RENDER_GIT_COMMIT",
    "RAILWAY_GIT_COMMIT_SHA",
    "KAMAL_VERSION",
    "FLY_IMAGE_REF",
    "GIT_COMMIT",
    "GIT_SHA",
)
"""Variables that name the running revision, the first that is set wins."""

_COMMIT: Final = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_NATIVE: Final = re.compile(r"\.so(\.[0-9.]+)?$")
_DELETED: Final = " (deleted)"


@dataclass(frozen=True, slots=True)
class About:
    """Digests are 16 hex characters, or "" where nothing could be read. ``threads``: how many by state."""

    deploy: str = ""
    config: str = ""
    namespace: str = ""
    packages: str = ""
    natives: str = ""
    pools: Mapping[str, int] = field(default_factory=dict)
    threads: Mapping[str, int] = field(default_factory=dict)

    def with_threads(self, *, running: int, waiting: int, idle: int) -> "About":
        """The same at this beat."""
        return replace(self, threads={"running": running, "waiting": waiting, "idle": idle})

    def as_fields(self) -> dict[str, str]:
        """As the hash ``Keys.about`` has it: texts; pools and threads are JSON objects."""
        return {
            heartbeat.DEPLOY: self.deploy,
            heartbeat.CONFIG: self.config,
            heartbeat.NAMESPACE: self.namespace,
            heartbeat.PACKAGES: self.packages,
            heartbeat.NATIVES: self.natives,
            heartbeat.POOLS: codec.encode(dict(self.pools)).decode(),
            heartbeat.THREADS: codec.encode(dict(self.threads)).decode(),
        }


def gather(
    *,
    environ: Mapping[str, str],
    folder: Path,
    config: Mapping[str, Any],
    namespace: str | None,
    pools: Mapping[str, int],
) -> About:
    """Everything that stays as it is, for one call at boot, after the application was imported; milliseconds.

    ``config`` holds JSON values and no secret: a digest of something short can be guessed.
    """
    return About(
        deploy=deploy_id(environ, folder),
        config=config_digest(config),
        namespace=digest(namespace or ""),
        packages=package_digest(),
        natives=native_digest(),
        pools={clean(name, DEPLOY_LIMIT): size for name, size in list(pools.items())[:POOL_LIMIT]},
    )


def digest(text: str) -> str:
    """The first 16 hex characters of SHA-256."""
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:LENGTH]


def config_digest(config: Mapping[str, Any]) -> str:
    """Of the values, whatever order the names have; 25 and 25.0 are the same.

    Raises:
        TypeError: a value has no JSON form.
    """
    return digest(repr(_ordered(config)))


def _ordered(value: Any) -> Any:
    if isinstance(value, Mapping):
        return sorted((str(name), _ordered(one)) for name, one in value.items())
    if isinstance(value, list | tuple):
        return [_ordered(one) for one in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if value is None or isinstance(value, str | int | float):
        return value
    raise TypeError(f"a configuration holds JSON values, not a {type(value).__name__}")


def deploy_id(environ: Mapping[str, str], folder: Path) -> str:
    """What the platform calls this revision, or else the commit that is checked out here; "" where neither is told."""
    for name in REVISIONS:
        if value := environ.get(name, "").strip():
            return clean(value, DEPLOY_LIMIT)
    return git_head(folder)


def git_head(folder: Path) -> str:
    """The commit of the checkout that holds the folder, from git's files: git itself may not be there. "" for none."""
    with suppress(OSError, ValueError):
        for above in (folder, *folder.parents):
            if (above / ".git").exists():
                return _commit(_git_folder(above / ".git"))
    return ""


def _git_folder(found: Path) -> Path:
    """A worktree and a submodule have a file that says where it is."""
    if found.is_dir():
        return found
    return found.parent / _first_line(found).removeprefix("gitdir:").strip()


def _commit(git: Path) -> str:
    head = _first_line(git / "HEAD")
    if not head.startswith("ref:"):
        return _valid(head)
    name = head.removeprefix("ref:").strip()
    if not name.startswith("refs/") or ".." in name:
        return ""
    homes = [git]
    if (git / "commondir").is_file():
        homes.append(git / _first_line(git / "commondir"))
    for home in homes:
        if (home / name).is_file():
            return _valid(_first_line(home / name))
    return next((found for home in homes for found in _packed(home / "packed-refs", name)), "")


def _packed(path: Path, name: str) -> Iterator[str]:
    if path.is_file() and path.stat().st_size <= PACKED_REFS_LIMIT:
        for line in path.read_text("utf-8", "replace").splitlines():
            commit, _, ref = line.partition(" ")
            if ref == name:
                yield _valid(commit)


def _first_line(path: Path) -> str:
    with path.open(encoding="utf-8", errors="replace") as file:
        return file.readline(HEAD).strip()


def _valid(commit: str) -> str:
    return commit if _COMMIT.fullmatch(commit) else ""


def package_digest(path: Iterable[str] | None = None) -> str:
    """Of the installed distributions as ``name==version`` lines, those that an import would find first."""
    from importlib.metadata import distributions

    found: dict[str, str] = {}
    for one in distributions() if path is None else distributions(path=list(path)):
        name, version = _named(one)
        if name:
            found.setdefault(re.sub(r"[-_.]+", "-", name).lower(), version)
    return digest("\n".join(sorted(f"{name}=={version}" for name, version in found.items()))) if found else ""


def _named(one: "Distribution") -> tuple[str, str]:
    try:
        found = one.metadata  # parsed anew each time that it is asked for
        return found["Name"], found["Version"]
    except Exception:  # noqa: BLE001 - a folder that half an uninstall left behind
        return "", ""


def native_digest(maps: Path = Path("/proc/self/maps")) -> str:
    """Of the extension modules and their libraries that are loaded now; "" where the system does not tell.

    Each counts by its name, size and first bytes, where a linker puts the build id. Not by its time: that is when it
    was installed, so that two hosts with the same wheels would differ.
    """
    try:
        mapped = {line.split(maxsplit=5)[-1] for line in maps.read_text("utf-8", "replace").splitlines()}
    except OSError:
        return ""
    found = sorted({_native(path) for path in mapped if _is_native(path.removesuffix(_DELETED))})
    return digest("\n".join(found)) if found else ""


def _is_native(path: str) -> bool:
    folders = ("/site-packages/", "/dist-packages/", "/lib-dynload/")
    own = path.endswith(".abi3.so") or ".cpython-" in path  # an extension that lies beside the application
    return bool(_NATIVE.search(path)) and (own or any(folder in path for folder in folders))


def _native(path: str) -> str:
    name = Path(path.removesuffix(_DELETED)).name
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - some hundred files
            head = hashlib.sha256(file.read(HEAD)).hexdigest()
            return f"{name} {file.seek(0, 2)} {head}"
    except OSError:
        return f"{name} replaced"  # under a process that runs: what it has loaded lies nowhere any more
