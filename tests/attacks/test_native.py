"""Native files as somebody would make them who wishes the doctor ill: bounded in time and memory, named, unknown."""

import os
import resource
import struct
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from healthy import HEALTHY
from hypothesis import given, settings
from hypothesis import strategies as st

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.cores import Owner
from kiqdoctor.doctor.facts.native import NativeCode
from kiqdoctor.doctor.report import Outcome
from kiqdoctor.doctor.snapshot import Absent
from kiqdoctor.doctor.tools import Application
from kiqdoctor.probes.cores.owners import owner
from kiqdoctor.probes.native.elf import LONGEST, MOST_NEEDED, BeyondError, Elf, ElfError, read
from kiqdoctor.probes.native.native_code import native_code

SITE = f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
HEADER, PROGRAM, TAG = "<16sHHIQQQIHHHHHH", "<IIQQQQQQ", "<QQ"
NEEDED, STRTAB, STRSZ, RUNPATH = 1, 5, 10, 29
HERE = {"x86_64": 62, "aarch64": 183, "riscv64": 243}.get(os.uname().machine, 62)


def elf(*names: str, runpath: str = "", announced: int | None = None) -> bytes:
    """A whole little ELF file that needs these; ``announced`` is what it says its string table holds."""
    strings = b"\0" + b"".join(name.encode() + b"\0" for name in (*names, runpath))
    tags, at = [], 1
    for name in names:
        tags.append((NEEDED, at))
        at += len(name.encode()) + 1
    tags += [(RUNPATH, at)] if runpath else []
    size = 16 * (len(tags) + 3)
    tags += [(STRTAB, 176 + size), (STRSZ, len(strings) if announced is None else announced), (0, 0)]
    whole = 176 + size + len(strings)
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)
    head = struct.pack(HEADER, ident, 3, HERE, 1, 0, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    load = struct.pack(PROGRAM, 1, 5, 0, 0, 0, whole, whole, 4096)
    dynamic = struct.pack(PROGRAM, 2, 6, 176, 176, 176, size, size, 8)
    return head + load + dynamic + b"".join(struct.pack(TAG, *one) for one in tags) + strings


def environment(root: Path, *recorded: str) -> Path:
    site = root / ".venv" / SITE
    info = site / "pack-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "pack").mkdir()
    (info / "RECORD").write_text("".join(f"{name},,\n" for name in recorded))
    return site / "pack"


def inventory(root: Path) -> NativeCode:
    found: NativeCode = native_code.read(Application(root), Absent("no lock"))
    return found


def said(native: NativeCode) -> str:
    result = diagnose("NAT001", HEALTHY.with_(native))
    return " ".join([result.reason or "", *(f"{one.label}: {one.value}" for one in result.evidence)])


@given(
    whole=st.builds(
        elf,
        st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30),
        runpath=st.sampled_from(("", "$ORIGIN", "/a:/b")),
        announced=st.one_of(st.none(), st.integers(0, 2**64 - 1)),
    ),
    changes=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=12),
    end=st.one_of(st.none(), st.integers(0, 400)),
)
@settings(max_examples=400)
def test_any_bytes_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, whole: bytes, changes: list[tuple[int, int]], end: int | None
) -> None:
    raw = bytearray(whole)
    for at, value in changes:
        raw[at % len(raw)] = value
    file = tmp_path_factory.getbasetemp() / "any.so"
    file.write_bytes(raw[:end])

    with suppress(ElfError, BeyondError):
        found = read(file)
        assert isinstance(found, Elf)
        assert len(found.needed) <= MOST_NEEDED
        assert all(len(name) <= 4 * LONGEST for name in found.needed)


def test_the_healthy_twin(tmp_path: Path) -> None:
    environment(tmp_path, "pack/x.so").joinpath("x.so").write_bytes(elf("libc.so.6", "libm.so.6"))
    native = inventory(tmp_path)

    assert [one.missing for one in native.extensions] == [()]
    assert native.unreadable == ()
    assert "1 file; links libm.so.6" in said(native)


@pytest.mark.parametrize(
    ("name", "is_one"),
    [("x.so", True), ("libx.so.1", True), ("libx.so.1.22.3", True), ("also.so.txt", False), ("x.so.1.debug", False),
     ("x.so/readme.md", False), ("x.so.", False), ("x.solid", False)],
)  # fmt: skip
def test_what_counts_as_a_library(tmp_path: Path, name: str, is_one: bool) -> None:
    environment(tmp_path, f"pack/{name}")

    assert bool(inventory(tmp_path).extensions) is is_one


@pytest.mark.parametrize("kind", ["FIFO", "device", "folder", "socket"])
def test_what_is_no_regular_file_is_not_opened(tmp_path: Path, kind: str) -> None:
    file = environment(tmp_path, "pack/x.so", "pack/y.so") / "x.so"
    file.with_name("y.so").write_bytes(elf("libm.so.6"))
    if kind == "FIFO":
        os.mkfifo(file)
    elif kind == "device":
        file.symlink_to("/dev/zero")
    elif kind == "folder":
        file.mkdir()
    else:
        import socket

        held = os.open(file.parent, os.O_RDONLY)
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(f"/proc/self/fd/{held}/x.so")
        os.close(held)
    native = inventory(tmp_path)

    assert native.unreadable == (("pack/x.so", f"it is a {kind}, no regular file"),)
    assert [one.path for one in native.extensions] == ["pack/y.so"]
    assert "2 files, 1 of them not read; links libm.so.6 and what else is unknown" in said(native)
    assert diagnose("NAT001", HEALTHY.with_(native)).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    "content",
    [elf(*(f"lib{n}.so" for n in range(4_000))), elf("libm.so.6", runpath=":".join(f"/r{n}" for n in range(900)))],
    ids=["4,000 libraries", "900 folders"],
)  # fmt: skip
def test_more_than_any_linker_writes_is_unknown_and_named(tmp_path: Path, content: bytes) -> None:
    environment(tmp_path, "pack/x.so").joinpath("x.so").write_bytes(content)
    native = inventory(tmp_path)

    assert [name for name, _ in native.unreadable] == ["pack/x.so"]
    assert diagnose("NAT001", HEALTHY.with_(native)).outcome is Outcome.UNKNOWN
    assert "1 file, 1 of them not read; links what is unknown" in said(native)


def test_a_name_that_no_file_can_have(tmp_path: Path) -> None:
    environment(tmp_path, "pack/x.so").joinpath("x.so").write_bytes(elf("n" * 4_000, runpath="$ORIGIN"))

    assert [len(name) for name in inventory(tmp_path).extensions[0].missing] == [4_000]


@pytest.mark.parametrize("announced", [2**40 - 400, 2**63])
def test_what_a_file_announces_is_not_taken_into_memory(tmp_path: Path, announced: int) -> None:
    file = environment(tmp_path, "pack/x.so") / "x.so"
    file.write_bytes(elf("libm.so.6", announced=announced))
    os.truncate(file, 2**40)  # sparse
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    native = inventory(tmp_path)

    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024  # KiB
    assert len(native.extensions) == 1


@pytest.mark.parametrize("name", ["RECORD", "WHEEL", "METADATA"])
def test_neither_is_what_a_distribution_says_of_itself(tmp_path: Path, name: str) -> None:
    file = environment(tmp_path, "pack/x.so") / "x.so"
    file.write_bytes(elf("libm.so.6"))
    told = file.parent.parent / "pack-1.0.dist-info" / name
    told.touch()
    os.truncate(told, 2**40)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    native = inventory(tmp_path)

    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024
    assert bool(native.unreadable) is (name == "RECORD")


def test_a_lock_file_alone_says_nothing_of_links(tmp_path: Path) -> None:
    from kiqdoctor.doctor.facts.packages import Package, Packages

    gems = Packages((Package("ruby", "nokogiri", "1.16.0", "Gemfile.lock"),))
    native: NativeCode = native_code.read(Application(tmp_path), gems)

    assert "what it links is unknown" in said(native)
    assert "nothing more" not in said(native)


@pytest.mark.parametrize("made_up", [True, False])
def test_a_link_out_of_a_crashed_process_root_is_not_read(tmp_path: Path, made_up: bool) -> None:
    site = "/usr/lib/python3/site-packages"
    image = tmp_path / "image"
    info = image / site[1:] / "x-1.dist-info"
    info.mkdir(parents=True)
    (info / "RECORD").write_text("x/a.so,,\n")
    outside = tmp_path / "outside"
    outside.write_text("Name: q7secretq7\n")
    (info / "METADATA").symlink_to("/proc/self/environ" if made_up else outside)
    found = owner(f"{site}/x/a.so", image)

    assert found == Owner("python", "x", "1")
    (info / "METADATA").unlink()
    (info / "METADATA").write_text("Name: Twin\n")
    assert owner(f"{site}/x/a.so", image) == Owner("python", "Twin", "1")
