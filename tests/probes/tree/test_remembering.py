"""Facts of the same source are read once; nothing that another user may have written is believed."""

import os
from pathlib import Path

import msgspec
import pytest
from source import looked
from trees import tree

from kiqdoctor import probes
from kiqdoctor.doctor.facts.code import Calls, Code
from kiqdoctor.doctor.probe import AbsenceError, Probe
from kiqdoctor.doctor.snapshot import Absent, Snapshot
from kiqdoctor.probes.code.index import _Making
from kiqdoctor.probes.tree import remembering
from kiqdoctor.probes.tree.remembering import VARIABLE, Store, folder
from kiqdoctor.probes.tree.tree import Tree

SOURCE = {"shop.py": "from celery import shared_task\n@shared_task\ndef f(): g()\n"}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "cache" / "kiqdoctor"
    monkeypatch.setenv(VARIABLE, str(place))
    return place


def probe_of(kind: type) -> Probe:
    return next(one for one in probes.every() if one.fact is kind)


def calls(application: Tree) -> Calls:
    found: Calls = probe_of(Calls).read(tree=application)
    return found


def kept(cache: Path) -> list[str]:
    return sorted(one.name for one in cache.iterdir()) if cache.exists() else []


def test_the_same_source_is_read_once(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = calls(tree(tmp_path / "app", SOURCE))
    monkeypatch.setattr(remembering, "_keep", lambda *_: pytest.fail("it was read again"))

    again = calls(Tree(tmp_path / "app"))
    assert (again, len(kept(cache))) == (first, 1)
    assert cache.stat().st_mode & 0o777 == 0o700
    assert (cache / kept(cache)[0]).stat().st_mode & 0o777 == 0o600


def test_no_probe_indexes_the_same_source_again(tmp_path: Path, cache: Path) -> None:
    looked(tree(tmp_path / "app", SOURCE), Snapshot())
    again = Tree(tmp_path / "app")
    looked(again, Snapshot())

    assert kept(cache)
    assert [one.__qualname__ for one in again._made if one is _Making] == []


@pytest.mark.parametrize(
    "change", [{"shop.py": SOURCE["shop.py"] + "f()\n"}, {"other.rb": "f\n"}, {"x/shop.py": "f()\n"}]
)
def test_other_source_is_other_facts(tmp_path: Path, cache: Path, change: dict[str, str]) -> None:
    calls(tree(tmp_path / "app", SOURCE))
    found = calls(tree(tmp_path / "app", change))

    assert len(kept(cache)) == 2
    assert len(found.sites) >= 1


def test_other_facts_beside_it_are_other_facts(tmp_path: Path, cache: Path) -> None:
    application = tree(tmp_path / "app", SOURCE)
    for reason in ("one", "another", "one"):
        probe_of(Code).read(tree=application, packages=Absent(reason))

    assert len(kept(cache)) == 2


@pytest.mark.parametrize("spoilt", [b"", b"\xc1", msgspec.msgpack.encode({"sites": 3}), b"\x81" * 5000])
def test_what_does_not_decode_is_read_anew(tmp_path: Path, cache: Path, spoilt: bytes) -> None:
    first = calls(tree(tmp_path / "app", SOURCE))
    (cache / kept(cache)[0]).write_bytes(spoilt)

    assert calls(Tree(tmp_path / "app")) == first


def poisoned() -> bytes:
    return msgspec.msgpack.encode(Calls((), "poison"))


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_may_write_is_not_believed(tmp_path: Path, cache: Path, mode: int) -> None:
    first = calls(tree(tmp_path / "app", SOURCE))
    file = cache / kept(cache)[0]
    file.write_bytes(poisoned())
    file.chmod(mode)

    assert calls(Tree(tmp_path / "app")) == first


def test_a_folder_that_others_may_write_is_not_used(tmp_path: Path, cache: Path) -> None:
    cache.mkdir(parents=True)
    cache.chmod(0o777)

    assert calls(tree(tmp_path / "app", SOURCE)).sites
    assert kept(cache) == []


def test_links_are_not_followed(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = calls(tree(tmp_path / "app", SOURCE))
    file = cache / kept(cache)[0]
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(poisoned())
    file.unlink()
    file.symlink_to(elsewhere)

    assert calls(Tree(tmp_path / "app")) == first
    assert elsewhere.read_bytes() == poisoned()
    folder_link = tmp_path / "link"
    folder_link.symlink_to(cache)
    monkeypatch.setenv(VARIABLE, str(folder_link))
    assert calls(Tree(tmp_path / "app")) == first


def test_a_fifo_makes_nobody_wait(tmp_path: Path, cache: Path) -> None:
    first = calls(tree(tmp_path / "app", SOURCE))
    file = cache / kept(cache)[0]
    file.unlink()
    os.mkfifo(file, 0o600)

    assert calls(Tree(tmp_path / "app")) == first


def test_a_place_that_cannot_be_written_costs_nothing_but_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("x")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "file" / "cache"))

    assert calls(tree(tmp_path / "app", SOURCE)).sites


def test_the_cache_is_bounded(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembering, "MOST_FILES", 2)
    for number in range(4):
        calls(tree(tmp_path / str(number), {"a.py": f"f({number})\n"}))

    assert len(kept(cache)) == 2


def test_an_absence_is_not_kept(tmp_path: Path, cache: Path) -> None:
    with pytest.raises(AbsenceError):
        calls(tree(tmp_path / "app", {"README": "x"}))
    assert kept(cache) == []


@pytest.mark.parametrize(
    ("environ", "place"),
    [
        ({}, None),
        ({"HOME": "/home/x"}, Path("/home/x/.cache/kiqdoctor")),
        ({"HOME": "relative"}, None),
        ({"HOME": "/home/x", "XDG_CACHE_HOME": "/var/c"}, Path("/var/c/kiqdoctor")),
        ({"HOME": "/home/x", "XDG_CACHE_HOME": "c"}, Path("/home/x/.cache/kiqdoctor")),
        ({"HOME": "/home/x", VARIABLE: "off"}, None),
        ({"HOME": "/home/x", VARIABLE: "/tmp/c"}, Path("/tmp/c")),
        ({"HOME": "/home/x", VARIABLE: "c"}, None),
    ],
)
def test_where_it_lies(environ: dict[str, str], place: Path | None) -> None:
    assert folder(environ) == place


def test_facts_that_cannot_be_compared_are_read_each_time(tmp_path: Path, cache: Path) -> None:
    store = Store(tree(tmp_path / "app", SOURCE))
    made = [store.fact(Code, {"beside": object()}, Code) for _ in range(2)]

    assert made == [Code(), Code()]
    assert kept(cache) == []
