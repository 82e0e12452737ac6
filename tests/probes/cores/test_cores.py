"""`kiqdoctor core` of processes that really crashed, with and without a debugger, and of files made by an enemy."""

import json
import os
import resource
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis as redis_py
import ruby
from doctoring import kiqdoctor
from servers import RedisServer, eventually
from workers import Worker

from kiqdoctor.doctor.facts.cores import NativeFrame
from kiqdoctor.examining.cores import _found_later
from kiqdoctor.probes.cores.backtrace import _gdb
from kiqdoctor.probes.cores.owners import owner
from kiqdoctor.probes.native.core_file import HEADER, PROGRAM, core_file

LIBRARY = "int crash(void) { return *(volatile int *)16; }\n"
APP = """
import ctypes
from kiqdoctor import job

@job
def thumbnail(secret):
    ctypes.CDLL({library!r}).crash()

@job
def harmless():
    pass
"""
HANDLERS = """
#include <signal.h>
#include <string.h>
#include <unistd.h>
static void fails(int number) { *(volatile int *)24; }
void answered(void) { signal(SIGSEGV, fails); *(volatile int *)16; }
void interrupted(void) { signal(SIGUSR1, (void (*)(int))strlen); for (;;) raise(SIGUSR1); }
"""
CALLS = """
int deep(volatile char *above) { volatile char own[4096]; own[0] = *above; return deep(own) + own[0]; }
void overflowed(void) { char first = 1; deep(&first); }
void calls_back(void (*back)(void)) { back(); }
void calls(void) { *(volatile int *)16; }
"""
RUBY = """
require 'fiddle'
class Thumbnail
  include Sidekiq::Worker
  def perform
    strlen = Fiddle::Function.new(Fiddle.dlopen(nil)["strlen"], [Fiddle::TYPE_VOIDP], Fiddle::TYPE_INT)
    (["compiled"] * 200 + [16]).each { |at| strlen.call(at) }
  end
end
"""


@pytest.fixture(autouse=True)
def cores() -> Iterator[None]:
    """Processes of this test leave cores; the parent of these tests does not from then on."""
    before = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (before[1], before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_CORE, before)


def core_in(folder: Path) -> Path:
    """The core that lies there; a skip where this host puts them elsewhere."""
    pattern = Path("/proc/sys/kernel/core_pattern").read_text().strip()
    if pattern.startswith(("|", "/")):
        pytest.skip(f"core_pattern is {pattern}: cores of this host go elsewhere")
    if resource.getrlimit(resource.RLIMIT_CORE)[0] == 0:
        pytest.skip("the hard limit of cores is 0 here")
    found: Path = eventually(lambda: next(filter(_written, folder.glob("core*")), None), "the core")
    return found


def _written(path: Path) -> bool:
    """Whether all of it is there."""
    found = core_file(path)
    return found is not None and not found.cut


def told(path: Path, *words: str, cwd: Path | None = None, **environ: str) -> dict[str, Any]:
    ran = kiqdoctor("core", str(path), *words, "--format", "json", cwd=cwd, **environ)
    assert ran.status == 0, ran.err
    found: dict[str, Any] = json.loads(ran.out)
    return found


def without_gdb(tmp_path: Path) -> str:
    """A PATH on which no debugger is."""
    empty = tmp_path / "no-debugger"
    empty.mkdir()
    return f"{Path(sys.executable).parent}:{empty}"


@pytest.mark.real
def test_a_job_of_ours(redis_server: RedisServer, tmp_path: Path) -> None:
    site = tmp_path / "site-packages"
    (site / "imaging-1.2.dist-info").mkdir(parents=True)
    (site / "imaging-1.2.dist-info" / "RECORD").write_text("imaging.so,,\n")
    (tmp_path / "imaging.c").write_text(LIBRARY)
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", site / "imaging.so", tmp_path / "imaging.c"], check=True)
    app = APP.format(library=str(site / "imaging.so"))
    with Worker.start(app, redis_server.url, "-c", "2") as worker:
        payload: dict[str, Any] = {
            "class": "app.thumbnail",
            "args": ["hunter2-is-secret"],
            "jid": "b" * 24,
            "queue": "default",
        }
        payload |= {"retry": 0, "created_at": time.time(), "enqueued_at": time.time()}
        with redis_py.Redis.from_url(redis_server.url) as client:
            client.lpush("queue:default", json.dumps(payload))
        core = core_in(worker.folder).rename(tmp_path / "kept")  # a job that runs again leaves another
        with_gdb = told(core)
        text = kiqdoctor("core", str(core)).out
        bare = told(core, PATH=without_gdb(tmp_path))
        changed = site / "imaging.so"
        changed.write_bytes(
            changed.read_bytes().replace(b"\x7fELF\x02\x01\x01\x00\x00", b"\x7fELF\x02\x01\x01\x00\x01")
        )
        later = told(core, PATH=f"{Path(sys.executable).parent}:{tmp_path}")

    for found in (with_gdb, bare):
        assert (found["schema"], found["signal"]) == ("kiqdoctor.core/1", "SIGSEGV")
        assert "python" in found["executable"]
        assert found["culprit"] == {"library": str(site / "imaging.so"), "package": "imaging", "version": "1.2"}
        assert found["frames"][0]["function"] == "crash"
        assert found["job"]["jid"] == "b" * 24
        assert (found["job"]["class"], found["job"]["queue"]) == ("app.thumbnail", "default")
        assert any(one["function"] == "thumbnail" for one in found["stack"])
    assert with_gdb["frames_by"] == "gdb"
    assert bare["frames_by"] == "registers"
    assert any("gdb" in one for one in bare["missing"])
    assert "hunter2" not in text + json.dumps([with_gdb, bare])
    assert later["culprit"]["package"] is None
    assert any("another build" in one for one in later["missing"])


@pytest.mark.real
def test_a_signal_that_was_sent_blames_nobody(tmp_path: Path) -> None:
    words = [
        sys.executable,
        "-c",
        "import faulthandler, time; faulthandler.enable(); print(flush=True); time.sleep(600)",
    ]
    for number in (1, 2):  # with faulthandler, and without
        folder = tmp_path / str(number)
        folder.mkdir()
        command = words if number == 1 else [one.replace("faulthandler.enable();", "") for one in words]
        with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            assert process.stdout is not None
            process.stdout.readline()
            process.send_signal(11)
        found = told(core_in(folder))
        assert (found["signal"], found["culprit"], found["job"]) == ("SIGSEGV", None, None)
        assert found["sent_by"] in ({None} if number == 1 else {os.getpid()})
        raw = core_in(folder).read_bytes()
        (folder / "cut").write_bytes(raw[:100_000])  # the notes, and nothing of any stack
        text = kiqdoctor("core", str(folder / "cut")).out
        assert "cut off" in text
        assert ("not known" in text, "the signal was sent" in text) == ((True, False) if number == 1 else (False, True))


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "address", "function", "blamed"),
    [("answered", "0x10", "answered", True), ("interrupted", "0xa", "", False)],
)
def test_a_handler_that_failed_itself(tmp_path: Path, name: str, address: str, function: str, blamed: bool) -> None:
    """As faulthandler's own does at times: what it answered is to blame; what it merely interrupted never is."""
    (tmp_path / "handlers.c").write_text(HANDLERS)
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", tmp_path / "handlers.so", tmp_path / "handlers.c"], check=True)
    code = f"import ctypes; ctypes.CDLL({str(tmp_path / 'handlers.so')!r}).{name}()"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=False)

    core = core_in(tmp_path)
    found, bare = told(core), told(core, PATH=without_gdb(tmp_path))

    for one in (found, bare):
        assert (one["signal"], one["fault_address"]) == ("SIGSEGV", address)
        library = one["culprit"] and one["culprit"]["library"]
        assert library == (str(tmp_path / "handlers.so") if blamed else None)
        assert one["frames"][0]["function"] == function or not blamed


@pytest.mark.real
@pytest.mark.parametrize(
    ("call", "signal", "blamed", "overflow"),
    [
        ("lib.overflowed()", "SIGSEGV", True, True),
        ("lib.calls()", "SIGSEGV", True, False),
        ("lib.calls_back(BACK(lambda: os.abort()))", "SIGABRT", False, False),
        ("lib.calls_back(BACK(lambda: lib.calls()))", "SIGSEGV", True, False),
    ],
)
def test_who_called_what_failed(tmp_path: Path, call: str, signal: str, blamed: bool, overflow: bool) -> None:
    """A library that calls the program's own code is not to blame for what that does."""
    (tmp_path / "calls.c").write_text(CALLS)
    subprocess.run(["gcc", "-shared", "-fPIC", "-O0", "-o", tmp_path / "calls.so", tmp_path / "calls.c"], check=True)
    code = (
        f"import ctypes, os; lib = ctypes.CDLL({str(tmp_path / 'calls.so')!r}); BACK = ctypes.CFUNCTYPE(None); {call}"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=False)

    core = core_in(tmp_path)
    found, text = told(core), kiqdoctor("core", str(core)).out

    library = found["culprit"] and found["culprit"]["library"]
    assert (found["signal"], library) == (signal, str(tmp_path / "calls.so") if blamed else None)
    assert (found["stack_overflow"], "went too deep" in text) == (overflow, overflow)


INNOCENT = NativeFrame("load", "/site/innocent.so")
LIBC, PYTHON = "/lib/x86_64-linux-gnu/libc.so.6", "/usr/bin/python3.13"


@pytest.mark.parametrize(
    ("frames", "later"),
    [
        ([NativeFrame("_int_malloc", LIBC), NativeFrame("__GI___libc_malloc", LIBC), INNOCENT], True),
        ([NativeFrame("tcache_get", LIBC), NativeFrame("malloc", LIBC), INNOCENT], True),
        ([NativeFrame("", PYTHON), NativeFrame("_PyObject_GC_New", PYTHON), INNOCENT], True),
        ([NativeFrame("gc_mark_children.lto_priv.0", "/lib/libruby-3.1.so.3.1"), INNOCENT], True),
        ([NativeFrame("rb_wb_protected_newobj_of", "/lib/libruby-3.1.so.3.1"), INNOCENT], True),
        ([NativeFrame("arena_bin_malloc", "/usr/lib/libjemalloc.so.2"), INNOCENT], True),
        ([NativeFrame("__GI___libc_free", LIBC), INNOCENT], False),
        ([NativeFrame("strlen", LIBC), INNOCENT], False),
        ([INNOCENT, NativeFrame("gc_collect_main", PYTHON)], False),
        ([NativeFrame("visit_decref", PYTHON), INNOCENT, NativeFrame("gc_collect_main", PYTHON)], False),
    ],
)
def test_who_keeps_memory_finds_what_others_damaged(frames: list[NativeFrame], later: bool) -> None:
    assert _found_later(frames) is later


@pytest.mark.real
@pytest.mark.ruby
@pytest.mark.parametrize(
    ("major", "options"),
    [(6, ""), pytest.param(6, "--yjit", marks=pytest.mark.long), pytest.param(8, "", marks=pytest.mark.long)],
)
def test_a_ruby_worker(redis_server: RedisServer, major: int, options: str, tmp_path: Path) -> None:
    with ruby.require(major).start(RUBY, redis_server.url, env={"RUBYOPT": options}) as worker:
        with redis_py.Redis.from_url(redis_server.url) as client:
            client.lpush(
                "queue:default", json.dumps({"class": "Thumbnail", "args": [], "jid": "c" * 24, "retry": False})
            )
        core = core_in(worker.folder).rename(tmp_path / "kept")  # a job that runs again leaves another
        root = str(getattr(worker.place, "path", "/"))
        found = told(core, "--root", root, "--log", str(worker.folder / "log"))
        bare = told(core, "--root", root, PATH=without_gdb(tmp_path))

    # Seen: Debian's Ruby 3.1 ends by the abort after its report, sid's by the first signal.
    ends = {6: ("SIGABRT", "SIGSEGV"), 8: ("SIGSEGV", None)}[major]
    assert (found["signal"], found["raised"], found["language"]) == (*ends, "ruby")
    assert found["frames_by"] == "gdb"
    assert found["culprit"]["library"].rpartition("/")[2].startswith("fiddle")
    assert found["culprit"]["version"]
    assert found["stack"]
    assert any("perform" in one["function"] for one in found["stack"])
    assert (bare["signal"], bare["raised"], bare["stack"]) == (*ends, None)
    assert bare["frames"][0]["library"]
    assert any("gdb" in one for one in bare["missing"])


def made(count: int = 1, *, offset: int = 64, notes: bytes = b"", size: int | None = None) -> bytes:
    """A core's header with one program header of notes."""
    head = b"\x7fELF\x02\x01" + bytes(10) + HEADER.pack(4, 62, 1, 0, offset, 0, 0, 64, PROGRAM.size, count, 0, 0, 0)
    return head + PROGRAM.pack(4, 0, 120, 0, 0, len(notes) if size is None else size, 0, 0) + notes


FILE_NOTE = struct.pack("<III", 5, 16, 0x46494C45) + b"CORE\0\0\0\0" + struct.pack("<QQ", 2**63, 2**63)


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 2),
        (b"no core\n" * 100, 2),
        (b"\x7fELF", 3),
        (b"\x28\xb5\x2f\xfd" + bytes(100), 3),
        (made(65_534), 3),
        (made(offset=2**64 - 8), 3),
        (made(size=2**63), 3),
        (made(notes=FILE_NOTE), 3),
        (made(notes=struct.pack("<III", 2**32 - 1, 2**32 - 1, 1) + bytes(40)), 3),
    ],
)
def test_what_an_enemy_made(tmp_path: Path, content: bytes, status: int) -> None:
    (tmp_path / "core").write_bytes(content)

    ran = kiqdoctor("core", str(tmp_path / "core"))

    assert (ran.status, ran.out) == (status, "")
    assert len(ran.err.splitlines()) == 1


def test_what_is_packed_is_told_how_to_unpack(tmp_path: Path) -> None:
    (tmp_path / "core.zst").write_bytes(b"\x28\xb5\x2f\xfd" + bytes(100))

    assert "zstd -dc FILE > core" in kiqdoctor("core", str(tmp_path / "core.zst")).err


def test_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with (tmp_path / "sparse").open("wb") as file:
        file.write(made(size=2**40))
        file.truncate(2**40)

    assert kiqdoctor("core", str(tmp_path / "fifo")).status == 2
    assert kiqdoctor("core", str(tmp_path)).status == 2
    assert kiqdoctor("core", str(tmp_path / "nothing")).status == 2
    assert kiqdoctor("core", str(tmp_path / "sparse")).status == 3


def test_calls_as_gdb_writes_them() -> None:
    lines = [
        "#0  0x00007fb in ?? ()",
        "#0  0x00007fca03985ad8 in __strlen_evex () at ../sysdeps/x86_64/strlen.S:79",
        "#1  <signal handler called>",
        "#2  0x000000000000002a in std::vector<int>::at(unsigned long) (this=..., n=...) at v.cc:1",
        "#3  0x000000000000002b in ?? () from /lib/libffi.so.8",
    ]

    calls = list(_gdb(lines))

    assert [one.function for one in calls] == ["__strlen_evex", "", "std::vector<int>::at(unsigned long)", ""]
    assert [one.handler for one in calls] == [False, True, False, False]
    assert calls[2].counter == 0x2A


def test_whose_a_library_is(tmp_path: Path) -> None:
    gem = "/srv/app/vendor/bundle/ruby/3.3.0/gems/nokogiri-1.16.2-x86_64-linux/lib/nokogiri/3.3/nokogiri.so"
    info = tmp_path / "var/lib/dpkg/info"
    info.mkdir(parents=True)
    (info / "libvips42:amd64.list").write_text("/.\n/usr/lib/x86_64-linux-gnu/libvips.so.42.1\n")
    (tmp_path / "var/lib/dpkg/status").write_text("Package: libvips42\nStatus: ok\nVersion: 8.14.1-3\n\n")

    found = owner(gem, tmp_path)
    assert found is not None
    assert found[:] == ("ruby", "nokogiri", "1.16.2")
    debian = owner("/lib/x86_64-linux-gnu/libvips.so.42.1", tmp_path)
    assert debian is not None
    assert debian[:] == ("debian", "libvips42", "8.14.1-3")
    standard = owner("/opt/py/lib/python3.13/lib-dynload/_ctypes.cpython-313-x86_64-linux-gnu.so", tmp_path)
    assert standard is not None
    assert standard[:] == ("python", "Python", "3.13")
    assert owner("/opt/libvips.so", tmp_path) is None
