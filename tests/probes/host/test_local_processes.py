"""Workers of this host: from a /proc that the test writes, and from a real child process."""

import os
import subprocess
from pathlib import Path

import pytest
from servers import eventually

from kiqdoctor.doctor.facts.host import LocalProcess, LocalProcesses
from kiqdoctor.doctor.probe import RefusalError
from kiqdoctor.doctor.tools import Host
from kiqdoctor.probes.host.files import beneath
from kiqdoctor.probes.host.local_processes import local_processes
from kiqdoctor.probes.host.sockets import address


class Proc:
    """A /proc with one machine's files and as many processes as the test adds."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "sys/kernel").mkdir(parents=True)
        (root / "sys/kernel/hostname").write_text("web-1\n")
        (root / "stat").write_text("cpu 1 2\nbtime 1000000\n")
        (root / "net").mkdir()
        (root / "net/fib_trie").write_text("  |-- 10.0.0.7\n     /32 host LOCAL\n")

    def add(self, pid: int, cmdline: bytes, *, comm: str = "ruby", state: str = "S", cwd: str = "/srv") -> Path:
        folder = self.root / str(pid)
        (folder / "task" / str(pid)).mkdir(parents=True)
        cells = [state, "1", *["0"] * 17, "500", *["0"] * 20]
        (folder / "stat").write_bytes(f"{pid} ({comm}) {' '.join(cells)}\n".encode())
        (folder / "cmdline").write_bytes(cmdline)
        (folder / "comm").write_text(comm + "\n")
        (folder / "status").write_text(f"Name:\t{comm}\nUid:\t1000\t1000\t1000\t1000\nNSpid:\t{pid}\t7\n")
        (folder / "cwd").symlink_to(cwd)
        (folder / "exe").symlink_to("/usr/bin/ruby3.1")
        (folder / "root").symlink_to("/")
        (folder / "cgroup").write_text("0::/system.slice/sidekiq.service\n")
        return folder

    def read(self) -> LocalProcesses:
        return local_processes.read(Host(self.root))  # type: ignore[no-any-return]

    def only(self) -> LocalProcess:
        [found] = self.read().all
        return found


@pytest.fixture
def proc(tmp_path: Path) -> Proc:
    return Proc(tmp_path)


TITLE = b"sidekiq 6.4.1 my shop [2 of 10 busy] stopping\0\0\0\0"


def test_a_title_tells_version_tag_and_threads(proc: Proc) -> None:
    proc.add(42, TITLE)

    worker = proc.only()

    assert (worker.kind, worker.version, worker.tag) == ("sidekiq", "6.4.1", "my shop")
    assert (worker.busy, worker.concurrency, worker.stopping) == (2, 10, True)
    assert (worker.uid, worker.namespace_pids, worker.cgroup) == (1000, (42, 7), "/system.slice/sidekiq.service")
    assert worker.started_at == 1000000 + 500 / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize(
    ("cmdline", "kind"),
    [
        (b"sidekiq 7.3.9  [0 of 5 busy]", "sidekiq"),
        (b"ruby\0/usr/bin/sidekiq\0-r\0./app.rb", "sidekiq"),
        (b"ruby\0/usr/bin/bundle\0exec\0sidekiq", "sidekiq"),
        (b"/usr/bin/python3\0-m\0kiqdoctor\0work\0shop", "kiqdoctor"),
        (b"/venv/bin/python\0/venv/bin/kiqdoctor\0work\0shop\0-c\x0010", "kiqdoctor"),
        (b"resque-2.7.0: Waiting for *", "resque"),
    ],
)
def test_workers_are_recognised(proc: Proc, cmdline: bytes, kind: str) -> None:
    proc.add(42, cmdline)

    assert proc.only().kind == kind


@pytest.mark.parametrize(
    "cmdline",
    [
        b"grep\0sidekiq",
        b"vim\0config/sidekiq.yml",
        b"tail\0-f\0log/sidekiq.log",
        b"/bin/sh\0-c\0bundle exec sidekiq",
        b"ruby\0/app/bin/sidekiq_report",
        b"/venv/bin/python\0/venv/bin/kiqdoctor\0check",
        b"python\0sidekiq\0work",
        b"\xff\xfe\0sidekiq",
        b"",
    ],
)
def test_a_mere_word_is_no_worker(proc: Proc, cmdline: bytes) -> None:
    proc.add(42, cmdline)

    assert proc.read().all == ()


def test_an_embedded_sidekiq_is_told_by_its_threads(proc: Proc) -> None:
    folder = proc.add(42, b"puma 6.4.0 (tcp://0.0.0.0:3000) [shop]", comm="puma")
    assert proc.read().all == ()
    (folder / "task/43").mkdir()
    (folder / "task/43/comm").write_text("sidekiq.default/processor\n")

    assert proc.only().kind == "sidekiq-embedded"


def test_a_zombie_is_no_worker(proc: Proc) -> None:
    proc.add(42, TITLE, state="Z")
    assert proc.read().pids == frozenset()  # its seat is empty: what it ran is nobody's

    assert proc.read().all == ()


def test_a_release_beside_current(proc: Proc, tmp_path: Path) -> None:
    app = tmp_path / "srv"
    for name in ("1", "2"):
        (app / "releases" / name).mkdir(parents=True)
    (app / "current").symlink_to(app / "releases/2")
    proc.add(42, TITLE, cwd=str(app / "releases/1"))

    worker = proc.only()

    assert worker.release == str(app / "releases/1")
    assert worker.current_release == str(app / "releases/2")


def test_a_release_beside_the_current_of_another_root(proc: Proc, tmp_path: Path) -> None:
    """What a worker under a root of its own calls by a path is not what lies at that path here."""
    box, own = tmp_path / "box", f"{tmp_path}/srv"
    for place in (tmp_path / "srv", box / own.lstrip("/")):
        (place / "releases/1").mkdir(parents=True)
        (place / "releases/2").mkdir()
    (tmp_path / "srv/current").symlink_to(f"{own}/releases/2")
    (box / own.lstrip("/") / "current").symlink_to(f"{own}/releases/1")
    folder = proc.add(42, TITLE, cwd=f"{box}{own}/releases/1")
    (folder / "root").unlink()
    (folder / "root").symlink_to(box)

    worker = proc.only()

    assert worker.release == worker.current_release == f"{box}{own}/releases/1"
    assert worker.home != ""


def test_the_names_that_a_container_gives_its_host(proc: Proc, tmp_path: Path) -> None:
    folder = proc.add(42, TITLE)
    (folder / "root").unlink()
    (folder / "root").symlink_to(tmp_path / "box")
    (folder / "environ").write_bytes(b"A=1\0HOSTNAME=a1b2\0")
    (tmp_path / "box/etc").mkdir(parents=True)
    (tmp_path / "box/etc/hostname").write_text("shop-7\n")
    assert proc.only().host_names == ("shop-7", "a1b2")

    (tmp_path / "box/etc/hostname").unlink()
    os.mkfifo(tmp_path / "box/etc/hostname")
    assert proc.only().host_names == ("a1b2",)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/a/b", "a/b"),
        ("a/b", "a/b"),
        ("/whole/b", "a/b"),
        ("/near/b", "a/b"),
        ("/../../a/./b", "a/b"),
        ("/up/a/b", "a/b"),
        ("/a/none", None),
        ("/loop", None),
        ("/a/\0", None),
    ],
)
def test_a_path_under_another_root(tmp_path: Path, path: str, found: str | None) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    for name, target in (("whole", "/a"), ("near", "a"), ("up", "../../.."), ("loop", "/loop")):
        (tmp_path / name).symlink_to(target)

    assert beneath(tmp_path, path) == (None if found is None else tmp_path / found)


def test_a_deleted_directory(proc: Proc) -> None:
    proc.add(42, TITLE, cwd="/srv/releases/1 (deleted)")

    assert (proc.only().cwd, proc.only().cwd_deleted) == ("/srv/releases/1", True)


def test_redis_addresses_lose_their_passwords(proc: Proc) -> None:
    folder = proc.add(42, TITLE)
    (folder / "environ").write_bytes(
        b"REDIS_PROVIDER=REDISTOGO_URL\0REDISTOGO_URL=redis://me:s3cret@db:6380/2\0DATABASE_URL=postgres://u:p@h/d\0"
    )

    assert proc.only().redis == ("REDISTOGO_URL=redis://db:6380/2",)
    assert "s3cret" not in repr(proc.read())


def test_sockets_and_what_lies_unread_in_them(proc: Proc) -> None:
    folder = proc.add(42, TITLE)
    (folder / "fd").mkdir()
    (folder / "fd/5").symlink_to("socket:[77]")
    (folder / "net").mkdir()
    row = "   0: 0100007F:B5FA 0100007F:18EB 01 00000000:000000CB 00:00000000 00000000  1000        0 77 1\n"
    (folder / "net/tcp").write_text("  sl  local_address\n" + row + row.replace(" 77 ", " 78 "))

    worker = proc.only()

    assert worker.sockets == (("127.0.0.1:46586", "127.0.0.1:6379"),)
    assert worker.unread_bytes == 0xCB


def test_addresses_are_spelt_as_client_list_spells_them() -> None:
    assert address("0100007F:B5FA") == "127.0.0.1:46586"
    assert address("0000000000000000FFFF00000100007F:1F90") == "127.0.0.1:8080"
    assert address("00000000000000000000000001000000:1F90") == "[::1]:8080"


def test_what_vanishes_while_it_is_read_was_not_there(proc: Proc) -> None:
    proc.add(42, TITLE)
    (proc.root / "43").mkdir()

    assert proc.read().pids == {42}


def test_a_host_without_proc_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RefusalError, match="cannot be read"):
        local_processes.read(Host(tmp_path))


def test_a_real_process_of_this_host() -> None:
    process = subprocess.Popen(["bash", "-c", "exec -a 'sidekiq 6.4.1 real [0 of 5 busy]' tail"], stdin=subprocess.PIPE)
    try:
        [found] = eventually(lambda: [one for one in local_processes.read(Host()).all if one.pid == process.pid])
    finally:
        process.kill()
        process.communicate()

    assert (found.kind, found.tag, found.cwd) == ("sidekiq", "real", str(Path.cwd()))


def test_this_machine_can_be_read() -> None:
    found = local_processes.read(Host())

    assert os.getpid() in found.pids
    assert found.start_times[os.getpid()] > 1_000_000_000


def served(proc: Proc, cmdline: bytes, environ: bytes, cwd: str) -> None:
    folder = proc.add(43, cmdline, comm="puma", cwd=cwd)
    (folder / "environ").write_bytes(environ)


@pytest.mark.parametrize(
    "cmdline",
    [
        b"puma 6.6.0 (tcp://0.0.0.0:3000) [shop]\0",
        b"puma: cluster worker 0: 17 [shop]\0",
        b"ruby\0/usr/bin/rails\0server\0",
        b"ruby\0bin/bundle\0exec\0puma\0-C\0config/puma.rb\0",
        b"/usr/bin/python3\0/usr/bin/gunicorn\0shop.wsgi\0",
        b"python\0-m\0uvicorn\0shop:app\0",
        b"gunicorn: worker [shop]\0",
    ],
)
def test_a_web_server_is_told_with_the_redis_of_its_environment(proc: Proc, tmp_path: Path, cmdline: bytes) -> None:
    told = b"REDIS_PROVIDER=QUEUE\0QUEUE=redis://u:pw@db:6379/1\0REDIS_URL=redis://db/0\0"
    served(proc, cmdline, told, str(tmp_path))

    [found] = proc.read().web

    assert found.default_redis == "redis://db:6379/1"
    assert found.redis == ("QUEUE=redis://db:6379/1", "REDIS_URL=redis://db:6379/0")
    assert found.home == f"{tmp_path.stat().st_dev}:{tmp_path.stat().st_ino}"


@pytest.mark.parametrize(
    "cmdline",
    [b"ruby\0/usr/bin/rails\0console\0", b"vim\0puma.rb\0", b"tail\0-f\0log/puma.log\0", b"\0"],
)
def test_what_is_no_web_server(proc: Proc, tmp_path: Path, cmdline: bytes) -> None:
    served(proc, cmdline, b"", str(tmp_path))

    assert proc.read().web == ()


def test_releases_of_one_application_are_one_home(proc: Proc, tmp_path: Path) -> None:
    for pid, title in ((42, TITLE), (43, b"puma 6.6.0 [x]\0")):
        (tmp_path / f"app/releases/{pid}").mkdir(parents=True)
        proc.add(pid, title, cwd=f"{tmp_path}/app/releases/{pid}")

    assert proc.only().home == proc.read().web[0].home != ""
