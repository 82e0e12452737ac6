"""Any tree of files, links, FIFOs and folders: it ends, nothing outside is read, each file is read and parsed once."""

import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kiqdoctor.probes.tree.disk import UnreadableError
from kiqdoctor.probes.tree.errors import UnparsedError
from kiqdoctor.probes.tree.file import LARGEST, File
from kiqdoctor.probes.tree.tree import Tree

SECRET = "s3cret = 'of somebody else'"
FOLDERS = ("a", "b", "c", "tests", "vendor")
FILES = ("x.py", "y.py", "z.rb", "Procfile", "w.yml", "a")
OUT = ("../secret.py", "../out", "/proc/self/environ", "/proc/self/cwd", "/dev/zero", "/etc/passwd", "/", "../../..")
IN = ("x.py", "a/x.py", "../x.py", ".", "..", "a", "b/c/z.rb", "nothing", "../a/../b/y.py")


@dataclass
class Watch:
    """What this process opened while it was looked at, by where it lies."""

    files: Counter[str] = field(default_factory=Counter)
    folders: Counter[str] = field(default_factory=Counter)
    compiled: int = 0


_watches: list[Watch] = []


def _audit(event: str, arguments: tuple[object, ...]) -> None:
    if not _watches:
        return
    watch = _watches[-1]
    if event == "open" and arguments[0] and isinstance(arguments[2], int) and not arguments[2] & os.O_PATH:
        watch.files[_where(arguments[0])] += 1
    elif event == "os.scandir":
        watch.folders[_where(arguments[0])] += 1
    elif event == "compile":
        watch.compiled += 1


def _where(path: object) -> str:
    if isinstance(path, str) and path.startswith("/proc/self/fd/"):
        return str(Path(path).readlink())
    return str(path)


sys.addaudithook(_audit)


@contextmanager
def watched() -> Iterator[Watch]:
    _watches.append(Watch())
    try:
        yield _watches[-1]
    finally:
        _watches.pop()


places = st.lists(st.sampled_from(FOLDERS), max_size=3).map(lambda parts: "".join(f"{one}/" for one in parts))
things = st.one_of(
    st.sampled_from(["x = 1\n", "def f(:\n", "\0", "kind: [", ""]).map(lambda text: ("file", text)),
    st.sampled_from([*OUT, *IN]).map(lambda target: ("link", target)),
    st.sampled_from([("fifo", ""), ("sparse", str(1 << 40)), ("sparse", str(LARGEST)), ("own", "")]),
)
trees = st.dictionaries(st.tuples(places, st.sampled_from(FILES)), things, max_size=12)


def build(root: Path, spec: dict[tuple[str, str], tuple[str, str]]) -> None:
    for (place, name), (kind, what) in spec.items():
        folder = root / place
        if taken(root, folder) or os.path.lexists(folder / name):
            continue
        folder.mkdir(parents=True, exist_ok=True)
        make(folder / name, kind, what, root)


def taken(root: Path, folder: Path) -> bool:
    """Whether a part of the path is no folder of the tree's own: nothing is ever made through a link."""
    above = [one for one in (folder, *folder.parents) if one.is_relative_to(root)]
    return any(one.is_symlink() or (one.exists() and not one.is_dir()) for one in above)


def make(path: Path, kind: str, what: str, root: Path) -> None:
    if kind == "file":
        path.write_text(what)
    elif kind == "link":
        path.symlink_to(what)
    elif kind == "own":
        path.symlink_to(root / "a" / "x.py")
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path.touch()
        os.truncate(path, int(what))


def everything(tree: Tree) -> list[File]:
    found = [*tree.files(".py"), *tree.files(".rb"), *tree.named("**/*.yml", "**/Procfile", "Procfile", "**/a")]
    for place in ("", "a/", "tests/", "vendor/a/", "b/c/"):
        found += [one for name in FILES if (one := tree.file(f"{place}{name}")) is not None]
    return found


def use(file: File) -> bytes:
    """All that anybody asks of a file, twice; its content, empty where that is refused."""
    content = b""
    for _ in range(2):
        for ask in (file.content, file.python, file.ruby, file.yaml, file.toml):
            try:
                answer = ask()
            except (UnreadableError, UnparsedError):
                continue
            content = answer if isinstance(answer, bytes) else content
    return content


@pytest.fixture(scope="module", autouse=True)
def parsers(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Imported beforehand: their own files are opened too."""
    folder = tmp_path_factory.mktemp("first")
    (folder / "x.py").write_text("<%= x = 1 %>\n")
    use(Tree(folder).files(".py")[0])


@given(trees)
@settings(max_examples=100, deadline=None)
def test_nothing_outside_and_nothing_twice(spec: dict[tuple[str, str], tuple[str, str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve() / "root"
        (root.parent / "out").mkdir()
        (root.parent / "out" / "x.py").write_text(SECRET)
        (root.parent / "secret.py").write_text(SECRET)
        root.mkdir()
        build(root, spec)
        own = {str(one) for one in root.rglob("*") if one.is_file() and not one.is_symlink()}

        with watched() as watch:
            tree = Tree(root)
            files = [one for _ in range(2) for one in everything(tree)]
            contents = [use(one) for one in files]

        assert not any(SECRET.encode() in content for content in contents)
        assert set(watch.files) <= own
        assert set(watch.files.values()) <= {1}
        assert watch.compiled <= len(watch.files)
        assert all(f"{one}/".startswith(f"{root}/") for one in watch.folders)
        assert set(watch.folders.values()) <= {1}
        small = {one for one in own if one.endswith(".py") and Path(one).stat().st_size <= LARGEST}
        assert {one for one in small if not {"tests", "vendor"} & set(one.split("/"))} <= set(watch.files)
        assert all(reason for _, reason in tree.refused)


def test_the_watch_sees_what_is_opened(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\n")

    with watched() as watch:
        Tree(tmp_path).files(".py")[0].python()
        Tree(tmp_path).files(".py")[0].python()

    assert watch.files == {str(tmp_path / "a.py"): 2}
    assert watch.folders == {str(tmp_path): 2}
    assert watch.compiled == 2


def test_folders_deeper_than_a_path_can_say(tmp_path: Path) -> None:
    name = "d" * 250
    here = os.open(tmp_path, os.O_DIRECTORY)
    for _ in range(20):
        os.mkdir(name, dir_fd=here)
        below = os.open(name, os.O_DIRECTORY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    tree = Tree(tmp_path)

    assert tree.files(".py") == ()
    assert [reason for _, reason in tree.refused] == ["File name too long"]
