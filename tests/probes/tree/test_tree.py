"""The application's files: what is production, what a link may lead to, and that each is read and parsed once."""

import os
import socket
import threading
from pathlib import Path

import pytest

from kiqdoctor.probes.tree import tree as module
from kiqdoctor.probes.tree.disk import UnreadableError
from kiqdoctor.probes.tree.errors import UnparsedError
from kiqdoctor.probes.tree.file import File
from kiqdoctor.probes.tree.tree import Tree


def written(root: Path, *paths: str, text: str = "x = 1\n") -> Tree:
    for path in paths:
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return Tree(root)


def paths(files: tuple[File, ...]) -> list[str]:
    return [one.path for one in files]


def reason(file: File | None) -> str:
    assert file is not None
    with pytest.raises(UnreadableError) as caught:
        file.content()
    return str(caught.value)


@pytest.mark.parametrize(
    "path",
    [
        *("tests/a.py", "shop/tests/settings.py", "a/b/spec/c.rb", "shop/conftest.py", "shop/test_jobs.py", "tests.py"),
        *("vendor/bundle/a.rb", "lib/vendor/a.rb", ".venv/lib/a.py", "a/node_modules/b/c.rb", "pip/_vendor/a.py"),
        *(".git/hooks/a.py", "docs/conf.py", "examples/a.rb", "a/fixtures/a.py", "a/__pycache__/a.py", "tmp/a.rb"),
        "lib/templates/rails/scaffold_controller/controller.rb",
    ],
)
def test_what_is_no_production_at_any_depth(tmp_path: Path, path: str) -> None:
    tree = written(tmp_path, path, f"deep/er/{path}", "app/jobs.py")

    assert paths(tree.files(".py", ".rb")) == ["app/jobs.py"]


@pytest.mark.parametrize(
    "path",
    ["app/features/a.rb", "app/models/ab_test.rb", "lib/log/a.py", "lib/build/a.rb", "samples/a.py", "latest.py"],
)
def test_what_only_sounds_like_it(tmp_path: Path, path: str) -> None:
    assert paths(written(tmp_path, path).files(".py", ".rb")) == [path]


def test_folders_that_are_known_by_what_they_hold(tmp_path: Path) -> None:
    tree = written(
        tmp_path,
        *("myenv/pyvenv.cfg", "myenv/lib/a.py", "features/step_definitions/a.rb", "features/b.rb"),
        *("libs/requests/api.py", "libs/requests-2.32.3.dist-info/METADATA"),
    )

    assert tree.files(".py", ".rb") == ()


def test_the_root_s_own_name_says_nothing(tmp_path: Path) -> None:
    assert paths(written(tmp_path / "tests", "a.py").files(".py")) == ["a.py"]


def test_files_by_path_and_glob_in_order(tmp_path: Path) -> None:
    tree = written(
        tmp_path, "b/x.service", "a.service", "b/c/y.service", "Procfile", "requirements/a.txt", "tests/Procfile"
    )

    assert paths(tree.files(".service")) == ["a.service", "b/x.service", "b/c/y.service"]
    assert paths(tree.named("**/*.service")) == ["a.service", "b/x.service", "b/c/y.service"]
    assert paths(tree.named("*.service", "b/*.service")) == ["a.service", "b/x.service"]
    assert paths(tree.named("Procfile", "./Procfile", "nothing", "requirements/*.txt")) == [
        "Procfile",
        "requirements/a.txt",
    ]


def test_a_file_that_somebody_names_is_read_wherever_it_lies(tmp_path: Path) -> None:
    tree = written(tmp_path, "docs/sidekiq.yml")

    assert tree.file("docs/sidekiq.yml") is not None
    assert tree.file("docs/../docs/sidekiq.yml") == tree.file("docs/sidekiq.yml")


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a/../../x", "..", ".", "", "docs", "no", "a\0b", "x" * 5000])
def test_paths_that_are_no_file_of_it(tmp_path: Path, path: str) -> None:
    (tmp_path / "x").write_text("")
    (tmp_path / "root" / "docs").mkdir(parents=True)

    assert Tree(tmp_path / "root").file(path) is None


def test_links_below_the_root_are_one_file(tmp_path: Path) -> None:
    tree = written(tmp_path, "b.py")
    (tmp_path / "a.py").symlink_to("b.py")
    (tmp_path / "c.py").symlink_to(tmp_path / "b.py")
    (tmp_path / "again").symlink_to(".")

    assert paths(tree.files(".py")) == ["b.py"]
    first, second, third = tree.file("a.py"), tree.file("b.py"), tree.file("again/c.py")
    assert first is not None
    assert second is not None
    assert third is not None
    assert first.content() is second.content() is third.content()
    assert tree.refused == ()


def test_the_root_may_be_a_link(tmp_path: Path) -> None:
    """``current`` of a deployment leads to a release."""
    written(tmp_path / "releases" / "1", "a.py", "jobs/b.py")
    (tmp_path / "current").symlink_to("releases/1")
    tree = Tree(tmp_path / "current")

    assert paths(tree.files(".py")) == ["a.py", "jobs/b.py"]
    assert tree.refused == ()


def test_a_link_to_what_is_not_listed_itself_is_the_file(tmp_path: Path) -> None:
    tree = written(tmp_path, "shared/settings.example")
    (tmp_path / "settings.py").symlink_to("shared/settings.example")
    (tmp_path / "too.py").symlink_to("shared/settings.example")

    assert paths(tree.files(".py")) == ["settings.py"]
    assert tree.files(".py")[0].text() == "x = 1\n"


@pytest.mark.parametrize("target", ["../secret", "/proc/self/environ", "/etc/passwd", "../out/secret"])
def test_links_out_are_refused_and_named(tmp_path: Path, target: str) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "secret").write_text("s3cret")
    (tmp_path / "out" / "secret").write_text("s3cret")
    tree = written(tmp_path / "root", "a.py")
    (tmp_path / "root" / "b.py").symlink_to(target)

    assert paths(tree.files(".py")) == ["a.py", "b.py"]
    assert reason(tree.files(".py")[1]) == "a link leads out of the application"
    assert tree.refused == (("b.py", "a link leads out of the application"),)


def test_a_folder_s_link_out_is_named_and_not_walked(tmp_path: Path) -> None:
    written(tmp_path / "out", "a.py")
    tree = written(tmp_path / "root", "b.py")
    (tmp_path / "root" / "jobs").symlink_to("../out")

    assert paths(tree.files(".py")) == ["b.py"]
    assert reason(tree.file("jobs/a.py")) == "a link leads out of the application"
    assert ("jobs", "a link leads out of the application") in tree.refused


def test_a_monorepo_s_files_may_be_linked_and_its_version_control_may_not(tmp_path: Path) -> None:
    written(tmp_path / "mono", ".git/config", "shared/a.py")
    tree = written(tmp_path / "mono" / "shop", "b.py")
    (tmp_path / "mono" / "shop" / "a.py").symlink_to("../shared/a.py")
    (tmp_path / "mono" / "shop" / "c.py").symlink_to("../.git/config")

    assert paths(tree.files(".py")) == ["a.py", "b.py", "c.py"]
    assert tree.files(".py")[0].text() == "x = 1\n"
    assert reason(tree.files(".py")[2]) == "a link leads out of the application"


def test_what_is_no_regular_file_is_never_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "fifo.py")
    (tmp_path / "link.py").symlink_to("fifo.py")
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as one:
        one.bind("socket.py")
    tree = Tree(tmp_path)

    assert [reason(one) for one in tree.files(".py")] == ["it is a FIFO, no regular file"] * 2 + [
        "it is a socket, no regular file"
    ]
    assert reason(tree.file("link.py")) == "it is a FIFO, no regular file"


def test_a_large_or_sparse_file_is_refused_by_its_size(tmp_path: Path) -> None:
    tree = written(tmp_path, "a.py", "uv.lock")
    os.truncate(tmp_path / "a.py", 1 << 40)
    os.truncate(tmp_path / "uv.lock", 2 << 20)

    assert reason(tree.file("a.py")) == "it holds 1099511627776 bytes, more than 1048576"
    assert tree.refused == (("a.py", "it holds 1099511627776 bytes, more than 1048576"),)
    assert len(tree.named("uv.lock")[0].content()) == 2 << 20


def test_what_leads_nowhere_or_to_itself(tmp_path: Path) -> None:
    (tmp_path / "a.py").symlink_to("nothing")
    (tmp_path / "b.py").symlink_to("b.py")
    tree = Tree(tmp_path)

    assert [reason(one) for one in tree.files(".py")] == ["it leads nowhere", "it leads to itself"]


def test_no_root_is_no_file_and_a_reason(tmp_path: Path) -> None:
    tree = Tree(tmp_path / "nothing")

    assert (tree.files(".py"), tree.named("**/*.py", "a"), tree.file("a")) == ((), (), None)
    assert tree.refused == ((".", "No such file or directory"),)


def test_a_name_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"\xff.py")).write_text("x = 1\n")

    [file] = Tree(tmp_path).files(".py")

    assert (file.path, file.text()) == ("\\xff.py", "x = 1\n")


def test_too_many_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_FILES", 2)
    tree = written(tmp_path, "a.py", "b.py", "c.py", "d.rb")

    assert paths(tree.files(".py")) == ["a.py", "b.py"]
    assert tree.refused == ((".", "3 files end in .py; the first 2 were looked at"),)


def test_more_refusals_than_are_named_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_REFUSED", 2)
    for name in "abcde":
        (tmp_path / f"{name}.py").symlink_to("/etc/passwd")
    tree = Tree(tmp_path)

    assert len(tree.files(".py")) == 5
    assert [path for path, _ in tree.refused] == ["a.py", "b.py", "."]
    assert tree.refused[-1] == (".", "and 3 more that were not read")


def test_too_many_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_ENTRIES", 2)

    assert len(written(tmp_path, "a.py", "b.py", "c.py").files(".py")) == 2
    assert written(tmp_path).refused == ()
    tree = Tree(tmp_path)
    tree.files(".py")
    assert tree.refused == ((".", "it holds more than 2 names; the rest were not looked at"),)


@pytest.mark.parametrize(
    ("text", "line"),
    [("x = 1\ndef f(:\n", 2), ("\0", 0), ("x = " + "(" * 5000, 1), ("# coding: punycode\nx = 1\n", 0)],
)
def test_what_is_no_python_says_where(tmp_path: Path, text: str, line: int) -> None:
    file = written(tmp_path, "a.py", text=text).file("a.py")
    assert file is not None

    for _ in range(2):
        with pytest.raises(UnparsedError) as caught:
            file.python()
        assert caught.value.line == line


def test_threads_that_ask_at_once_get_one_tree(tmp_path: Path) -> None:
    tree = written(tmp_path, "a.py", "b.rb")
    trees: list[object] = []

    def ask() -> None:
        trees.append(tree.files(".py")[0].python())

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()

    assert len(trees) == 8
    assert len(set(map(id, trees))) == 1


def test_tests_are_walked_only_for_who_asks_for_them(tmp_path: Path) -> None:
    for name in (
        "shop/app.py",
        "shop/tests/test_a.py",
        "shop/test_b.py",
        "spec/c.py",
        "venv/tests/d.py",
        "conftest.py",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    tree = Tree(tmp_path)

    assert [one.path for one in tree.files(".py")] == ["shop/app.py"]
    assert {one.path for one in tree.tests(".py")} == {
        "conftest.py",
        "shop/tests/test_a.py",
        "shop/test_b.py",
        "spec/c.py",
    }


PATHS = (
    "Makefile",
    "Procfile",
    "Procfile.dev",
    "bin/run",
    "bin/a/run",
    "config/puma.rb",
    "config/a/puma.rb",
    "app/config/puma.rb",
    "app/Makefile",
    "app/bin/run",
    "deploy/compose.yml",
    "compose.prod.yml",
    "x.d/y.service",
)


@pytest.mark.parametrize(
    ("glob", "fitting"),
    [
        ("**/Makefile", {"Makefile", "app/Makefile"}),
        ("Procfile.*", {"Procfile.dev"}),
        ("Procfile*", {"Procfile", "Procfile.dev"}),
        ("bin/*", {"bin/run"}),
        ("config/**/*.rb", {"config/puma.rb", "config/a/puma.rb"}),
        ("**/config/puma.rb", {"config/puma.rb", "app/config/puma.rb"}),
        ("*/Makefile", {"app/Makefile"}),
        ("**/compose*.yml", {"deploy/compose.yml", "compose.prod.yml"}),
        ("*.d/*.service", {"x.d/y.service"}),
        ("**/bin/*", {"bin/run", "app/bin/run"}),
        ("b?n/r*", {"bin/run"}),
        ("nowhere/*", set()),
    ],
)
def test_what_a_glob_fits(tmp_path: Path, glob: str, fitting: set[str]) -> None:
    found = [one.path for one in written(tmp_path, *PATHS).named(glob)]

    assert set(found) == fitting
    assert len(found) == len(fitting)


@pytest.mark.parametrize(
    ("paths", "home"),
    [
        (("services/worker/Gemfile", "services/worker/config/puma.rb", "README"), "services/worker/"),
        (("api/pyproject.toml", "api/plugins/mail/pyproject.toml", "web/package.json"), "api/"),
        (("api/requirements-prod.txt", "docs/requirements.txt"), "api/"),
        (("Gemfile", "engines/mail/Gemfile"), ""),
        (("Procfile", "api/pyproject.toml"), ""),
        (("config/sidekiq.yml", "api/Gemfile"), ""),
        (("api/pyproject.toml", "worker/pyproject.toml"), ""),
        (("api/Procfile",), ""),
    ],
)
def test_the_only_application_below_a_root_that_is_none(tmp_path: Path, paths: tuple[str, ...], home: str) -> None:
    assert written(tmp_path, *paths).home == home


def test_what_is_named_lies_in_the_home_too(tmp_path: Path) -> None:
    tree = written(tmp_path, "api/pyproject.toml", "api/Procfile", "api/config/a.rb", "config/b.rb", "api/bin/run")

    assert paths(tree.named("Procfile", "config/*.rb", "**/*.rb")) == ["api/Procfile", "config/b.rb", "api/config/a.rb"]
    assert [one and one.path for one in (tree.file("bin/run"), tree.file("api/bin/run"), tree.file("bin/no"))] == [
        "api/bin/run",
        "api/bin/run",
        None,
    ]
