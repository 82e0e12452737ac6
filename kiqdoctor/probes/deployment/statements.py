"""Every statement of an application's deployment files, by format, and the files that could not be read."""

from collections.abc import Iterable, Iterator
from dataclasses import field

from kiqdoctor.probes.deployment.formats import Format, formats
from kiqdoctor.probes.deployment.helm import VALUES, chart_of, filled
from kiqdoctor.probes.deployment.programs import WORKERS
from kiqdoctor.probes.deployment.records import Record
from kiqdoctor.probes.tree.disk import UnreadableError
from kiqdoctor.probes.tree.errors import UnparsedError
from kiqdoctor.probes.tree.file import File
from kiqdoctor.probes.tree.tree import Tree
from kiqdoctor.records import dataclass


@dataclass
class Statements:
    """What was read of one application; a configuration file that only a command names is read when it is asked for."""

    tree: Tree
    said: list[tuple[Format, Record]] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)

    def read(self, kind: Format, file: File) -> list[Record]:
        """A file's records; none where it cannot be read, which is remembered where it may matter."""
        try:
            return list(kind.parse(filled(file, self.tree)))
        except (UnreadableError, UnparsedError) as error:
            if not kind.common or _speaks_of_workers(file) or self._in_values(file):
                line = getattr(error, "line", 0)
                self.unreadable[file.path] = f"{error} (line {line})" if line else str(error)
            return []

    def _in_values(self, template: File) -> bool:
        """Whether it starts containers of a chart whose values name a worker."""
        folder = chart_of(template, self.tree)
        values = self.tree.file(f"{folder}{VALUES}") if folder is not None else None
        return values is not None and _speaks_of_workers(values) and _says(template, ("containers:",))

    def configuration(self, program: str, path: str) -> list[Record]:
        """A program's configuration file that somebody names, wherever it lies."""
        file = _found(self.tree, path)
        if file is None:
            self.unreadable[path] = f"{program} is started with this configuration, and it is not there"
            return []
        own = [kind for kind in formats() if kind.program == program]
        ends = [kind for kind in own if any(glob.endswith(f".{file.name.rpartition('.')[2]}") for glob in kind.globs)]
        return [record for kind in (ends or own)[:1] for record in self.read(kind, file)]


def statements(tree: Tree) -> Statements:
    """All that are found by their names."""
    found = Statements(tree)
    for kind in formats():
        for file in tree.named(*kind.globs):
            found.said += [(kind, record) for record in found.read(kind, file)]
    return found


def _found(tree: Tree, path: str) -> File | None:
    """The file, where an image or a host may hold the application at another place: /app/config/x is config/x."""
    parts = path.strip("/").split("/")
    names: Iterator[str] = ("/".join(parts[number:]) for number in range(len(parts) if path.startswith("/") else 1))
    return next((file for name in names if (file := tree.file(name)) is not None), None)


def _speaks_of_workers(file: File) -> bool:
    return _says(file, WORKERS)


def _says(file: File, words: Iterable[str]) -> bool:
    try:
        content = file.content()
    except UnreadableError:
        return False
    return any(word.encode() in content for word in words)
