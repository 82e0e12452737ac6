"""What a process tells of itself: stable for equal processes, other for different ones, and bounded."""

import ctypes
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from importlib import metadata
from pathlib import Path
from types import MappingProxyType

import pytest

from kiqdoctor.runtime.digests import (
    About,
    config_digest,
    deploy_id,
    digest,
    gather,
    git_head,
    native_digest,
    package_digest,
)

GIT = shutil.which("git")
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def git(folder: Path, *words: str) -> str:
    if GIT is None:
        pytest.skip("git is not installed")
    alone = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull, "PATH": os.environ["PATH"]}
    who = ("-c", "user.name=t", "-c", "user.email=t@example.com")
    return subprocess.run([GIT, *who, *words], cwd=folder, env=alone, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "app"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    git(folder, "commit", "-q", "--allow-empty", "-m", "one")
    return folder


def head(folder: Path) -> str:
    return git(folder, "rev-parse", "HEAD").strip()


def test_the_commit_of_a_branch(checkout: Path) -> None:
    (checkout / "deep" / "er").mkdir(parents=True)

    assert git_head(checkout) == git_head(checkout / "deep" / "er") == head(checkout)


def test_the_commit_of_packed_refs(checkout: Path) -> None:
    git(checkout, "pack-refs", "--all")
    assert not (checkout / ".git/refs/heads/main").exists()

    assert git_head(checkout) == head(checkout)


def test_the_commit_of_a_detached_head(checkout: Path) -> None:
    git(checkout, "checkout", "-q", "--detach")

    assert git_head(checkout) == head(checkout)


@pytest.mark.parametrize("packed", [False, True])
def test_the_commit_of_a_worktree(checkout: Path, packed: bool) -> None:
    git(checkout, "worktree", "add", "-q", "../other", "-b", "other")
    git(checkout.parent / "other", "commit", "-q", "--allow-empty", "-m", "two")
    if packed:
        git(checkout, "pack-refs", "--all")

    assert git_head(checkout.parent / "other") == head(checkout.parent / "other") != head(checkout)


def test_no_commit_yet(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")

    assert git_head(tmp_path) == ""


@pytest.mark.parametrize(
    "text", ["ref: refs/../../secret", "ref: /etc/hostname", "", "ref:", "zz", "\0", "ref: refs/\0", COMMIT[:-1]]
)
def test_what_is_no_commit_is_not_told(tmp_path: Path, text: str) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git/HEAD").write_text(text)
    (tmp_path / "secret").write_text(COMMIT)

    assert git_head(tmp_path) == ""


def test_a_git_folder_that_is_gone(tmp_path: Path) -> None:
    (tmp_path / ".git").write_text("gitdir: /nowhere/at/all\n")

    assert git_head(tmp_path) == ""


@pytest.mark.parametrize(
    ("environ", "found"),
    [
        ({"KIQDOCTOR_DEPLOY": "v7", "HEROKU_SLUG_COMMIT": "abc"}, "v7"),
        ({"KIQDOCTOR_DEPLOY": " ", "HEROKU_SLUG_COMMIT": "abc"}, "abc"),
        ({"K_REVISION": "mailer-00042"}, "mailer-00042"),
        ({"RENDER_GIT_COMMIT": COMMIT}, COMMIT),
        ({}, COMMIT),
    ],
)
def test_the_platform_names_the_deploy_before_git_does(tmp_path: Path, environ: dict[str, str], found: str) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git/HEAD").write_text(COMMIT + "\n")

    assert deploy_id(environ, tmp_path) == found


def test_a_deploy_id_is_short_and_clean(tmp_path: Path) -> None:
    found = deploy_id({"GIT_REV": "\x1b" + "x" * 500}, tmp_path)

    assert len(found) == 64
    assert found.startswith("␛x")


def test_equal_configurations_have_equal_digests() -> None:
    one = {"queues": [["a", 1], ["b", 2]], "timeout": 25, "namespace": None, "more": {"x": 1, "y": 2}}
    other = {
        "more": MappingProxyType({"y": 2, "x": 1}),
        "namespace": None,
        "timeout": 25.0,
        "queues": (("a", 1), ("b", 2)),
    }

    assert config_digest(one) == config_digest(other)


@pytest.mark.parametrize(
    "change",
    [{"timeout": 26}, {"fetch": "1"}, {"fetch": True}, {"queues": ["b", "a"]}, {"queues": ["a,b"]}, {"n": None}],
)
def test_any_difference_shows(change: dict[str, object]) -> None:
    base = {"timeout": 25, "fetch": 1, "queues": ["a", "b"]}

    assert config_digest({**base, **change}) != config_digest(base)


def test_what_has_no_lasting_form_is_refused() -> None:
    with pytest.raises(TypeError, match="not a object"):
        config_digest({"x": object()})


def test_packages_are_those_that_the_metadata_names() -> None:
    found = {re.sub(r"[-_.]+", "-", one.name).lower(): one.version for one in reversed(list(metadata.distributions()))}

    assert package_digest() == digest("\n".join(sorted(f"{name}=={version}" for name, version in found.items())))


def install(folder: Path, name: str, version: str) -> None:
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


def test_packages_by_normal_name_and_the_first_of_two(tmp_path: Path) -> None:
    install(tmp_path / "one", "Typing_Extensions", "4.1")
    install(tmp_path / "two", "typing.extensions", "3.0")
    install(tmp_path / "three", "typing-extensions", "4.1")

    first = package_digest([str(tmp_path / "one"), str(tmp_path / "two")])

    assert first == package_digest([str(tmp_path / "three")]) == digest("typing-extensions==4.1")
    assert first != package_digest([str(tmp_path / "two"), str(tmp_path / "one")])


def test_what_half_an_uninstall_left_is_passed_over(tmp_path: Path) -> None:
    install(tmp_path, "whole", "1")
    (tmp_path / "half-2.dist-info").mkdir()

    assert package_digest([str(tmp_path)]) == digest("whole==1")
    assert package_digest([str(tmp_path / "nothing")]) == ""


def test_natives_change_when_another_extension_is_loaded() -> None:
    code = (
        "from kiqdoctor.runtime.digests import native_digest\n"
        "print(native_digest()); print(native_digest())\n"
        "import hiredis; print(native_digest())"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    before, again, after = ran.stdout.split()

    assert before == again != after
    assert re.fullmatch("[0-9a-f]{16}", before)


def test_one_wheel_on_two_hosts_is_the_same_and_another_build_is_not(tmp_path: Path) -> None:
    found = []
    for name, body, time in (("a", b"ELF one", 1), ("b", b"ELF one", 2), ("c", b"ELF two", 1), ("d", b"ELF longer", 1)):
        library = tmp_path / name / "site-packages" / "pkg" / "fast.so"
        library.parent.mkdir(parents=True)
        library.write_bytes(body)
        os.utime(library, (time, time))
        maps = tmp_path / f"maps.{name}"
        line = "7f00-7f01 r-xp 00000000 08:01 1"
        maps.write_text(
            f"{line}   {library}\n{line}   {library}\n{line}   /usr/lib/libc.so.6\n{line} \n{line} [heap]\n"
        )
        found.append(native_digest(maps))

    assert found[0] == found[1]
    assert len(set(found)) == 3


def test_a_library_replaced_under_a_running_process_shows(tmp_path: Path) -> None:
    extension = Path(sysconfig.get_paths()["platlib"]).parent / "lib-dynload"
    source = next(extension.glob("_bisect*.so"), None) or next(Path(sys.modules["msgspec"].__path__[0]).glob("*.so"))
    loaded = tmp_path / "site-packages" / "probe.so"
    loaded.parent.mkdir()
    shutil.copy(source, loaded)
    kept = ctypes.CDLL(str(loaded))
    before = native_digest()
    loaded.unlink()

    assert before != native_digest()
    assert kept is not None


def test_where_the_system_does_not_tell(tmp_path: Path) -> None:
    assert native_digest(tmp_path / "none") == ""


def test_facts_are_short_texts_for_one_hash(tmp_path: Path) -> None:
    facts = gather(
        environ={"GIT_REV": "abc"},
        folder=tmp_path,
        config={"queues": ["default"]},
        namespace="shop",
        pools={"fetch": 4, "jobs\n": 10} | {f"p{number}": 1 for number in range(100)},
    ).with_threads(running=2, waiting=0, idle=3)
    fields = facts.as_fields()

    assert list(fields) == ["deploy", "config", "namespace", "packages", "natives", "pools", "threads"]
    assert all(re.fullmatch("[0-9a-f]{16}", fields[name]) for name in ("config", "namespace", "packages", "natives"))
    assert fields["deploy"] == "abc"
    assert json.loads(fields["threads"]) == {"running": 2, "waiting": 0, "idle": 3}
    pools = json.loads(fields["pools"])
    assert (pools["fetch"], pools["jobs␊"], len(pools)) == (4, 10, 32)


def test_other_namespaces_have_other_digests(tmp_path: Path) -> None:
    def told(namespace: str | None) -> str:
        return gather(environ={}, folder=tmp_path, config={}, namespace=namespace, pools={}).namespace

    assert told(None) == told("") != told("shop")


def test_nothing_known_is_empty_text() -> None:
    assert About().as_fields()["deploy"] == ""
